"""The SQL statements that read and write the items of an index, and the checks of their data."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from pyimgret.exceptions import (
    IndexStoreError,
    InvalidArgumentError,
    KeyExistsError,
    KeyNotFoundError,
)
from pyimgret.files.keys import new_ids
from pyimgret.index.storage.arrays import Floats
from pyimgret.index.storage.records import Item, Record, Source, Thumbnail

Described: TypeAlias = tuple[str, str, str, int]
"""Key, opaque id, metadata as stored JSON text, and row id."""

PAGE = 8192
"""Number of rows read, written or committed together."""

_MODEL = 1
"""The only row of the table ``models``."""


def to_json(metadata: object) -> str:
    """Return metadata as JSON text for storage, or raise an error if it is no plain JSON."""
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
    """Return a key if it is valid, else raise an error."""
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


def store(connection: sqlite3.Connection, records: Sequence[Record], *, replace: bool) -> list[str]:
    """Insert records and return their ids; a key that is replaced keeps its id."""
    present = ids(connection, [record.key for record in records])
    if present and not replace:
        raise key_exists(next(iter(present)))
    delete(connection, list(present))
    fresh = new_ids(len(records))
    records = [r._replace(id=present.get(r.key) or r.id or next(fresh)) for r in records]
    _insert(connection, records)
    return [str(record.id) for record in records]


def _insert(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
    numbered = list(enumerate(records, 1 if row is None else row[0] + 1))
    connection.executemany(
        "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (number, r.id, r.key, r.metadata, _MODEL, *_source_columns(r.source))
            for number, r in numbered
        ),
    )
    blobs = ((number, r.vector.astype("<f4", copy=False).tobytes()) for number, r in numbered)
    connection.executemany(
        "INSERT INTO vectors VALUES (?, ?, ?)",
        ((number, blob, crc(blob)) for number, blob in blobs),
    )
    connection.executemany(
        "INSERT INTO thumbnails VALUES (?, ?, ?)",
        (
            (number, r.thumbnail.media_type, r.thumbnail.image)
            for number, r in numbered
            if r.thumbnail
        ),
    )


def _source_columns(source: Source | None) -> tuple[object, ...]:
    if source is None:
        return (None,) * 5
    return (source.root, source.path, source.size, source.mtime_ns, source.checksum)


def delete(connection: sqlite3.Connection, keys: Sequence[str]) -> int:
    """Delete the items of these keys and return their number."""
    cursor = connection.executemany("DELETE FROM items WHERE key = ?", ((key,) for key in keys))
    return cursor.rowcount


def count(connection: sqlite3.Connection) -> int:
    """Return the number of items."""
    return int(connection.execute("SELECT count(*) FROM items").fetchone()[0])


def ids(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, str]:
    """Return the opaque ids of those keys that exist."""
    return dict(
        connection.execute(
            "SELECT key, id FROM items WHERE key IN (SELECT value FROM json_each(?))",
            (json.dumps(keys, ensure_ascii=False),),
        )
    )


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


def key_exists(key: str) -> KeyExistsError:
    """Return the error for a key that exists already."""
    return KeyExistsError(
        f"The index already contains {key!r}; replace it (replace=True, --replace), or "
        "change it by Index.update."
    )


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
    for start in range(0, len(row_ids), PAGE):
        page = row_ids[start : start + PAGE]
        # NB: bound numbers save microseconds that json_each would take in every search. One row,
        # because SQLite releases the GIL between rows, and others may keep it long.
        (rows,) = connection.execute(
            "SELECT json_group_array(json_array(key, id, metadata, number)) FROM items "
            f"WHERE number IN ({','.join('?' * len(page))})",
            page,
        ).fetchone()
        found |= {row[3]: tuple(row) for row in json.loads(rows)}
    return found


def vectors_of(connection: sqlite3.Connection, row_ids: Sequence[int], dimension: int) -> Floats:
    """Return the vectors of these row ids in the same order, (n, dimension)."""
    if not row_ids:
        return np.empty((0, dimension), dtype=np.float32)
    rows = connection.execute(
        "SELECT number, vector, crc FROM vectors WHERE number IN (SELECT value FROM json_each(?))",
        (json.dumps(row_ids),),
    )
    found = {row[0]: row for row in rows}
    return _stack([found[number] for number in row_ids])


def paged(
    connection: sqlite3.Connection, statement: str, *values: object, after: object, size: int
) -> Iterator[list[Any]]:
    """Yield the rows of a query in pages, each continuing after the first column of the last row.

    The last two parameters of the statement are that column's value and the size of a page.
    """
    while rows := connection.execute(statement, (*values, after, size)).fetchall():
        yield rows
        after = rows[-1][0]


def pages(
    connection: sqlite3.Connection, *, after: int, size: int = PAGE
) -> Iterator[tuple[list[int], Floats]]:
    """Yield row ids and vectors in ascending order, ``size`` at a time."""
    statement = "SELECT number, vector, crc FROM vectors WHERE number > ? ORDER BY number LIMIT ?"
    for rows in paged(connection, statement, after=after, size=size):
        yield [row[0] for row in rows], _stack(rows)


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
