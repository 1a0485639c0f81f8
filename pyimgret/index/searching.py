"""Search: a consistent snapshot, the numbers of the nearest, then their keys and metadata."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pyimgret.index import items
from pyimgret.index.cachefile import Layout
from pyimgret.index.database import Database
from pyimgret.index.exact import merge, search_batch
from pyimgret.index.filters import Filter
from pyimgret.index.filtersql import matching
from pyimgret.index.matches import Match, Matches
from pyimgret.index.scan import Part, RowCache, StaleSnapshotError, positions_of
from pyimgret.index.types import Floats, Numbers

Found = tuple[Numbers, Floats]

_RETRIES = 20
_GATHER_BELOW = 0.2
"""Rows that a filter leaves are copied out when they are less than this share."""


class Searcher:
    """Finds the nearest vectors of an index.

    Parameters
    ----------
    directory : Path
    database : Database
    dimension : int
    """

    def __init__(self, directory: Path, database: Database, dimension: int) -> None:
        self.database = database
        layout = Layout("float32", {"vectors": ("<f4", dimension)})
        self.rows = RowCache(directory, layout, lambda vectors: {"vectors": vectors})

    def search(
        self,
        queries: Floats,
        k: int,
        *,
        where: Filter | None = None,
        min_score: float | None = None,
        exclude: Iterable[str] = (),
    ) -> list[Matches]:
        """Return the matches of each of the queries, all of one moment."""
        excluded = list(exclude)
        for _ in range(_RETRIES):
            try:
                with self.database.read() as connection:
                    found = self._find(connection, queries, k, where, excluded)
                    return _described(connection, found, min_score)
            except StaleSnapshotError:
                continue
        # NB: the files are ahead of the database for good: it was replaced by an older one.
        self.rows.forget(files=True)
        with self.database.read() as connection:
            found = self._find(connection, queries, k, where, excluded)
            return _described(connection, found, min_score)

    def _find(
        self,
        connection: sqlite3.Connection,
        queries: Floats,
        k: int,
        where: Filter | None,
        exclude: list[str],
    ) -> list[Found]:
        parts = self.rows.snapshot(connection)
        if exclude:
            unwanted = numbers_of(connection, exclude)
            parts = [part.without(unwanted) for part in parts]
        allowed = None if where is None else matching(connection, where)
        return search_parts(parts, queries, k, allowed=allowed)


def search_parts(
    parts: Sequence[Part], queries: Floats, k: int, *, allowed: Numbers | None = None
) -> list[Found]:
    """Return numbers and scores of the k nearest of all parts, for each query.

    Parameters
    ----------
    allowed : ndarray of int, optional
        Only these numbers count; ascending.
    """
    found = [_search_part(part, queries, k, allowed) for part in parts]
    if not found:
        nothing = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
        return [nothing] * len(queries)
    return [merge(list(of_query), k) for of_query in zip(*found, strict=True)]


def numbers_of(connection: sqlite3.Connection, keys: Sequence[str]) -> Numbers:
    """Return the numbers of the keys that exist, ascending."""
    rows = (
        connection.execute("SELECT number FROM items WHERE key = ?", (key,)).fetchone()
        for key in keys
    )
    return np.unique(np.array([row[0] for row in rows if row], dtype=np.int64))


def _search_part(part: Part, queries: Floats, k: int, allowed: Numbers | None) -> list[Found]:
    rows, dead, numbers = part.columns["vectors"], part.dead, part.numbers
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


def _described(
    connection: sqlite3.Connection, found: list[Found], min_score: float | None
) -> list[Matches]:
    """Return matches with keys and metadata, those below the threshold left out."""
    if min_score is not None:
        found = [(n[s >= min_score], s[s >= min_score]) for n, s in found]
    wanted = {number for numbers, _ in found for number in numbers.tolist()}
    known = items.describe(connection, sorted(wanted))
    return [_matches(known, numbers, scores) for numbers, scores in found]


def _matches(
    known: dict[int, tuple[str, str, dict[str, object]]], numbers: Numbers, scores: Floats
) -> Matches:
    clipped = np.clip(scores, -1.0, 1.0).tolist()
    rows = [known[number] for number in numbers.tolist()]
    return Matches(
        [
            Match(key, score, metadata, identifier, rank)
            for rank, ((key, identifier, metadata), score) in enumerate(
                zip(rows, clipped, strict=True), 1
            )
        ]
    )
