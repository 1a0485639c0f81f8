"""Rows to scan: contiguous arrays beside the database, kept in step with it.

A `RowCache` holds what an exact scan reads: the numbers of the items in ascending order
and one or more columns computed from their vectors (the vectors themselves, int8 codes,
bits). The greater part is memory-mapped from files in ``cache/``, which only grow and may
be thrown away at any time; the newest rows are in memory. See `pyimgret.index.storage.schema` for
why the greatest number and the log of removals suffice to catch up.
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
    few,
    merge,
    padded,
    search_batch,
    search_few,
    search_pieces,
)
from pyimgret.index.search.parts import NO_POSITIONS, Part, positions_of
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Array, Floats, Numbers
from pyimgret.index.storage.database import identity_of, state_of

_FLUSH_ROWS = 16_384
"""So many rows in memory are moved to the file."""

_GATHER_BELOW = 0.2
"""Rows that a filter leaves are copied out when they are less than this share."""

_MAX_DEAD = 0.25
"""The file is written anew when more than this share of its rows was deleted."""

Encode = Callable[[Floats], Mapping[str, Array]]


class StaleSnapshotError(Exception):
    """The cache is newer than the reader's snapshot: begin a new transaction."""


_EMPTY: tuple[object, int, list[Part]] = (None, -1, [])
"""The state of a cache that knows nothing: the database's identity, revision, parts."""


class RowCache:
    """Columns of all vectors, in step with the database.

    Parameters
    ----------
    directory : Path
        The index's directory; files go to ``cache/`` in it, where that can be written.
    layout : Layout
        Name and columns.
    encode : callable
        Vectors of shape (n, d) to the columns.
    after : int
        Only items with a greater number are held, and never written to a file.
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
        """Return the rows as the connection's transaction sees them.

        Raises
        ------
        StaleSnapshotError
            When another thread or process has brought the cache further than this
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
        """Write the rows that are only in memory to the file; False where that is impossible."""
        self.snapshot(connection)
        with self._lock:
            identity, revision, parts = self._state
            parts = self._flushed(connection, parts, revision)
            self._state = (identity, revision, parts)
            return all(part.mapped for part in parts)

    def forget(self, *, files: bool = False) -> None:
        """Drop everything (the files too, when told); the next snapshot begins anew."""
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
            parts = _buried(connection, parts, known)
        parts = self._extended(connection, parts, revision)
        overtaken = self._file is not None and self._file.overtaken
        self._state = _EMPTY if overtaken else (identity, revision, parts)
        return parts

    def _load(self, connection: sqlite3.Connection, revision: int, log_start: int) -> list[Part]:
        """Return what the file holds, when it can be brought up to date, else nothing."""
        loaded = self._file.load() if self._file else None
        if loaded is None or loaded.birth < log_start or loaded.uuid != _uuid(connection):
            return []
        if loaded.revision > revision:
            raise StaleSnapshotError
        part = Part(loaded.numbers, loaded.columns, NO_POSITIONS, mapped=True)
        parts = _buried(connection, [part], loaded.birth)
        return parts if len(parts[0].dead) <= _MAX_DEAD * len(loaded.numbers) else []

    def _extended(
        self, connection: sqlite3.Connection, parts: list[Part], revision: int
    ) -> list[Part]:
        """Return the parts with what was added since."""
        after = int(parts[-1].numbers[-1]) if parts else self._after
        for numbers, vectors in items.pages(connection, after=after):
            new = Part(np.array(numbers, dtype=np.int64), self._encode(vectors), NO_POSITIONS)
            parts = _appended(parts, new)
            if len(parts[-1].numbers) >= _FLUSH_ROWS:
                parts = self._flushed(connection, parts, revision)
        return parts

    def _flushed(
        self, connection: sqlite3.Connection, parts: list[Part], revision: int
    ) -> list[Part]:
        """Return the parts with those in memory moved to the file, where that is possible."""
        living = [part.living() for part in parts if not part.mapped]
        in_memory = [part for part in living if len(part.numbers)]
        if self._file is None or not in_memory:
            return parts
        anew = not any(part.mapped for part in parts)
        written = self._file.append(in_memory, _uuid(connection), revision, anew=anew)
        if written is None:
            return parts
        part = Part(written.numbers, written.columns, NO_POSITIONS, mapped=True)
        return _buried(connection, [part], written.birth)


def search_parts(
    parts: Sequence[Part], queries: Floats, k: int, *, allowed: Numbers | None = None
) -> list[Found]:
    """Return numbers and scores of the k nearest of all parts, for each query.

    Parameters
    ----------
    allowed : ndarray of int, optional
        Only these numbers count; ascending.
    """
    rows = sum(len(part.numbers) for part in parts)
    if allowed is None and parts and few(len(queries), rows):
        return _search_all(parts, queries, k)
    found = [_search_part(part, queries, k, allowed) for part in parts]
    if not found:
        nothing = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
        return [nothing] * len(queries)
    return [merge(list(of_query), k) for of_query in zip(*found, strict=True)]


def _search_all(parts: Sequence[Part], queries: Floats, k: int) -> list[Found]:
    """Search all parts at once: the k greatest are picked once, not in each part."""
    queries = padded(queries, parts[0].columns["vectors"].shape[1])
    pieces = [(part.columns["vectors"], part.dead) for part in parts]
    if len(queries) == 1:
        found = [search_pieces(pieces, queries[0], k)]
    else:
        found = search_few(pieces, queries, k)
    return [(_numbers_at(parts, positions), scores) for positions, scores in found]


def _numbers_at(parts: Sequence[Part], positions: Numbers) -> Numbers:
    """Return the numbers of the items at positions that are counted through all parts."""
    numbers, start = np.empty(len(positions), dtype=np.int64), 0
    for part in parts:
        here = (positions >= start) & (positions < start + len(part.numbers))
        numbers[here] = part.numbers[positions[here] - start]
        start += len(part.numbers)
    return numbers


def _search_part(part: Part, queries: Floats, k: int, allowed: Numbers | None) -> list[Found]:
    rows, dead, numbers = part.columns["vectors"], part.dead, part.numbers
    queries = padded(queries, rows.shape[1])
    if allowed is not None:
        places = np.setdiff1d(positions_of(numbers, allowed), dead, assume_unique=True)
        if len(places) < _GATHER_BELOW * len(numbers):
            rows, numbers, dead = rows[places], numbers[places], dead[:0]
        else:
            dead = np.delete(np.arange(len(numbers)), places)
    if not len(numbers):
        return [(numbers, np.empty(0, dtype=np.float32))] * len(queries)
    found = search_batch(rows, dead, queries, k)
    return [(numbers[positions], scores) for positions, scores in found]


def _buried(connection: sqlite3.Connection, parts: list[Part], since: int) -> list[Part]:
    """Return the parts with what was deleted after a revision marked."""
    rows = connection.execute("SELECT number FROM removed WHERE revision > ?", (since,))
    removed = np.array([row[0] for row in rows], dtype=np.int64)
    removed.sort()
    return [part.without(removed) for part in parts] if len(removed) else parts


def _appended(parts: list[Part], new: Part) -> list[Part]:
    """Return the parts with new rows behind them; few parts, and few rows copied."""
    parts = [*parts, new]
    while len(parts) > 1 and not parts[-2].mapped:
        if len(parts[-2].numbers) > max(_FLUSH_ROWS, 2 * len(parts[-1].numbers)):
            break
        parts[-2:] = [parts[-2].joined(parts[-1])]
    return parts


def _uuid(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT value FROM meta WHERE name = 'uuid'").fetchone()
    return str(row[0])
