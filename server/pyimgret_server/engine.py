"""One index with its model, ready to answer: decode, encode together, search together."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyimgret.index import Index, Matches
from pyimgret.index.filters import Filter
from pyimgret.jvm import available_cores
from pyimgret.preprocessing import decode, unit_vectors
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


class Picture(NamedTuple):
    """Pixels of the network's size, since when they wait, and what is looked for with them."""

    pixels: NDArray[np.uint8]
    since: float
    search: Search | None


class Encoded(NamedTuple):
    """A picture's vector, and what was found with it; nothing where nothing was looked for."""

    vector: Vector
    found: Matches


class Engine:
    """An index and its model at work; safe for any number of threads.

    The pictures of a batch are encoded and looked for by the same thread: nothing is handed
    on in between, and a request waits, and is woken, once. Searches by vector and by key
    have a thread of their own, so that they do not wait for a network.

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
        self._encoding: Batcher[Picture, Encoded] = Batcher(
            self._answer, wait=settings.batch_wait, name="encode",
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
            blank = Picture(self._preprocessor.pixels(_blank()), time.perf_counter(), None)
            self._results([self._encoding.submit(blank)])
        self.index.search(np.ones(self.index.dimension, dtype=np.float32), k=1)

    @property
    def model_name(self) -> str:
        """The kind of the model, such as "Autoencoder"; empty without one."""
        if not self.has_model:
            return ""
        encoder = self.index.encoder
        model = getattr(encoder, "model", None)
        return type(encoder if model is None else model).__name__

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
        return [encoded.vector for encoded in self._results(self._submit(images))]

    def search(self, search: Search) -> Matches:
        """Return the items nearest to a vector."""
        with self.metrics.stage("search_wait"):
            return self._results([self._searching.submit(search)])[0]

    def search_image(self, image: bytes, conditions: Search) -> Matches:
        """Return the items nearest to a picture, whose vector takes the place of the search's."""
        return self._results(self._submit([image], conditions))[0].found

    def close(self) -> None:
        """Finish what waits."""
        self._encoding.close()
        self._searching.close()

    def _submit(
        self, images: Sequence[bytes], search: Search | None = None
    ) -> list[Future[Encoded]]:
        """Decode pictures on this thread, and hand them over to be encoded."""
        self._need_model()
        with self._encoding.expecting():
            with self._decoding, self.metrics.stage("decode"):
                decoded = [self._preprocessor.pixels(image) for image in images]
            since = time.perf_counter()
            return [self._encoding.submit(Picture(pixels, since, search)) for pixels in decoded]

    def _need_model(self) -> None:
        if not self.has_model:
            raise ProblemError(
                422, "no-model", "This index was made without a model; search by vector or key."
            )

    def _results(self, futures: Sequence[Future[Made]]) -> list[Made]:
        """Wait for results, not longer than a request may take."""
        until = time.monotonic() + self.settings.timeout
        try:
            return [future.result(max(0.0, until - time.monotonic())) for future in futures]
        except FutureTimeoutError:
            for future in futures:
                future.cancel()
            raise busy(f"No answer within {self.settings.timeout:g} seconds; try again.") from None

    def _answer(self, pictures: list[Picture]) -> list[Encoded | Exception]:
        """Encode pictures together, and look for what is nearest to those that want it."""
        vectors = self._encode(pictures)
        encoded = time.perf_counter()
        answers = [_sound(vector) for vector in vectors]
        wanted: dict[int, Search] = {}
        for number, (picture, answer) in enumerate(zip(pictures, answers, strict=True)):
            if picture.search is not None and isinstance(answer, Encoded):
                wanted[number] = replace(picture.search, vector=answer.vector)
        for number, found in zip(wanted, self._search(list(wanted.values())), strict=True):
            answers[number] = (
                found if isinstance(found, Exception) else Encoded(vectors[number], found)
            )
            self.metrics.observe("search_wait", time.perf_counter() - encoded)
        return answers

    def _encode(self, pictures: list[Picture]) -> Vector:
        with self.metrics.stage("encode"):
            # NB: bytes, which the encoder scales; as numbers they would be four times as many.
            vectors = self.index.encoder.encode(_stacked([one.pixels for one in pictures]))
        now = time.perf_counter()
        for picture in pictures:
            self.metrics.observe("encode_wait", now - picture.since)
        return vectors

    def _search(self, searches: list[Search]) -> list[Matches | Exception]:
        """Answer searches, together where they have the same conditions."""
        alike: dict[tuple[Any, ...], list[int]] = {}
        for number, search in enumerate(searches):
            alike.setdefault(search.conditions, []).append(number)
        found: dict[int, Matches | Exception] = {}
        for numbers in alike.values():
            results = self._search_alike([searches[number] for number in numbers])
            found.update(zip(numbers, results, strict=True))
        return [found[number] for number in range(len(searches))]

    def _search_alike(self, searches: list[Search]) -> Sequence[Matches | Exception]:
        """Answer searches with the same conditions; what fails them does so for all of them."""
        first = searches[0]
        try:
            with self.metrics.stage("search"):
                results = self.index.search_batch(
                    np.stack([search.vector for search in searches if search.vector is not None]),
                    max(search.k for search in searches),
                    where=first.where,
                    exclude=first.exclude,
                )
        except Exception as error:
            return [error] * len(searches)
        return [_narrowed(r, search) for r, search in zip(results, searches, strict=True)]


def _stacked(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    # NB: np.stack gives the GIL up, and has to wait for it, at each of them.
    joined = b"".join(picture.data for picture in pictures)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(pictures), *pictures[0].shape)


def _sound(vector: Vector) -> Encoded | Exception:
    """Return an embedding, nothing being found yet, or the problem that it has no direction."""
    if np.isfinite(vector).all() and vector.any():
        return Encoded(vector, Matches([]))
    return ProblemError(
        422, "no-embedding", "The network answers with zeros only: nothing to compare."
    )


def _narrowed(matches: Matches, search: Search) -> Matches:
    """Leave out what one search of a batch did not ask for."""
    if search.min_score is None and len(matches) <= search.k:
        return matches
    least = -2.0 if search.min_score is None else search.min_score
    return Matches([match for match in matches[: search.k] if match.score >= least])


def _blank() -> NDArray[np.uint8]:
    return np.full((8, 8), 128, dtype=np.uint8)


def unit(vector: object, dimension: int) -> Vector:
    """Return a client's vector as float32 of length 1, or a problem that says what is wrong."""
    try:
        with np.errstate(over="ignore"):  # too large for float32: an error all the same
            return unit_vectors(vector, dimension).reshape(dimension)
    except (OverflowError, TypeError, ValueError) as error:
        if isinstance(error, ProblemError):
            raise
        raise ProblemError(422, "invalid-vector", str(error)) from error


def opened(directory: Path) -> Index:
    """Open the index that a folder, or a link to one, leads to now."""
    # NB: resolved once, so that a link that is moved does not mix two indexes.
    return Index.open(directory.resolve())
