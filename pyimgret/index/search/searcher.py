"""Search: a consistent snapshot, the numbers of the nearest, then their keys and metadata."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pyimgret.exceptions import IndexStoreError
from pyimgret.index.filters.sql import matching
from pyimgret.index.search.binary import HammingScan
from pyimgret.index.search.cache_file import Layout
from pyimgret.index.search.conditions import Conditions
from pyimgret.index.search.exact import Found, padded, padded_width
from pyimgret.index.search.graph import Graph
from pyimgret.index.search.int8 import Int8Scan
from pyimgret.index.search.matches import Matches
from pyimgret.index.search.methods import Method
from pyimgret.index.search.scan import RowCache, StaleSnapshotError, search_parts
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Floats, Numbers
from pyimgret.index.storage.database import Database

_RETRIES = 20


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
        width = padded_width(dimension)
        layout = Layout("float32", {"vectors": ("<f4", width)})
        self.rows = RowCache(directory, layout, lambda vectors: {"vectors": padded(vectors, width)})
        self.int8 = Int8Scan(directory, dimension)
        self.hamming = HammingScan(directory, dimension)
        self.graph = Graph(directory, dimension)

    def search(
        self,
        queries: Floats,
        conditions: Conditions,
        method: Method = "auto",
    ) -> list[Matches]:
        """Return the matches of each of the queries, all of one moment."""
        if not len(queries):
            return []
        for attempt in range(_RETRIES):
            if attempt == _RETRIES - 1:
                # NB: the files are ahead of the database for good: it was replaced.
                self.forget(files=True)
            with contextlib.suppress(StaleSnapshotError), self.database.read() as connection:
                unwanted = numbers_of(connection, conditions.exclude)
                found = self._find(connection, queries, conditions, unwanted, method)
                return _described(connection, found, conditions.min_score)
        raise IndexStoreError(f"{self.database.path} changes too fast to be read.")

    def columns(self, connection: sqlite3.Connection) -> dict[str, Mapping[str, tuple[str, int]]]:
        """Return the columns of the caches that may lie in files, by name."""
        caches = [self.rows, self.int8.rows]
        if self.hamming.is_built(connection):
            caches.append(self.hamming.rows(connection))
        return {cache.layout.name: cache.layout.columns for cache in caches}

    def forget(self, *, files: bool = False) -> None:
        """Drop what is held in memory, and the files of the caches when told."""
        self.rows.forget(files=files)
        self.int8.rows.forget(files=files)
        if files:
            self.graph.discard()

    def _find(
        self,
        connection: sqlite3.Connection,
        queries: Floats,
        conditions: Conditions,
        unwanted: Numbers,
        method: Method,
    ) -> list[Found]:
        """Return numbers and scores; a filter is always answered exactly."""
        k, where = conditions.k, conditions.where
        allowed = None if where is None else matching(connection, where)
        if method == "int8":
            return self.int8.find(connection, queries, k, allowed=allowed, unwanted=unwanted)
        if allowed is None and method == "binary":
            return self.hamming.find(connection, queries, k, unwanted=unwanted)
        if allowed is None and method in ("hnsw", "auto"):
            found = self.graph.find(connection, queries, k, unwanted=unwanted)
            if found is not None:
                return found
            if method == "hnsw":
                raise IndexStoreError("There is no graph: run 'pyimgret index build --kind hnsw'.")
        parts = [part.without(unwanted) for part in self.rows.snapshot(connection)]
        return search_parts(parts, queries, k, allowed=allowed)


def numbers_of(connection: sqlite3.Connection, keys: Sequence[str]) -> Numbers:
    """Return the numbers of the keys that exist, ascending."""
    if not keys:
        return np.empty(0, dtype=np.int64)
    rows = (
        connection.execute("SELECT number FROM items WHERE key = ?", (key,)).fetchone()
        for key in keys
    )
    return np.unique(np.array([row[0] for row in rows if row], dtype=np.int64))


def _described(
    connection: sqlite3.Connection, found: list[Found], min_score: float | None
) -> list[Matches]:
    """Return matches with keys and metadata, those below the threshold left out."""
    if min_score is not None:
        found = [(n[s >= min_score], s[s >= min_score]) for n, s in found]
    listed = [numbers.tolist() for numbers, _ in found]
    known = items.describe(connection, sorted({number for one in listed for number in one}))
    return [
        Matches.of_rows(
            [known[number] for number in numbers],
            [min(1.0, max(-1.0, score)) for score in scores.tolist()],
        )
        for numbers, (_, scores) in zip(listed, found, strict=True)
    ]
