"""The engine: an index with its model, with batched encoding and search."""

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
    """A search: a unit vector (None until it is known) and the conditions."""

    vector: Vector | None
    k: int
    where: Filter | None = None
    min_score: float | None = None
    exclude: tuple[str, ...] = ()

    @property
    def conditions(self) -> tuple[Any, ...]:
        """The conditions that must be equal for searches to be batched."""
        return (repr(self.where), self.exclude)


class PendingImage(NamedTuple):
    """Preprocessed pixels, the time when they were queued, and the search, if any."""

    pixels: NDArray[np.uint8]
    since: float
    search: Search | None


class Encoded(NamedTuple):
    """The vector of an image, and the matches of its search, if any."""

    vector: Vector
    found: Matches


class Engine:
    """Thread-safe, batched access to an index and its model.

    The images of a batch are encoded and searched by the same thread: no hand-over
    is needed in between, and a request waits only once. Searches by vector and by key
    have their own thread, so that they do not wait for the network.

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
        # NB: more threads than cores would only cost memory.
        self._decoding = threading.BoundedSemaphore(max(2, available_cores()))
        common: dict[str, Any] = {"size": settings.batch_size, "queue_size": settings.queue_size}
        self._encoding: Batcher[PendingImage, Encoded] = Batcher(
            self._encode_and_search, wait=settings.batch_wait, name="encode",
            observe=metrics.batch("encode"), **common,
        )  # fmt: skip
        self._searching: Batcher[Search, Matches] = Batcher(
            self._search, wait=0.0, name="search", observe=metrics.batch("search"), **common
        )

    def warm_up(self) -> None:
        """Load model and vectors, and encode once, so that the first request is fast.

        Raises
        ------
        PyimgretError
            If the model cannot be loaded, or does not belong to the index.
        """
        if self.has_model:
            preprocessor = self.index.encoder.preprocessor
            # NB: the service's own limit replaces the model's.
            self._preprocessor = replace(preprocessor, max_pixels=self.settings.max_pixels)
            blank = PendingImage(self._preprocessor.pixels(_blank()), time.perf_counter(), None)
            self._results([self._encoding.submit(blank)])
        self.index.search(np.ones(self.index.dimension, dtype=np.float32), k=1)

    @property
    def model_name(self) -> str:
        """The class name of the model, such as "Autoencoder"; empty without a model."""
        if not self.has_model:
            return ""
        encoder = self.index.encoder
        model = getattr(encoder, "model", None)
        return type(encoder if model is None else model).__name__

    def checked(self, image: bytes) -> bytes:
        """Return an image after checking that it can be decoded and is not too large.

        Raises
        ------
        ProblemError, ImageDecodeError
        """
        self._require_model()
        decode(image, max_pixels=self.settings.max_pixels)
        return image

    def embed(self, images: Sequence[bytes]) -> list[Vector]:
        """Return the embeddings of images, each of length 1.

        Raises
        ------
        ImageDecodeError
            With the position of the unreadable image.
        ProblemError
            If the index has no model, or too many requests are waiting.
        """
        return [encoded.vector for encoded in self._results(self._submit(images))]

    def search(self, search: Search) -> Matches:
        """Search for the nearest items of a vector."""
        with self.metrics.stage("search_wait"):
            return self._results([self._searching.submit(search)])[0]

    def search_image(self, image: bytes, conditions: Search) -> Matches:
        """Search for the nearest items of an image, with the given conditions."""
        return self._results(self._submit([image], conditions))[0].found

    def close(self) -> None:
        """Process the waiting requests and stop."""
        self._encoding.close()
        self._searching.close()

    def _submit(
        self, images: Sequence[bytes], search: Search | None = None
    ) -> list[Future[Encoded]]:
        """Decode images on this thread, and hand them over encoded."""
        self._require_model()
        with self._encoding.expecting():
            with self._decoding, self.metrics.stage("decode"):
                decoded = [self._preprocessor.pixels(image) for image in images]
            since = time.perf_counter()
            return [
                self._encoding.submit(PendingImage(pixels, since, search)) for pixels in decoded
            ]

    def _require_model(self) -> None:
        if not self.has_model:
            raise ProblemError(422, "no-model", "This index has no model; search by vector or key.")

    def _results(self, futures: Sequence[Future[Made]]) -> list[Made]:
        """Wait for results, at most as long as a request may take."""
        until = time.monotonic() + self.settings.timeout
        try:
            return [future.result(max(0.0, until - time.monotonic())) for future in futures]
        except FutureTimeoutError:
            for future in futures:
                future.cancel()
            raise busy(
                f"Not finished within {self.settings.timeout:g} seconds; try again."
            ) from None

    def _encode_and_search(self, images: list[PendingImage]) -> list[Encoded | Exception]:
        """Encode images as a batch, and search for those that have a search."""
        vectors = self._encode(images)
        encoded = time.perf_counter()
        answers = [_to_encoded(vector) for vector in vectors]
        wanted: dict[int, Search] = {}
        for number, (image, answer) in enumerate(zip(images, answers, strict=True)):
            if image.search is not None and isinstance(answer, Encoded):
                wanted[number] = replace(image.search, vector=answer.vector)
        for number, found in zip(wanted, self._search(list(wanted.values())), strict=True):
            answers[number] = (
                found if isinstance(found, Exception) else Encoded(vectors[number], found)
            )
            self.metrics.observe("search_wait", time.perf_counter() - encoded)
        return answers

    def _encode(self, images: list[PendingImage]) -> Vector:
        with self.metrics.stage("encode"):
            # NB: uint8, which the encoder scales; float32 would be four times as large.
            vectors = self.index.encoder.encode(_stacked([one.pixels for one in images]))
        now = time.perf_counter()
        for image in images:
            self.metrics.observe("encode_wait", now - image.since)
        return vectors

    def _search(self, searches: list[Search]) -> list[Matches | Exception]:
        """Run searches, batched by equal conditions."""
        alike: dict[tuple[Any, ...], list[int]] = {}
        for number, search in enumerate(searches):
            alike.setdefault(search.conditions, []).append(number)
        found: dict[int, Matches | Exception] = {}
        for numbers in alike.values():
            results = self._search_alike([searches[number] for number in numbers])
            found.update(zip(numbers, results, strict=True))
        return [found[number] for number in range(len(searches))]

    def _search_alike(self, searches: list[Search]) -> Sequence[Matches | Exception]:
        """Run searches with equal conditions; an error applies to all of them."""
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


def _stacked(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    # NB: np.stack releases the GIL, and has to wait for it, for every image.
    joined = b"".join(image.data for image in images)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(images), *images[0].shape)


def _to_encoded(vector: Vector) -> Encoded | Exception:
    """Return an embedding without matches, or an error if it has no direction."""
    if np.isfinite(vector).all() and vector.any():
        return Encoded(vector, Matches([]))
    return ProblemError(
        422, "no-embedding", "The network's output is all zeros: it cannot be compared."
    )


def _narrowed(matches: Matches, search: Search) -> Matches:
    """Reduce the matches of a batch to those of one search."""
    if search.min_score is None and len(matches) <= search.k:
        return matches
    least = -2.0 if search.min_score is None else search.min_score
    return Matches([match for match in matches[: search.k] if match.score >= least])


def _blank() -> NDArray[np.uint8]:
    return np.full((8, 8), 128, dtype=np.uint8)


def unit(vector: object, dimension: int) -> Vector:
    """Normalize a client's vector to float32 of length 1, or raise `ProblemError`."""
    try:
        with np.errstate(over="ignore"):  # overflow is reported as an error below
            return unit_vectors(vector, dimension).reshape(dimension)
    except (OverflowError, TypeError, ValueError) as error:
        if isinstance(error, ProblemError):
            raise
        raise ProblemError(422, "invalid-vector", str(error)) from error


def open_index(directory: Path) -> Index:
    """Open the index of a folder, or of a symbolic link to one."""
    # NB: resolve once, so that changing the link does not mix two indexes.
    return Index.open(directory.resolve())
