"""Pictures on their way into an index: decoded in parallel, encoded in batches."""

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
"""Pictures encoded, and committed, together."""

_THUMBNAIL_SIDE = 128
_SMALL_SIDE = 64


@dataclass(slots=True)
class Report:
    """What `Index.add` did.

    Attributes
    ----------
    added : list of str
        Keys that are in the index now.
    ids : list of str
        Their opaque ids.
    failed : list of ImageFailure
        Pictures that could not be read.
    """

    added: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    failed: list[ImageFailure] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A decoded picture: its pixels at the size of the network, and a small copy for people.

    Without pixels it is a file that needs no encoding, because its content is known.
    """

    pixels: Array | None
    thumbnail: Thumbnail | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """One task with its vector, or with the reason why there is none.

    A ``lasting`` reason lies in the picture itself: as long as the file stays, it does.
    """

    task: T
    vector: Floats | None = None
    prepared: Prepared | None = None
    reason: str = ""
    lasting: bool = False


def prepare(image: Any, encoder: EncoderLike, *, thumbnails: bool = True) -> Prepared:
    """Decode one picture once, for the network and for the thumbnail.

    Raises
    ------
    ImageDecodeError
        When it cannot be read.
    """
    from pyimgret.preprocessing import decode

    if isinstance(image, np.ndarray) and np.issubdtype(image.dtype, np.floating):
        return Prepared(image)
    preprocessor = encoder.preprocessor
    picture = decode(image, "RGB", max_pixels=preprocessor.max_pixels)
    return Prepared(preprocessor.pixels(picture), _thumbnail(picture) if thumbnails else None)


def encode_stream(
    tasks: Iterable[T],
    load: Callable[[T], Prepared],
    encoder: EncoderLike,
    *,
    batch: int = BATCH,
    workers: int | None = None,
) -> Iterator[list[Outcome[T]]]:
    """Yield the outcomes of tasks, a batch at a time and in their order.

    Threads decode (Pillow lets them run in parallel) while the caller's thread encodes.
    At most three batches of pictures exist at a time, however many tasks there are.
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
    """Return what a decoding thread made, or the reason why it could not."""
    try:
        return Outcome(task, prepared=future.result())
    except ImageDecodeError as error:
        return Outcome(task, reason=error.reason, lasting=True)
    except OSError as error:
        return Outcome(task, reason=error.strerror or str(error))
    except MemoryError:
        return Outcome(task, reason="not enough memory to decode it")


def _encoded(group: list[Outcome[T]], encoder: EncoderLike) -> list[Outcome[T]]:
    """Encode what was decoded, as one batch."""
    images = [outcome.prepared.pixels for outcome in group if outcome.prepared is not None]
    vectors = iter(_vectors([image for image in images if image is not None], encoder))
    return [
        outcome
        if outcome.prepared is None or outcome.prepared.pixels is None
        else _with(outcome, next(vectors))
        for outcome in group
    ]


def _with(outcome: Outcome[T], vector: Floats) -> Outcome[T]:
    """Return the outcome with its vector, or with the reason why that has no direction."""
    if np.isfinite(vector).all() and vector.any():
        return replace(outcome, vector=vector)
    reason = "the network answers with zeros only (or no numbers): nothing to compare"
    return replace(outcome, prepared=None, reason=reason, lasting=True)


def _vectors(images: list[Array], encoder: EncoderLike) -> Floats:
    if not images:
        return np.empty((0, encoder.embedding_size), dtype=np.float32)
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise DimensionMismatchError(f"The pictures became tensors of unlike shapes: {shapes}.")
    if len({image.dtype.kind for image in images}) > 1:  # some are scaled already
        images = [encoder.preprocessor(i) if i.dtype == np.uint8 else i for i in images]
    vectors = np.asarray(encoder.encode(np.stack(images)), dtype=np.float32)
    sound = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    vectors[sound] = unit_vectors(vectors[sound], encoder.embedding_size)
    return vectors


def _thumbnail(picture: Any) -> Thumbnail:
    """Return a small copy: PNG for what is tiny anyway, JPEG otherwise."""
    buffer = io.BytesIO()
    if max(picture.size) <= _SMALL_SIDE:
        picture.save(buffer, "PNG")
        return Thumbnail("image/png", buffer.getvalue())
    small = picture.copy()
    small.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    small.save(buffer, "JPEG", quality=85)
    return Thumbnail("image/jpeg", buffer.getvalue())
