"""The engine (an index with its model, batched encoding and search) and the service around it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
from flask import current_app
from numpy.typing import NDArray

from pyimgret.explain import heat_maps
from pyimgret.index import Index, Matches
from pyimgret.index.filters import Filter
from pyimgret.jvm import available_cores
from pyimgret.preprocessing import decode, unit_vectors
from pyimgret_server.batcher import Batcher
from pyimgret_server.keys import KeyFile
from pyimgret_server.limits import RateLimiter
from pyimgret_server.logs import redacted_traceback
from pyimgret_server.metrics import Metrics
from pyimgret_server.problems import ProblemError, busy
from pyimgret_server.settings import Settings

Vector: TypeAlias = NDArray[np.float32]
Made = TypeVar("Made")
Explainer: TypeAlias = Callable[[Any, bytes, bytes], tuple[float, Vector, Vector]]
"""Computes a score and two heat maps, as `pyimgret.explain.heat_maps`."""

_log = logging.getLogger("pyimgret_server")


class Search(NamedTuple):
    """The conditions of a search, which its schema has checked."""

    k: int
    where: Filter | None = None
    min_score: float | None = None
    exclude: tuple[str, ...] = ()


class PendingImage(NamedTuple):
    """Preprocessed pixels, the time when they were queued, and the search, if any."""

    pixels: NDArray[np.uint8]
    since: float
    search: Search | None


class PendingVector(NamedTuple):
    """A unit vector and its search."""

    vector: Vector
    search: Search


class Engine:
    """Thread-safe, batched access to an index and its model.

    The images of a batch are encoded and searched by the same thread, so that a
    request waits only once. Searches by vector and by key
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
        self.stages = metrics.stages
        self.has_model = bool(index.model_checksum)
        self._preprocessor: Any = None
        # NB: more threads than cores would only cost memory.
        self._decoding = threading.BoundedSemaphore(max(2, available_cores()))
        common: dict[str, Any] = {"size": settings.batch_size, "queue_size": settings.queue_size}
        self._encoding: Batcher[PendingImage, Any] = Batcher(
            self._encode_and_search,
            name="encode",
            wait=settings.batch_wait,
            observe=_observer(metrics, "encode"),
            **common,
        )
        self._searching: Batcher[PendingVector, Matches] = Batcher(
            self._search, name="search", wait=0.0, observe=_observer(metrics, "search"), **common
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
            grey = self._preprocessor.pixels(np.full((8, 8), 128, dtype=np.uint8))
            self._results([self._encoding.submit(PendingImage(grey, time.perf_counter(), None))])
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
        return self._results(self._submit(images))

    def search(self, vector: Vector, search: Search) -> Matches:
        """Search for the nearest items of a vector."""
        with self.stages["search_wait"].time():
            return self._results([self._searching.submit(PendingVector(vector, search))])[0]

    def search_image(self, image: bytes, search: Search) -> Matches:
        """Search for the nearest items of an image."""
        return cast(Matches, self._results(self._submit([image], search))[0])

    def close(self) -> None:
        """Process the waiting requests and stop."""
        self._encoding.close()
        self._searching.close()

    def _submit(self, images: Sequence[bytes], search: Search | None = None) -> list[Future[Any]]:
        """Decode images on this thread, and queue them for encoding."""
        self._require_model()
        with self._encoding.expecting():
            with self._decoding, self.stages["decode"].time():
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

    def _encode_and_search(self, images: list[PendingImage]) -> list[Any]:
        """Return the matches of images with a search, and the vectors of the others."""
        results: list[Any] = [_checked_vector(vector) for vector in self._encode(images)]
        encoded = time.perf_counter()
        wanted = {
            number: PendingVector(result, image.search)
            for number, (image, result) in enumerate(zip(images, results, strict=True))
            if image.search is not None and not isinstance(result, Exception)
        }
        for number, found in zip(wanted, self._search(list(wanted.values())), strict=True):
            results[number] = found
            self.stages["search_wait"].observe(time.perf_counter() - encoded)
        return results

    def _encode(self, images: list[PendingImage]) -> Vector:
        with self.stages["encode"].time():
            # NB: uint8, which the encoder scales; float32 would be four times as large.
            vectors = self.index.encoder.encode(_stacked([one.pixels for one in images]))
        now = time.perf_counter()
        for image in images:
            self.stages["encode_wait"].observe(now - image.since)
        return vectors

    def _search(self, queries: list[PendingVector]) -> list[Matches | Exception]:
        """Run searches, batched by equal filters and exclusions."""
        alike: dict[tuple[Any, ...], list[int]] = {}
        for number, (_, search) in enumerate(queries):
            alike.setdefault((repr(search.where), search.exclude), []).append(number)
        found: dict[int, Matches | Exception] = {}
        for numbers in alike.values():
            results = self._search_alike([queries[number] for number in numbers])
            found.update(zip(numbers, results, strict=True))
        return [found[number] for number in range(len(queries))]

    def _search_alike(self, queries: list[PendingVector]) -> Sequence[Matches | Exception]:
        """Run searches with equal conditions; an error applies to all of them."""
        first = queries[0].search
        try:
            with self.stages["search"].time():
                results = self.index.search_batch(
                    np.stack([query.vector for query in queries]),
                    max(query.search.k for query in queries),
                    where=first.where,
                    exclude=first.exclude,
                )
        except Exception as error:
            return [error] * len(queries)
        return [_narrowed(r, query.search) for r, query in zip(results, queries, strict=True)]


def _observer(metrics: Metrics, stage: str) -> Callable[[int, float], None]:
    """Return a function that records the batches of a worker."""
    sizes, waits = metrics.batch_size.labels(stage), metrics.queue_seconds.labels(stage)

    def observe(size: int, seconds: float) -> None:
        sizes.observe(size)
        waits.observe(seconds)

    return observe


def _stacked(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    # NB: np.stack releases the GIL, and has to wait for it, for every image.
    joined = b"".join(image.data for image in images)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(images), *images[0].shape)


def _checked_vector(vector: Vector) -> Vector | Exception:
    """Return an embedding, or an error if it has no direction."""
    if np.isfinite(vector).all() and vector.any():
        return vector
    return ProblemError(
        422, "no-embedding", "The network's output is all zeros: it cannot be compared."
    )


def _narrowed(matches: Matches, search: Search) -> Matches:
    """Reduce the matches of a batch to those of one search."""
    if search.min_score is None and len(matches) <= search.k:
        return matches
    least = -2.0 if search.min_score is None else search.min_score
    return Matches([match for match in matches[: search.k] if match.score >= least])


def unit(vector: object, dimension: int) -> Vector:
    """Normalize a client's vector to float32 of length 1, or raise `ProblemError`."""
    try:
        with np.errstate(over="ignore"):  # overflow is reported as an error below
            return unit_vectors(vector, dimension).reshape(dimension)
    except (OverflowError, TypeError, ValueError) as error:
        raise ProblemError(422, "invalid-vector", str(error)) from error


class Service:
    """The state of an application: its engine, which can be replaced, and its limits.

    Parameters
    ----------
    index : Index or path
        A path is opened and closed here; an `Index` stays open.
    settings : Settings
    explainer : callable, optional
        Computes heat maps; by default `pyimgret.explain.heat_maps`.
    """

    def __init__(
        self, index: Index | Path, settings: Settings, explainer: Explainer | None = None
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.explainer: Explainer = explainer or heat_maps
        self.keys = KeyFile(settings.api_keys) if settings.api_keys else None
        self.limiter = RateLimiter(settings.rate) if settings.rate else None
        self.stopping = False
        self._given = index if isinstance(index, Index) else None
        self._location = index if isinstance(index, Path) else index.directory
        self._lock = threading.Lock()
        self._change = threading.Condition()
        self._users: dict[Engine, int] = {}
        self._engine = self._create_engine(self._given)
        self.metrics.items.set_function(lambda: len(self._engine.index))

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Yield the engine, which is not closed during the block."""
        with self._change:
            engine = self._engine
            self._users[engine] = self._users.get(engine, 0) + 1
        try:
            yield engine
        finally:
            with self._change:
                self._users[engine] -= 1
                self._change.notify_all()

    def reload(self) -> bool:
        """Reopen the index and replace the old one.

        If the index or its model cannot be loaded, the old one is kept. Returns whether it changed.
        """
        with self._lock:
            try:
                new = self._create_engine()
            except Exception as error:
                trace = redacted_traceback(error)
                _log.error(
                    "the index %s cannot be loaded; the old one is kept: %s", self._location, trace
                )
                return False
            with self._change:
                old, self._engine = self._engine, new
                self._change.wait_for(lambda: not self._users.get(old))
                self._users.pop(old, None)
            self._close(old)
            _log.info("the index was reloaded: %d items", len(new.index))
            return True

    def close(self) -> None:
        """Process the waiting requests and close the index."""
        self.stopping = True
        self._close(self._engine)

    def _close(self, engine: Engine) -> None:
        engine.close()
        if engine.index is not self._given:
            engine.index.close()

    def _create_engine(self, index: Index | None = None) -> Engine:
        # NB: resolve once, so that changing a link does not mix two indexes.
        engine = Engine(index or Index.open(self._location.resolve()), self.settings, self.metrics)
        try:
            engine.warm_up()
        except BaseException:
            self._close(engine)
            raise
        return engine


def current_service() -> Service:
    """Return the service of the current application."""
    return cast(Service, current_app.extensions["pyimgret"])
