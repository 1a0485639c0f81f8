"""Items: the data of each image, and the SQL statements that read and write it."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from pyimgret.exceptions import IndexStoreError, InvalidArgumentError, KeyNotFoundError
from pyimgret.index.storage.arrays import Floats

Described: TypeAlias = tuple[str, str, str, int]
"""Key, opaque id, metadata as stored JSON text, and row id."""

_PAGE = 8192
_VARIABLES = 30_000


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


def to_json(metadata: object) -> str:
    """Return metadata as JSON text for storage.

    Raises
    ------
    ValueError
        If it is not a dict of plain JSON values.
    """
    if metadata is None:
        return "{}"
    if not isinstance(metadata, dict) or not all(isinstance(name, str) for name in metadata):
        raise InvalidArgumentError(f"Metadata must be a dict with str names, not {metadata!r:.80}.")
    try:
        # NB: names must be stored unescaped, or SQLite's JSON paths would not match them.
        return json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"Metadata {metadata!r:.80} is not plain JSON: {error}."
        ) from error


def check_key(key: object) -> str:
    """Return a key if it is valid, else raise ValueError."""
    if not isinstance(key, str) or not key:
        raise InvalidArgumentError(f"A key must be a non-empty str, got {key!r:.80}.")
    if "\0" in key or any(0xD800 <= ord(character) <= 0xDFFF for character in key):
        raise InvalidArgumentError(
            f"{key!r:.80} is not valid UTF-8 text; pyimgret.index.key_from_path makes keys from "
            "any file name."
        )
    return key


def as_list(value: Any, what: str = "keys") -> list[Any]:
    """Return a single item as a list of one, and an iterable as a list.

    Examples
    --------
    >>> as_list("a.png"), as_list(["a.png", "b.png"])
    (['a.png'], ['a.png', 'b.png'])
    """
    if isinstance(value, (str, bytes, bytearray, memoryview, os.PathLike)):
        return [value]
    if hasattr(value, "getbands") or (isinstance(value, np.ndarray) and value.ndim == 2):
        return [value]
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise TypeError(f"Expected one of the {what} or a list, got {value!r:.80}.")
    return list(value)


def insert(connection: sqlite3.Connection, records: Sequence[Record], model: int) -> None:
    """Insert records that have ids."""
    first = _next_number(connection)
    row_ids = range(first, first + len(records))
    connection.executemany(
        "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (number, record.id, record.key, record.metadata, model, *source)
            for number, record, source in zip(
                row_ids, records, map(_source_columns, records), strict=True
            )
        ),
    )
    connection.executemany(
        "INSERT INTO vectors VALUES (?, ?, ?)",
        (
            (number, blob, crc(blob))
            for number, blob in zip(row_ids, map(_blob, records), strict=True)
        ),
    )
    connection.executemany(
        "INSERT INTO thumbnails VALUES (?, ?, ?)",
        (
            (number, record.thumbnail.media_type, record.thumbnail.image)
            for number, record in zip(row_ids, records, strict=True)
            if record.thumbnail
        ),
    )


def delete(connection: sqlite3.Connection, keys: Sequence[str]) -> int:
    """Delete the items of these keys and return their number."""
    cursor = connection.executemany("DELETE FROM items WHERE key = ?", ((key,) for key in keys))
    return cursor.rowcount


def count(connection: sqlite3.Connection) -> int:
    """Return the number of items."""
    return int(connection.execute("SELECT count(*) FROM items").fetchone()[0])


def ids(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, str]:
    """Return the opaque ids of those keys that exist."""
    found: dict[str, str] = {}
    for part in _parts(keys):
        marks = ",".join("?" * len(part))
        found.update(connection.execute(f"SELECT key, id FROM items WHERE key IN ({marks})", part))
    return found


def from_json(text: str, key: str) -> dict[str, Any]:
    """Parse stored metadata; raise an error if it is damaged."""
    if text == "{}":
        return {}
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise IndexStoreError(
            f"The metadata of {key!r} is damaged ({error}): set it again with Index.update; "
            "'pyimgret index check' lists all."
        ) from error
    return found


def metadata(connection: sqlite3.Connection, key: str) -> dict[str, Any]:
    """Return the metadata of a key; empty if there is no such key."""
    row = connection.execute("SELECT metadata FROM items WHERE key = ?", (key,)).fetchone()
    return {} if row is None else from_json(row[0], key)


def set_metadata(connection: sqlite3.Connection, key: str, text: str) -> None:
    """Replace the metadata of a key."""
    changed = connection.execute("UPDATE items SET metadata = ? WHERE key = ?", (text, key))
    if changed.rowcount == 0:
        raise no_such_key(key)


def thumbnail(connection: sqlite3.Connection, key: str) -> Thumbnail | None:
    """Return the thumbnail of a key, if there is one."""
    row = connection.execute(
        "SELECT media_type, image FROM items LEFT JOIN thumbnails USING (number) WHERE key = ?",
        (key,),
    ).fetchone()
    if row is None:
        raise no_such_key(key)
    return None if row[0] is None else Thumbnail(*row)


def no_such_key(name: str, *, by: str = "key") -> KeyNotFoundError:
    """Return the error for a key (or an id) that does not exist."""
    return KeyNotFoundError(f"The index has no image with the {by} {name!r}.")


def get(connection: sqlite3.Connection, key: str, *, by: str = "key") -> Item:
    """Return the item of a key (or of an id), or raise `KeyNotFoundError`."""
    row = connection.execute(
        "SELECT key, id, vector, crc, metadata, path, size, mtime_ns, checksum, root "
        f"FROM items JOIN vectors USING (number) WHERE {by} = ?",
        (key,),
    ).fetchone()
    if row is None:
        raise no_such_key(key, by=by)
    source = None if row[5] is None else Source(*row[5:10])
    vector = checked_vector(row[2], row[3], row[0])
    return Item(row[0], row[1], vector, from_json(row[4], row[0]), source)


def describe(connection: sqlite3.Connection, row_ids: Sequence[int]) -> dict[int, Described]:
    """Return key, id and metadata of each row id."""
    found: dict[int, Described] = {}
    for part in _parts(row_ids):
        marks = ",".join("?" * len(part))
        # NB: one row, because SQLite releases the GIL between rows, and others may keep it long.
        (rows,) = connection.execute(
            "SELECT json_group_array(json_array(key, id, metadata, number)) FROM items "
            f"WHERE number IN ({marks})",
            part,
        ).fetchone()
        found |= {row[3]: tuple(row) for row in json.loads(rows)}
    return found


def checksums(connection: sqlite3.Connection, row_ids: Sequence[int]) -> list[str | None]:
    """Return the file checksums of these row ids; None for images without a file."""
    found: list[str | None] = []
    for part in _parts(row_ids):
        marks = ",".join("?" * len(part))
        rows = connection.execute(f"SELECT checksum FROM items WHERE number IN ({marks})", part)
        found += [row[0] for row in rows]
    return found


def vectors_of(connection: sqlite3.Connection, row_ids: Sequence[int], dimension: int) -> Floats:
    """Return the vectors of these row ids in the same order, (n, dimension)."""
    found: dict[int, tuple[int, bytes, int]] = {}
    for part in _parts(row_ids):
        marks = ",".join("?" * len(part))
        rows = connection.execute(
            f"SELECT number, vector, crc FROM vectors WHERE number IN ({marks})", part
        )
        found.update((row[0], row) for row in rows)
    if not row_ids:
        return np.empty((0, dimension), dtype=np.float32)
    return _stack([found[number] for number in row_ids])


def pages(
    connection: sqlite3.Connection, *, after: int, size: int = _PAGE
) -> Iterator[tuple[list[int], Floats]]:
    """Yield row ids and vectors in ascending order, ``size`` at a time."""
    while True:
        rows = connection.execute(
            "SELECT number, vector, crc FROM vectors WHERE number > ? ORDER BY number LIMIT ?",
            (after, size),
        ).fetchall()
        if not rows:
            return
        yield [row[0] for row in rows], _stack(rows)
        after = rows[-1][0]


def crc(blob: bytes) -> int:
    """Return the checksum stored with a vector."""
    return zlib.crc32(blob)


def checked_vector(blob: bytes, expected: int, name: object) -> Floats:
    """Return a stored vector; raise an error if it does not match its checksum."""
    if crc(blob) != expected:
        raise IndexStoreError(
            f"The vector of {name!r} is damaged (its checksum differs). Delete the image and "
            "add it again, or restore a published copy; 'pyimgret index check' lists all."
        )
    return np.frombuffer(blob, dtype="<f4")


def _stack(rows: list[tuple[int, bytes, int]]) -> Floats:
    """Return the checked vectors of many rows as one array."""
    for number, blob, expected in rows:
        if zlib.crc32(blob) != expected:
            checked_vector(blob, expected, number)
    joined = b"".join([row[1] for row in rows])
    return np.frombuffer(joined, dtype="<f4").reshape(len(rows), -1)


def _next_number(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
    return 1 if row is None else int(row[0]) + 1


def _blob(record: Record) -> bytes:
    return record.vector.astype("<f4", copy=False).tobytes()


def _source_columns(record: Record) -> tuple[object, ...]:
    source = record.source
    if source is None:
        return (None,) * 5
    return (source.root, source.path, source.size, source.mtime_ns, source.checksum)


def _parts(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Split a list into chunks that fit into the variables of one statement."""
    listed = list(values)
    for start in range(0, len(listed), _VARIABLES):
        yield listed[start : start + _VARIABLES]
