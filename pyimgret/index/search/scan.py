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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pyimgret.index.search.cache_file import CacheFile, Layout
from pyimgret.index.search.exact import (
    Found,
    is_small_batch,
    merge,
    padded,
    search_batch,
    search_pieces,
    search_small_batch,
)
from pyimgret.index.search.parts import NO_POSITIONS, Part, positions_of
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Array, Floats, RowIds
from pyimgret.index.storage.database import identity_of, state_of

_FLUSH_ROWS = 16_384
"""Number of rows in memory at which they are moved to the file."""

_GATHER_BELOW = 0.2
"""Rows that match a filter are copied out if they are less than this share."""

_MAX_DELETED = 0.25
"""The file is rewritten if more than this share of its rows was deleted."""

Encode = Callable[[Floats], Mapping[str, Array]]


class StaleSnapshotError(Exception):
    """The cache is newer than the reader's snapshot: start a new transaction."""


_EMPTY: tuple[object, int, list[Part]] = (None, -1, [])
"""The state of an empty cache: the database's identity, revision, parts."""


class RowCache:
    """Columns computed from all vectors, synchronized with the database.

    Parameters
    ----------
    directory : Path
        The index's directory; files are written to its ``cache/`` folder, if possible.
    layout : Layout
        Name and columns.
    encode : callable
        Computes the columns from vectors of shape (n, d).
    after : int
        Cache only larger row ids, in memory only.
    """

    def __init__(
        self, directory: Path, layout: Layout, encode: Encode, *, after: int | None = None
    ) -> None:
        self._file = None if after is not None else CacheFile(directory / "cache", layout)
        self._layout = layout
        self._encode = encode
        self._after = after or 0
        self._lock = threading.Lock()
        self._state = _EMPTY

    def snapshot(self, connection: sqlite3.Connection) -> list[Part]:
        """Return the rows in the snapshot of the connection's transaction.

        Raises
        ------
        StaleSnapshotError
            If another thread or process has updated the cache beyond this
            transaction.
        """
        revision, log_start = state_of(connection)
        state = self._state
        if (identity_of(connection), revision) == state[:2]:
            return state[2]
        with self._lock:
            return self._catch_up(connection, revision, log_start)

    @property
    def layout(self) -> Layout:
        """Name and columns."""
        return self._layout

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
            if files and self._file:
                self._file.discard()

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
        outdated = self._file is not None and self._file.outdated
        self._state = _EMPTY if outdated else (identity, revision, parts)
        return parts

    def _load(self, connection: sqlite3.Connection, revision: int, log_start: int) -> list[Part]:
        """Return the rows of the file if they can be brought up to date, else none."""
        loaded = self._file.load() if self._file else None
        if loaded is None or loaded.base_revision < log_start or loaded.uuid != _uuid(connection):
            return []
        if loaded.revision > revision:
            raise StaleSnapshotError
        part = Part(loaded.row_ids, loaded.columns, NO_POSITIONS, mapped=True)
        parts = _mark_deleted(connection, [part], loaded.base_revision)
        return parts if len(parts[0].deleted) <= _MAX_DELETED * len(loaded.row_ids) else []

    def _extended(
        self, connection: sqlite3.Connection, parts: list[Part], revision: int
    ) -> list[Part]:
        """Return the parts, extended by the rows added since."""
        after = int(parts[-1].row_ids[-1]) if parts else self._after
        for row_ids, vectors in items.pages(connection, after=after):
            new = Part(np.array(row_ids, dtype=np.int64), self._encode(vectors), NO_POSITIONS)
            parts = _appended(parts, new)
            if len(parts[-1].row_ids) >= _FLUSH_ROWS:
                parts = self._flushed(connection, parts, revision)
        return parts

    def _flushed(
        self, connection: sqlite3.Connection, parts: list[Part], revision: int
    ) -> list[Part]:
        """Move the parts in memory to the file, if possible."""
        live = [part.without_deleted() for part in parts if not part.mapped]
        in_memory = [part for part in live if len(part.row_ids)]
        if self._file is None or not in_memory:
            return parts
        rewrite = not any(part.mapped for part in parts)
        written = self._file.append(in_memory, _uuid(connection), revision, rewrite=rewrite)
        if written is None:
            return parts
        part = Part(written.row_ids, written.columns, NO_POSITIONS, mapped=True)
        return _mark_deleted(connection, [part], written.base_revision)


def search_parts(
    parts: Sequence[Part], queries: Floats, k: int, *, allowed: RowIds | None = None
) -> list[Found]:
    """Return row ids and scores of the k nearest over all parts, for each query.

    Parameters
    ----------
    allowed : ndarray of int, optional
        Search only these row ids; ascending.
    """
    rows = sum(len(part.row_ids) for part in parts)
    if allowed is None and parts and is_small_batch(len(queries), rows):
        return _search_all(parts, queries, k)
    found = [_search_part(part, queries, k, allowed) for part in parts]
    if not found:
        nothing = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
        return [nothing] * len(queries)
    return [merge(list(of_query), k) for of_query in zip(*found, strict=True)]


def _search_all(parts: Sequence[Part], queries: Floats, k: int) -> list[Found]:
    """Search all parts at once, selecting the k largest scores once instead of per part."""
    queries = padded(queries, parts[0].columns["vectors"].shape[1])
    pieces = [(part.columns["vectors"], part.deleted) for part in parts]
    if len(queries) == 1:
        found = [search_pieces(pieces, queries[0], k)]
    else:
        found = search_small_batch(pieces, queries, k)
    return [(_row_ids_at(parts, positions), scores) for positions, scores in found]


def _row_ids_at(parts: Sequence[Part], positions: RowIds) -> RowIds:
    """Return the row ids at positions that are counted through all parts."""
    row_ids, start = np.empty(len(positions), dtype=np.int64), 0
    for part in parts:
        here = (positions >= start) & (positions < start + len(part.row_ids))
        row_ids[here] = part.row_ids[positions[here] - start]
        start += len(part.row_ids)
    return row_ids


def _search_part(part: Part, queries: Floats, k: int, allowed: RowIds | None) -> list[Found]:
    rows, deleted, row_ids = part.columns["vectors"], part.deleted, part.row_ids
    queries = padded(queries, rows.shape[1])
    if allowed is not None:
        places = np.setdiff1d(positions_of(row_ids, allowed), deleted, assume_unique=True)
        if len(places) < _GATHER_BELOW * len(row_ids):
            rows, row_ids, deleted = rows[places], row_ids[places], deleted[:0]
        else:
            deleted = np.delete(np.arange(len(row_ids)), places)
    if not len(row_ids):
        return [(row_ids, np.empty(0, dtype=np.float32))] * len(queries)
    found = search_batch(rows, deleted, queries, k)
    return [(row_ids[positions], scores) for positions, scores in found]


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


def _uuid(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT value FROM meta WHERE name = 'uuid'").fetchone()
    return str(row[0])
