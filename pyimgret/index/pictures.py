"""Pictures on their way into an index: decoded in parallel, encoded in batches."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from pyimgret.exceptions import DimensionMismatchError, ImageDecodeError
from pyimgret.index.items import Source, Thumbnail
from pyimgret.index.types import Array, EncoderLike, Floats
from pyimgret.index.vectors import normalised

T = TypeVar("T")

BATCH = 128
"""Pictures encoded, and committed, together."""

_THUMBNAIL_SIDE = 128
_SMALL_SIDE = 64


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that could not be added, and why."""

    key: str
    reason: str


@dataclass(slots=True)
class Report:
    """What `Index.add` did.

    Attributes
    ----------
    added : list of str
        Keys that are in the index now.
    failed : list of Failure
        Pictures that could not be read.
    """

    added: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A decoded picture: what the network reads, and a small copy for people."""

    tensor: Array
    thumbnail: Thumbnail | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """One task with its vector, or with the reason why there is none."""

    task: T
    vector: Floats | None = None
    prepared: Prepared | None = None
    reason: str = ""


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
    tensor = preprocessor(picture)
    return Prepared(tensor, _thumbnail(picture) if thumbnails else None)


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
                yield _encoded([(task, _result(future)) for task, future in group], encoder)
        finally:
            for _, future in waiting:
                future.cancel()


def _result(future: Future[Prepared]) -> Prepared | str:
    """Return what a decoding thread made, or the reason why it could not."""
    try:
        return future.result()
    except ImageDecodeError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    except MemoryError:
        return "not enough memory to decode it"


def _encoded(group: list[tuple[T, Prepared | str]], encoder: EncoderLike) -> list[Outcome[T]]:
    """Encode what was decoded, as one batch."""
    good = [prepared for _, prepared in group if isinstance(prepared, Prepared)]
    vectors = iter(_vectors(good, encoder))
    return [
        Outcome(task, next(vectors), prepared)
        if isinstance(prepared, Prepared)
        else Outcome(task, reason=prepared)
        for task, prepared in group
    ]


def _vectors(prepared: list[Prepared], encoder: EncoderLike) -> Floats:
    if not prepared:
        return np.empty((0, encoder.embedding_size), dtype=np.float32)
    shapes = {one.tensor.shape for one in prepared}
    if len(shapes) > 1:
        raise DimensionMismatchError(f"The pictures became tensors of unlike shapes: {shapes}.")
    vectors = encoder.encode_tensors(np.stack([one.tensor for one in prepared]))
    return normalised(vectors, encoder.embedding_size)


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
