"""Near-duplicates: groups of images that are nearly identical."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyimgret.exceptions import InvalidArgumentError
from pyimgret.index.context import IndexContext
from pyimgret.index.search.conditions import cosine
from pyimgret.index.search.rows import Part
from pyimgret.index.search.top_k import NOTHING
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Array, Floats, Positions, RowIds

_ROWS = 1024
_COLUMNS = 8192


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """A group of duplicate images.

    Attributes
    ----------
    keys : tuple of str
        In insertion order.
    exact : bool
        Whether all are copies of one file (equal checksums).
    """

    keys: tuple[str, ...]
    exact: bool


def find_duplicates(context: IndexContext, threshold: float = 0.97) -> list[DuplicateGroup]:
    """Return groups of near and exact duplicates.

    Two images are in one group if their cosine is at least the threshold, or their
    files are equal, or if other images connect them. All pairs are compared,
    a block at a time.
    """
    if cosine("threshold", threshold) == -1:
        raise InvalidArgumentError(
            "threshold=-1 would put all images into one group; choose a higher threshold."
        )
    with context.database.read() as connection:
        parts = [part.without_deleted() for part in context.searcher.rows.snapshot(connection)]
        row_ids = np.concatenate([part.row_ids for part in parts] or [NOTHING[0]])
        groups = _Groups(len(row_ids))
        for rows, columns in _pairs(parts, threshold):
            groups.join(rows, columns)
        # NB: images whose files are equal byte for byte.
        if copies := connection.execute(_COPIES).fetchall():
            pairs = np.searchsorted(row_ids, np.array(copies, dtype=np.int64))
            groups.join(pairs[:, 0], pairs[:, 1])
        return [_describe_group(connection, row_ids[members]) for members in groups.members()]


class _Groups:
    """Connected components of a graph whose edges arrive in batches (union-find)."""

    def __init__(self, count: int) -> None:
        self.labels = np.arange(count)

    def join(self, rows: Positions, columns: Positions) -> None:
        """Join the component of each row with that of its column."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        a, b = self._roots(rows), self._roots(columns)
        known, places = np.unique(np.concatenate([a, b]), return_inverse=True)
        ends = places[: len(a)], places[len(a) :]
        graph = coo_array((np.ones(len(a), dtype=np.int8), ends), shape=(len(known),) * 2)
        _, component = connected_components(graph, directed=False)
        # NB: known is ascending, so the first member of a component is its smallest, its root.
        _, first = np.unique(component, return_index=True)
        self.labels[known] = known[first][component]

    def members(self) -> list[Positions]:
        """Return the components of at least two members, each ascending."""
        labels = self._roots(np.arange(len(self.labels)))
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
        return [group for group in np.split(order, starts[1:]) if len(group) > 1]

    def _roots(self, places: Positions) -> Positions:
        while True:
            above = self.labels[places]
            if np.array_equal(above, places):
                return above
            places = above


def _pairs(parts: list[Part], threshold: float) -> Iterator[tuple[Positions, Positions]]:
    """Yield positions of pairs that are similar enough, 8 million scores at a time."""
    for start, rows in _blocks(parts, _ROWS):
        for other, columns in _blocks(parts, _COLUMNS):
            if other + len(columns) <= start:
                continue
            # NB: float32 rounding must not separate equal vectors.
            a, b = np.nonzero(rows @ columns.T >= np.float32(threshold - 1e-6))
            a, b = a + start, b + other
            keep = a < b
            if keep.any():
                yield a[keep], b[keep]


def _blocks(parts: list[Part], size: int) -> Iterator[tuple[int, Floats]]:
    """Yield blocks of vectors with the position of their first row."""
    offset = 0
    for part in parts:
        vectors: Array = part.columns["vectors"]
        for start in range(0, len(vectors), size):
            yield offset + start, vectors[start : start + size]
        offset += len(vectors)


def _describe_group(connection: sqlite3.Connection, row_ids: RowIds) -> DuplicateGroup:
    listed = row_ids.tolist()
    known = items.describe(connection, listed)
    copies, with_file = connection.execute(
        "SELECT count(DISTINCT checksum), count(checksum) FROM items "
        "WHERE number IN (SELECT value FROM json_each(?))",
        (json.dumps(listed),),
    ).fetchone()
    exact = copies == 1 and with_file == len(listed)
    return DuplicateGroup(tuple(known[number][0] for number in listed), exact)


_COPIES = """
SELECT a.number, min(b.number) FROM items AS a JOIN items AS b USING (checksum)
WHERE a.checksum IS NOT NULL GROUP BY a.number HAVING min(b.number) < a.number
"""
