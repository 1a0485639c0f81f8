"""The data of each image of an index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pyimgret.index.storage.arrays import Floats


@dataclass(frozen=True, slots=True)
class Source:
    """The file an image came from.

    Attributes
    ----------
    path : bytes
        Absolute path as the file system's bytes.
    size : int
        Bytes.
    mtime_ns : int
        Modification time in nanoseconds.
    checksum : str
        SHA-256, hexadecimal.
    root : int or None
        The id of the synchronized folder (table ``roots``).
    """

    path: bytes
    size: int
    mtime_ns: int
    checksum: str
    root: int | None = None


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """An encoded thumbnail and its media type."""

    media_type: str
    image: bytes


class Record(NamedTuple):
    """One image to be inserted into the index."""

    key: str
    vector: Floats
    metadata: str = "{}"
    source: Source | None = None
    thumbnail: Thumbnail | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One image of an index, returned by `Index.get`.

    Attributes
    ----------
    key, id : str
        The image's key, and the opaque id that never changes.
    vector : ndarray of shape (d,)
        The embedding, of length 1.
    metadata : dict
        The metadata stored with the image.
    source : Source or None
        The file it came from.
    """

    key: str
    id: str
    vector: Floats
    metadata: dict[str, Any] = field(default_factory=dict)
    source: Source | None = None
