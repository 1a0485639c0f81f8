"""Encoding of images for an index: decoded in parallel, encoded in batches."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import numpy as np

from pyimgret.exceptions import DimensionMismatchError, ImageDecodeError
from pyimgret.files.failures import ImageFailure
from pyimgret.index.storage.arrays import Array, EncoderLike, Floats
from pyimgret.index.storage.items import Source, Thumbnail
from pyimgret.preprocessing import unit_vectors

T = TypeVar("T")

BATCH = 128
"""Number of images encoded and committed together."""

_THUMBNAIL_SIDE = 128
_SMALL_SIDE = 64


@dataclass(slots=True)
class Report:
    """The result of `Index.add`.

    Attributes
    ----------
    added : list of str
        Keys that were added.
    ids : list of str
        Their opaque ids.
    failed : list of ImageFailure
        Images that could not be read.
    """

    added: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    failed: list[ImageFailure] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A decoded image: its pixels at the network's input size, and a thumbnail.

    Without pixels it is a file whose content is known and needs no encoding.
    """

    pixels: Array | None
    thumbnail: Thumbnail | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """One task with its vector, or with the reason why there is none.

    A ``permanent`` failure is one of the content: it recurs until the file changes.
    """

    task: T
    vector: Floats | None = None
    prepared: Prepared | None = None
    reason: str = ""
    permanent: bool = False


def prepare(image: Any, encoder: EncoderLike, *, thumbnails: bool = True) -> Prepared:
    """Decode one image for both the network and the thumbnail.

    Raises
    ------
    ImageDecodeError
        If it cannot be read.
    """
    from pyimgret.preprocessing import decode

    if isinstance(image, np.ndarray) and np.issubdtype(image.dtype, np.floating):
        return Prepared(image)
    preprocessor = encoder.preprocessor
    decoded = decode(image, "RGB", max_pixels=preprocessor.max_pixels)
    return Prepared(preprocessor.pixels(decoded), _thumbnail(decoded) if thumbnails else None)


def encode_stream(
    tasks: Iterable[T],
    load: Callable[[T], Prepared],
    encoder: EncoderLike,
    *,
    batch: int = BATCH,
    workers: int | None = None,
) -> Iterator[list[Outcome[T]]]:
    """Yield the outcomes of tasks in order, one batch at a time.

    Threads decode (Pillow releases the GIL) while the caller's thread encodes.
    At most three batches of images are in memory at a time.
    """
    count = workers or min(4, os.cpu_count() or 1)
    iterator = iter(tasks)
    waiting: deque[tuple[T, Future[Prepared]]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="pyimgret-decode") as pool:
        try:
            while True:
                while len(waiting) < 2 * batch and (task := next(iterator, None)) is not None:
                    waiting.append((task, pool.submit(load, task)))
                if not waiting:
                    return
                group = [waiting.popleft() for _ in range(min(batch, len(waiting)))]
                yield _encoded([_result(*one) for one in group], encoder)
        finally:
            for _, future in waiting:
                future.cancel()


def _result(task: T, future: Future[Prepared]) -> Outcome[T]:
    """Return the result of a decoding thread, or the reason of its failure."""
    try:
        return Outcome(task, prepared=future.result())
    except ImageDecodeError as error:
        return Outcome(task, reason=error.reason, permanent=True)
    except OSError as error:
        return Outcome(task, reason=error.strerror or str(error))
    except MemoryError:
        return Outcome(task, reason="not enough memory to decode")


def _encoded(group: list[Outcome[T]], encoder: EncoderLike) -> list[Outcome[T]]:
    """Encode the decoded images as one batch."""
    images = [outcome.prepared.pixels for outcome in group if outcome.prepared is not None]
    vectors = iter(_vectors([image for image in images if image is not None], encoder))
    return [
        outcome
        if outcome.prepared is None or outcome.prepared.pixels is None
        else _with(outcome, next(vectors))
        for outcome in group
    ]


def _with(outcome: Outcome[T], vector: Floats) -> Outcome[T]:
    """Return the outcome with its vector, or as a failure if the vector has no direction."""
    if np.isfinite(vector).all() and vector.any():
        return replace(outcome, vector=vector)
    reason = "the network's output is all zeros or not finite: it cannot be compared"
    return replace(outcome, prepared=None, reason=reason, permanent=True)


def _vectors(images: list[Array], encoder: EncoderLike) -> Floats:
    if not images:
        return np.empty((0, encoder.embedding_size), dtype=np.float32)
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise DimensionMismatchError(
            f"The images have different shapes after preprocessing: {shapes}."
        )
    if len({image.dtype.kind for image in images}) > 1:  # some are already scaled
        images = [encoder.preprocessor(i) if i.dtype == np.uint8 else i for i in images]
    vectors = np.asarray(encoder.encode(np.stack(images)), dtype=np.float32)
    sound = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    vectors[sound] = unit_vectors(vectors[sound], encoder.embedding_size)
    return vectors


def _thumbnail(image: Any) -> Thumbnail:
    """Return a thumbnail: PNG for tiny images, JPEG otherwise."""
    buffer = io.BytesIO()
    if max(image.size) <= _SMALL_SIDE:
        image.save(buffer, "PNG")
        return Thumbnail("image/png", buffer.getvalue())
    small = image.copy()
    small.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    small.save(buffer, "JPEG", quality=85)
    return Thumbnail("image/jpeg", buffer.getvalue())
