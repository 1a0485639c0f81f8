"""Near-duplicates: groups of pictures that are as good as the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyimgret.exceptions import InvalidArgumentError
from pyimgret.index.context import IndexContext
from pyimgret.index.search.conditions import cosine
from pyimgret.index.search.parts import Part
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Array, Floats, Numbers

_ROWS = 1024
_COLUMNS = 8192


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Pictures that belong together.

    Attributes
    ----------
    keys : tuple of str
        In the order of adding.
    exact : bool
        Whether all are copies of one file (equal checksums).
    """

    keys: tuple[str, ...]
    exact: bool


def duplicates(context: IndexContext, threshold: float) -> list[DuplicateGroup]:
    """Return the groups; see `Index.duplicates`."""
    if cosine("threshold", threshold) == -1:
        raise InvalidArgumentError(
            "threshold=-1 would make one group of all images; choose a higher one."
        )
    with context.database.read() as connection:
        parts = [part.living() for part in context.searcher.rows.snapshot(connection)]
        numbers = np.concatenate([part.numbers for part in parts] or [_NO_NUMBERS])
        groups = _Groups(len(numbers))
        for rows, columns in _pairs(parts, threshold):
            groups.join(rows, columns)
        for rows, columns in _copies(connection, numbers):
            groups.join(rows, columns)
        return [_described(connection, numbers[members]) for members in groups.members()]


class _Groups:
    """Which of so many things belong together (connected components, grown step by step)."""

    def __init__(self, count: int) -> None:
        self.labels = np.arange(count)

    def join(self, rows: Numbers, columns: Numbers) -> None:
        """Take note that each of the rows belongs to its column."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        a, b = self._roots(rows), self._roots(columns)
        known, places = np.unique(np.concatenate([a, b]), return_inverse=True)
        ends = places[: len(a)], places[len(a) :]
        graph = coo_array((np.ones(len(a), dtype=np.int8), ends), shape=(len(known),) * 2)
        _, component = connected_components(graph, directed=False)
        # NB: known ascends, so the first of a component is its smallest, the root of all.
        _, first = np.unique(component, return_index=True)
        self.labels[known] = known[first][component]

    def members(self) -> list[Numbers]:
        """Return the groups of two and more, each ascending."""
        labels = self._roots(np.arange(len(self.labels)))
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
        return [group for group in np.split(order, starts[1:]) if len(group) > 1]

    def _roots(self, places: Numbers) -> Numbers:
        while True:
            above = self.labels[places]
            if np.array_equal(above, places):
                return above
            places = above


def _pairs(parts: list[Part], threshold: float) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield positions of pairs that are similar enough, 8 million scores at a time."""
    for start, rows in _blocks(parts, _ROWS):
        for other, columns in _blocks(parts, _COLUMNS):
            if other + len(columns) <= start:
                continue
            # NB: float32 rounding must not part vectors that are equal.
            a, b = np.nonzero(rows @ columns.T >= np.float32(threshold - 1e-6))
            a, b = a + start, b + other
            keep = a < b
            if keep.any():
                yield a[keep], b[keep]


def _blocks(parts: list[Part], size: int) -> Iterator[tuple[int, Floats]]:
    """Yield pieces of the vectors with the position of their first row."""
    offset = 0
    for part in parts:
        vectors: Array = part.columns["vectors"]
        for start in range(0, len(vectors), size):
            yield offset + start, vectors[start : start + size]
        offset += len(vectors)


def _copies(connection: sqlite3.Connection, numbers: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield positions of pictures whose files are equal byte for byte."""
    rows = connection.execute(
        "SELECT a.number, min(b.number) FROM items AS a JOIN items AS b USING (checksum) "
        "WHERE a.checksum IS NOT NULL GROUP BY a.number HAVING min(b.number) < a.number"
    ).fetchall()
    if rows:
        pairs = np.searchsorted(numbers, np.array(rows, dtype=np.int64))
        yield pairs[:, 0], pairs[:, 1]


def _described(connection: sqlite3.Connection, numbers: Numbers) -> DuplicateGroup:
    listed = numbers.tolist()
    known = items.describe(connection, listed)
    sums = items.checksums(connection, listed)
    exact = None not in sums and len(set(sums)) == 1
    return DuplicateGroup(tuple(known[number][0] for number in listed), exact)


_NO_NUMBERS: Numbers = np.empty(0, dtype=np.int64)
