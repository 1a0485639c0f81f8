"""Search in a consistent snapshot: row ids of the nearest, then keys and metadata."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pyimgret.exceptions import IndexStoreError
from pyimgret.index.filters.sql import matching
from pyimgret.index.search.binary import HammingScan
from pyimgret.index.search.cache_files import CacheFiles
from pyimgret.index.search.conditions import Conditions
from pyimgret.index.search.exact import padded, padded_width, search_parts
from pyimgret.index.search.graph import Graph
from pyimgret.index.search.int8 import Int8Scan
from pyimgret.index.search.matches import Matches
from pyimgret.index.search.rows import RowCache, StaleSnapshotError
from pyimgret.index.search.top_k import Found
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Floats, RowIds
from pyimgret.index.storage.database import Database

_RETRIES = 20


class Searcher:
    """Nearest-neighbour search in an index."""

    def __init__(self, directory: Path, database: Database, dimension: int) -> None:
        self.database = database
        width = padded_width(dimension)
        self.rows = RowCache(
            directory,
            "float32",
            {"vectors": ("<f4", width)},
            lambda vectors: {"vectors": padded(vectors, width)},
        )
        self.int8 = Int8Scan(directory, dimension)
        self.hamming = HammingScan(directory, dimension)
        self.graph = Graph(directory, dimension)

    def search(self, queries: Floats, conditions: Conditions) -> list[Matches]:
        """Return the matches of each query, all from one snapshot."""
        if not len(queries):
            return []
        for attempt in range(_RETRIES):
            if attempt == _RETRIES - 1:
                # NB: the caches stay ahead of the database: it was replaced.
                self.forget(files=True)
            with contextlib.suppress(StaleSnapshotError), self.database.read() as connection:
                found = self._find(connection, queries, conditions)
                return _to_matches(connection, found, conditions.min_score)
        raise IndexStoreError(f"{self.database.path} changes too fast to be read; try again.")

    def caches(self, connection: sqlite3.Connection) -> Iterator[CacheFiles]:
        """Yield the caches that may have files."""
        yield self.graph
        for rows in (self.rows, self.int8.rows, self.hamming.rows(connection)):
            if rows is not None and rows.files is not None:
                yield rows.files

    def forget(self, *, files: bool = False) -> None:
        """Clear the caches in memory, with ``files`` also on disk."""
        self.rows.forget(files=files)
        self.int8.rows.forget(files=files)
        if files:
            self.graph.discard()

    def _find(
        self, connection: sqlite3.Connection, queries: Floats, conditions: Conditions
    ) -> list[Found]:
        """Return row ids and scores; searches with a filter are always exact."""
        k, where, method = conditions.k, conditions.where, conditions.method
        excluded = _row_ids_of(connection, conditions.exclude)
        allowed = None if where is None else matching(connection, where)
        if method == "int8":
            return self.int8.find(connection, queries, k, allowed=allowed, excluded=excluded)
        if allowed is None and method == "binary":
            return self.hamming.find(connection, queries, k, excluded=excluded)
        if allowed is None and method in ("hnsw", "auto"):
            found = self.graph.find(connection, queries, k, excluded=excluded)
            if found is not None:
                return found
            if method == "hnsw":
                raise IndexStoreError("There is no graph: run 'pyimgret index build --kind hnsw'.")
        parts = [part.without(excluded) for part in self.rows.snapshot(connection)]
        return search_parts(parts, queries, k, allowed=allowed)


def _row_ids_of(connection: sqlite3.Connection, keys: Sequence[str]) -> RowIds:
    """Return the row ids of the keys that exist, ascending."""
    if not keys:
        return np.empty(0, dtype=np.int64)
    rows = (
        connection.execute("SELECT number FROM items WHERE key = ?", (key,)).fetchone()
        for key in keys
    )
    return np.unique(np.array([row[0] for row in rows if row], dtype=np.int64))


def _to_matches(
    connection: sqlite3.Connection, found: list[Found], min_score: float | None
) -> list[Matches]:
    """Return matches with keys and metadata, without those below the threshold."""
    if min_score is not None:
        found = [(n[s >= min_score], s[s >= min_score]) for n, s in found]
    listed = [row_ids.tolist() for row_ids, _ in found]
    known = items.describe(connection, sorted({number for one in listed for number in one}))
    return [
        Matches.of_rows(
            [known[number] for number in row_ids],
            [min(1.0, max(-1.0, score)) for score in scores.tolist()],
        )
        for row_ids, (_, scores) in zip(listed, found, strict=True)
    ]
