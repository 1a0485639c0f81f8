"""Encoding of images for an index: decoded in parallel, encoded in batches."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from pyimgret.exceptions import DimensionMismatchError, ImageDecodeError, InvalidArgumentError
from pyimgret.index.storage.arrays import Array, EncoderLike, Floats
from pyimgret.index.storage.items import as_list
from pyimgret.index.storage.records import Source, Thumbnail
from pyimgret.preprocessing import as_vectors, check_image, decode, unit_vectors

T = TypeVar("T")

BATCH = 128
"""Number of images encoded and committed together."""

_THUMBNAIL_SIDE = 128
_SMALL_SIDE = 64


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
    """Decode one image for both the network and the thumbnail."""
    if isinstance(image, np.ndarray) and np.issubdtype(image.dtype, np.floating):
        return Prepared(image)
    preprocessor = encoder.preprocessor
    decoded = decode(image, "RGB", max_pixels=preprocessor.max_pixels)
    return Prepared(preprocessor.pixels(decoded), _thumbnail(decoded) if thumbnails else None)


def query_vector(query: Any, dimension: int, encoder: Callable[[], EncoderLike]) -> Floats:
    """Return the vector (d,) of one query: a vector, or an image, which needs the encoder."""
    vector = as_vectors(query, dimension)
    if vector is None:
        check_image(query, dimension)
        model = encoder()
        pixels = np.asarray(prepare(query, model, thumbnails=False).pixels)
        return unit_vectors(model.encode(pixels[None]), dimension).reshape(dimension)
    if vector.ndim == 1:
        return vector
    raise InvalidArgumentError(
        f"search takes one query, got {len(vector)} vectors; pass them one by one, or use "
        "Index.search_batch."
    )


def query_vectors(queries: Any, dimension: int, encoder: Callable[[], EncoderLike]) -> Floats:
    """Return the vectors (n, d) of queries; see `query_vector`."""
    vectors = as_vectors(queries, dimension)
    if vectors is not None:
        return np.atleast_2d(vectors)
    if not isinstance(queries, np.ndarray) or queries.ndim <= 2:
        queries = as_list(queries, "images")
        for image in queries:
            check_image(image, dimension)
        if not queries:
            return np.empty((0, dimension), dtype=np.float32)
    return unit_vectors(encoder().encode(queries), dimension)


def source_of(path: bytes | str | os.PathLike[str]) -> Source:
    """Return path, size, time and checksum of a file.

    Anything but a regular file is rejected: opening a pipe would block forever.
    """
    raw = os.path.abspath(os.fsencode(path))  # noqa: PTH100  (pathlib knows no bytes)
    status = os.stat(raw)  # noqa: PTH116
    if not stat.S_ISREG(status.st_mode):
        raise ImageDecodeError("not a regular file")
    return Source(raw, status.st_size, status.st_mtime_ns, checksum(raw))


def checksum(path: bytes) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").hexdigest()


def encode_stream(
    tasks: Iterable[T], load: Callable[[T], Prepared], encoder: EncoderLike | None
) -> Iterator[list[Outcome[T]]]:
    """Yield the outcomes of tasks in order, one batch at a time.

    Threads decode (Pillow releases the GIL) while the caller's thread encodes.
    At most three batches of images are in memory at a time. Without pixels no encoder is needed.
    """
    iterator = iter(tasks)
    waiting: deque[tuple[T, Future[Prepared]]] = deque()
    with ThreadPoolExecutor(
        min(4, os.cpu_count() or 1), thread_name_prefix="pyimgret-decode"
    ) as pool:
        try:
            while True:
                while len(waiting) < 2 * BATCH and (task := next(iterator, None)) is not None:
                    waiting.append((task, pool.submit(load, task)))
                if not waiting:
                    return
                group = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]
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


def _encoded(group: list[Outcome[T]], encoder: EncoderLike | None) -> list[Outcome[T]]:
    """Encode the decoded images as one batch; those without a direction become failures."""
    pixels = {
        place: outcome.prepared.pixels
        for place, outcome in enumerate(group)
        if outcome.prepared is not None and outcome.prepared.pixels is not None
    }
    if not pixels:
        return group
    assert encoder is not None
    vectors = np.asarray(encoder.encode(_stacked(list(pixels.values()), encoder)), np.float32)
    sound = np.asarray(np.isfinite(vectors).all(axis=1) & vectors.any(axis=1))
    vectors[sound] = unit_vectors(vectors[sound], encoder.embedding_size)
    reason = "the network's output is all zeros or not finite: it cannot be compared"
    for place, vector, is_sound in zip(pixels, vectors, sound.tolist(), strict=True):
        if is_sound:
            group[place] = replace(group[place], vector=vector)
        else:
            group[place] = Outcome(group[place].task, reason=reason, permanent=True)
    return group


def _stacked(images: list[Array], encoder: EncoderLike) -> Array:
    """Return images as one array, all scaled if some are."""
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise DimensionMismatchError(
            f"The images have different shapes after preprocessing: {shapes}."
        )
    if len({image.dtype.kind for image in images}) > 1:
        images = [encoder.preprocessor(i) if i.dtype == np.uint8 else i for i in images]
    return np.stack(images)


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
