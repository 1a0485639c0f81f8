"""Caches of rows to scan: contiguous arrays, synchronized with the database.

A `RowCache` holds the data that an exact scan reads: the row ids in ascending order
and one or more columns computed from the vectors (the vectors themselves, int8 codes,
bits). Most rows are memory-mapped from files in ``cache/``, which only grow and may
be deleted at any time; the newest rows are in memory. See `pyimgret.index.storage.schema` for
why the largest row id and the log of removals suffice to catch up.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pyimgret.index.search.cache_files import ColumnFiles, Header
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Array, Floats, Positions, RowIds
from pyimgret.index.storage.database import identity_of, state_of, uuid_of

_FLUSH_ROWS = 16_384
"""Number of rows in memory at which they are moved to the file."""

_MAX_DELETED = 0.25
"""The file is rewritten if more than this share of its rows was deleted."""

_NO_POSITIONS: Positions = np.empty(0, dtype=np.int64)


class StaleSnapshotError(Exception):
    """The cache is newer than the reader's snapshot: start a new transaction."""


class Part(NamedTuple):
    """A contiguous block of rows: columns of equal length, and the positions of deleted rows.

    The column ``numbers`` has the row ids, ascending. ``mapped`` columns are in a file.
    """

    columns: Mapping[str, Array]
    deleted: Positions = _NO_POSITIONS
    mapped: bool = False

    @property
    def row_ids(self) -> RowIds:
        """The column ``numbers``."""
        return self.columns["numbers"]

    def without(self, removed: RowIds) -> Part:
        """Return the part with more rows marked as deleted."""
        more = positions_of(self.row_ids, removed) if len(removed) else _NO_POSITIONS
        return self._replace(deleted=np.union1d(self.deleted, more)) if len(more) else self

    def joined(self, other: Part) -> Part:
        """Return a new part in memory: this one followed by another."""
        pairs = ((name, (a, other.columns[name])) for name, a in self.columns.items())
        deleted = np.concatenate([self.deleted, other.deleted + len(self.row_ids)])
        return Part({name: np.concatenate(pair) for name, pair in pairs}, deleted)

    def without_deleted(self) -> Part:
        """Return the part without its deleted rows."""
        if not len(self.deleted):
            return self
        keep = np.ones(len(self.row_ids), dtype=bool)
        keep[self.deleted] = False
        return Part({name: column[keep] for name, column in self.columns.items()})


def positions_of(row_ids: RowIds, wanted: RowIds) -> Positions:
    """Return the positions of those row ids in ``wanted`` that exist; both are ascending.

    Examples
    --------
    >>> positions_of(np.array([2, 5, 9]), np.array([1, 5, 9, 12])).tolist()
    [1, 2]
    """
    places = np.searchsorted(row_ids, wanted)
    inside = places < len(row_ids)
    places, wanted = places[inside], wanted[inside]
    found: Positions = places[row_ids[places] == wanted]
    return found


_EMPTY: tuple[object, int, list[Part]] = (None, -1, [])
"""The state of an empty cache: the database's identity, revision, parts."""


class RowCache:
    """Columns computed from all vectors (n, d) by ``encode``, synchronized with the database.

    Files are written to the ``cache/`` folder of the index's directory, if possible. With
    ``after``, only larger row ids are cached, in memory only.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        columns: Mapping[str, tuple[str, int]],
        encode: Callable[[Floats], Mapping[str, Array]],
        *,
        after: int | None = None,
    ) -> None:
        self.files = None if after is not None else ColumnFiles(directory / "cache", name, columns)
        self._encode = encode
        self._after = after or 0
        self._lock = threading.Lock()
        self._state = _EMPTY

    def snapshot(self, connection: sqlite3.Connection) -> list[Part]:
        """Return the rows in the snapshot of the connection's transaction.

        Raises `StaleSnapshotError` if another thread or process has updated the cache beyond it.
        """
        revision, log_start = state_of(connection)
        state = self._state
        if (identity_of(connection), revision) == state[:2]:
            return state[2]
        with self._lock:
            return self._catch_up(connection, revision, log_start)

    def flush(self, connection: sqlite3.Connection) -> bool:
        """Write the rows in memory to the file; return False if that is impossible."""
        self.snapshot(connection)
        with self._lock:
            identity, revision, parts = self._state
            parts = self._flushed(connection, parts, revision)
            self._state = (identity, revision, parts)
            return all(part.mapped for part in parts)

    def forget(self, *, files: bool = False) -> None:
        """Clear the cache, with ``files`` also on disk; the next snapshot reloads it."""
        with self._lock:
            self._state = _EMPTY
            if files and self.files:
                self.files.discard()

    def _catch_up(
        self, connection: sqlite3.Connection, revision: int, log_start: int
    ) -> list[Part]:
        identity = identity_of(connection)
        state = self._state if self._state[0] == identity else _EMPTY
        known, parts = state[1:]
        if revision < known:
            raise StaleSnapshotError
        if known < log_start:
            parts = self._load(connection, revision, log_start)
        else:
            parts = _mark_deleted(connection, parts, known)
        parts = self._extended(connection, parts, revision)
        outdated = self.files is not None and self.files.outdated
        self._state = _EMPTY if outdated else (identity, revision, parts)
        return parts

    def _load(self, connection: sqlite3.Connection, revision: int, log_start: int) -> list[Part]:
        """Return the rows of the file if they can be brought up to date, else none."""
        loaded = self.files.load() if self.files else None
        if loaded is None:
            return []
        header, columns = loaded
        if header["base_revision"] < log_start or header["uuid"] != uuid_of(connection):
            return []
        if header["revision"] > revision:
            raise StaleSnapshotError
        parts = _mapped(connection, header, columns)
        return parts if len(parts[0].deleted) <= _MAX_DELETED * header["count"] else []

    def _extended(
        self, connection: sqlite3.Connection, parts: list[Part], revision: int
    ) -> list[Part]:
        """Return the parts, extended by the rows added since."""
        after = int(parts[-1].row_ids[-1]) if parts else self._after
        for row_ids, vectors in items.pages(connection, after=after):
            numbers = np.array(row_ids, dtype=np.int64)
            parts = _appended(parts, Part({"numbers": numbers, **self._encode(vectors)}))
            if len(parts[-1].row_ids) >= _FLUSH_ROWS:
                parts = self._flushed(connection, parts, revision)
        return parts

    def _flushed(
        self, connection: sqlite3.Connection, parts: list[Part], revision: int
    ) -> list[Part]:
        """Move the parts in memory to the file, if possible."""
        live = [part.without_deleted() for part in parts if not part.mapped]
        in_memory = [part for part in live if len(part.row_ids)]
        if self.files is None or not in_memory:
            return parts
        blocks = [part.columns for part in in_memory]
        rewrite = not any(part.mapped for part in parts)
        written = self.files.append(blocks, uuid_of(connection), revision, rewrite=rewrite)
        return parts if written is None else _mapped(connection, *written)


def _mapped(
    connection: sqlite3.Connection, header: Header, columns: Mapping[str, Array]
) -> list[Part]:
    """Return mapped columns as a part, with the rows deleted since marked as deleted."""
    return _mark_deleted(connection, [Part(columns, mapped=True)], header["base_revision"])


def _mark_deleted(connection: sqlite3.Connection, parts: list[Part], since: int) -> list[Part]:
    """Return the parts with the rows deleted after a revision marked as deleted."""
    rows = connection.execute("SELECT number FROM removed WHERE revision > ?", (since,))
    removed = np.array([row[0] for row in rows], dtype=np.int64)
    removed.sort()
    return [part.without(removed) for part in parts] if len(removed) else parts


def _appended(parts: list[Part], new: Part) -> list[Part]:
    """Append new rows, merging small parts so that few parts remain and few rows are copied."""
    parts = [*parts, new]
    while len(parts) > 1 and not parts[-2].mapped:
        if len(parts[-2].row_ids) > max(_FLUSH_ROWS, 2 * len(parts[-1].row_ids)):
            break
        parts[-2:] = [parts[-2].joined(parts[-1])]
    return parts
