"""One index with its model, ready to answer: decode, encode together, search together."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyimgret._jvm.settings import available_cores
from pyimgret.index import Index, Matches
from pyimgret.index.filters import Filter
from pyimgret.index.vectors import normalised
from pyimgret.preprocessing import decode
from pyimgret_server.batcher import Batcher
from pyimgret_server.metrics import Metrics
from pyimgret_server.problems import ProblemError, busy
from pyimgret_server.settings import Settings

Vector = NDArray[np.float32]
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: a vector of length 1 (None until it is known) and the conditions."""

    vector: Vector | None
    k: int
    where: Filter | None = None
    min_score: float | None = None
    exclude: tuple[str, ...] = ()

    @property
    def conditions(self) -> tuple[Any, ...]:
        """What must be equal for two searches to be made together."""
        return (repr(self.where), self.exclude)


class Engine:
    """An index and its model at work; safe for any number of threads.

    Parameters
    ----------
    index : Index
    settings : Settings
    metrics : Metrics
    """

    def __init__(self, index: Index, settings: Settings, metrics: Metrics) -> None:
        self.index = index
        self.settings = settings
        self.metrics = metrics
        self.has_model = bool(index.model_checksum)
        self._preprocessor: Any = None
        # NB: more at a time than there are cores would gain nothing, and cost memory.
        self._decoding = threading.BoundedSemaphore(max(2, available_cores()))
        common: dict[str, Any] = {"size": settings.batch_size, "queue_size": settings.queue_size}
        self._encoding: Batcher[Vector, Vector] = Batcher(
            self._encode, wait=settings.batch_wait, name="encode",
            observe=metrics.batch("encode"), **common,
        )  # fmt: skip
        self._searching: Batcher[Search, Matches] = Batcher(
            self._search, wait=0.0, name="search", observe=metrics.batch("search"), **common
        )

    def warm_up(self) -> None:
        """Load model and rows, and encode once, so that the first request finds all in place.

        Raises
        ------
        PyimgretError
            When the model does not load, or does not belong to the index.
        """
        if self.has_model:
            preprocessor = self.index.encoder.preprocessor
            # NB: the service's own limit, in place of the model's.
            self._preprocessor = replace(preprocessor, max_pixels=self.settings.max_pixels)
            self._results([self._encoding.submit(self._preprocessor(_blank()))], "encode")
        self.index.search(np.ones(self.index.dimension, dtype=np.float32), k=1)

    @property
    def model_name(self) -> str:
        """The kind of the model, such as "Autoencoder"; empty without one."""
        if not self.has_model:
            return ""
        encoder = self.index.encoder
        return type(getattr(encoder, "model", encoder)).__name__

    def checked(self, image: bytes) -> bytes:
        """Return a picture that may be decoded: one that is not too large.

        Raises
        ------
        ProblemError, ImageDecodeError
        """
        self._need_model()
        decode(image, max_pixels=self.settings.max_pixels)
        return image

    def embed(self, images: Sequence[bytes]) -> list[Vector]:
        """Return the embeddings of pictures, each of length 1.

        Raises
        ------
        ImageDecodeError
            With the position of the picture that cannot be read.
        ProblemError
            When the index has no model, or too much waits already.
        """
        return [_sound(vector) for vector in self._results(self._submit(images), "encode")]

    def search(self, search: Search) -> Matches:
        """Return the items nearest to a vector."""
        return self._results([self._searching.submit(search)], "search")[0]

    def search_image(self, image: bytes, conditions: Search) -> Matches:
        """Return the items nearest to a picture, whose vector takes the place of the search's.

        The encoding thread hands the vector on to the searching one, so that the request's
        own thread is woken once only.
        """
        (encoded,) = self._submit([image])
        found: Future[Matches] = Future()
        began = time.perf_counter()

        def hand_on(vector: Future[Vector]) -> None:
            self.metrics.observe("encode_wait", time.perf_counter() - began)
            with _errors_into(found):
                search = replace(conditions, vector=_sound(vector.result()))
                self._searching.submit(search).add_done_callback(answer)

        def answer(matches: Future[Matches]) -> None:
            with _errors_into(found):
                found.set_result(matches.result())

        encoded.add_done_callback(hand_on)
        return self._results([found], "search")[0]

    def close(self) -> None:
        """Finish what waits and close the index."""
        self._encoding.close()
        self._searching.close()
        self.index.close()

    def _submit(self, images: Sequence[bytes]) -> list[Future[Vector]]:
        """Decode pictures on this thread, and hand them over to be encoded."""
        self._need_model()
        with self._encoding.expecting():
            with self._decoding, self.metrics.stage("decode"):
                tensors = [self._preprocessor(image) for image in images]
            return [self._encoding.submit(tensor) for tensor in tensors]

    def _need_model(self) -> None:
        if not self.has_model:
            raise ProblemError(
                422, "no-model", "This index was made without a model; search by vector or key."
            )

    def _results(self, futures: Sequence[Future[Made]], stage: str) -> list[Made]:
        """Wait for results, not longer than a request may take."""
        until = time.monotonic() + self.settings.timeout
        try:
            with self.metrics.stage(f"{stage}_wait"):
                return [future.result(max(0.0, until - time.monotonic())) for future in futures]
        except FutureTimeoutError:
            for future in futures:
                future.cancel()
            raise busy(f"No answer within {self.settings.timeout:g} seconds; try again.") from None

    def _encode(self, tensors: list[Vector]) -> Sequence[Vector]:
        with self.metrics.stage("encode"):
            return list(self.index.encoder.encode_tensors(np.stack(tensors)))

    def _search(self, searches: list[Search]) -> list[Matches]:
        """Answer searches together where they have the same conditions."""
        found: dict[int, Matches] = {}
        numbered = sorted(enumerate(searches), key=lambda pair: repr(pair[1].conditions))
        with self.metrics.stage("search"):
            for _, group in groupby(numbered, key=lambda pair: pair[1].conditions):
                members = list(group)
                results = self._search_alike([search for _, search in members])
                found.update({n: r for (n, _), r in zip(members, results, strict=True)})
        return [found[number] for number in range(len(searches))]

    def _search_alike(self, searches: list[Search]) -> list[Matches]:
        first = searches[0]
        results = self.index.search_batch(
            np.stack([search.vector for search in searches if search.vector is not None]),
            max(search.k for search in searches),
            where=first.where,
            exclude=first.exclude,
        )
        return [_narrowed(r, search) for r, search in zip(results, searches, strict=True)]


@contextlib.contextmanager
def _errors_into(future: Future[Any]) -> Iterator[None]:
    """Give the block's error to a future, unless its owner has given it up."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, InvalidStateError) and not future.cancelled():
            future.set_exception(error)


def _sound(vector: Vector) -> Vector:
    """Return an embedding that has a direction."""
    if not np.isfinite(vector).all() or not vector.any():
        raise ProblemError(
            422, "no-embedding", "The network answers with zeros only: nothing to compare."
        )
    return vector


def _narrowed(matches: Matches, search: Search) -> Matches:
    """Leave out what one search of a batch did not ask for."""
    least = -2.0 if search.min_score is None else search.min_score
    return Matches([match for match in matches[: search.k] if match.score >= least])


def _blank() -> NDArray[np.uint8]:
    return np.full((8, 8), 128, dtype=np.uint8)


def unit(vector: object, dimension: int) -> Vector:
    """Return a client's vector as float32 of length 1, or a problem that says what is wrong."""
    try:
        with np.errstate(over="ignore"):  # too large for float32: an error all the same
            return normalised(vector, dimension).reshape(dimension)
    except (OverflowError, TypeError, ValueError) as error:
        if isinstance(error, ProblemError):
            raise
        raise ProblemError(422, "invalid-vector", str(error)) from error


def opened(directory: Path) -> Index:
    """Open the index that a folder, or a link to one, leads to now."""
    # NB: resolved once, so that a link that is moved does not mix two indexes.
    return Index.open(directory.resolve())
