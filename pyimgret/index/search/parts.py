"""Contiguous blocks of the rows that a search scans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pyimgret.index.storage.arrays import Array, Positions, RowIds

NO_POSITIONS: Positions = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Part:
    """A contiguous block of rows.

    Attributes
    ----------
    numbers : ndarray of shape (n,)
        Ascending.
    columns : dict of str to ndarray
        Each with n rows.
    deleted : ndarray of int
        Positions of deleted rows.
    """

    row_ids: RowIds
    columns: Mapping[str, Array]
    deleted: Positions
    mapped: bool = False

    def without(self, removed: RowIds) -> Part:
        """Return the part with more rows marked as deleted."""
        more = positions_of(self.row_ids, removed) if len(removed) else NO_POSITIONS
        if not len(more):
            return self
        return Part(self.row_ids, self.columns, np.union1d(self.deleted, more), self.mapped)

    def joined(self, other: Part) -> Part:
        """Return a new part in memory: this one followed by another."""
        names = self.columns
        return Part(
            np.concatenate([self.row_ids, other.row_ids]),
            {name: np.concatenate([self.columns[name], other.columns[name]]) for name in names},
            np.concatenate([self.deleted, other.deleted + len(self.row_ids)]),
        )

    def without_deleted(self) -> Part:
        """Return the part without its deleted rows."""
        if not len(self.deleted):
            return self
        keep = np.ones(len(self.row_ids), dtype=bool)
        keep[self.deleted] = False
        columns = {name: column[keep] for name, column in self.columns.items()}
        return Part(self.row_ids[keep], columns, NO_POSITIONS)


def positions_of(row_ids: RowIds, wanted: RowIds) -> Positions:
    """Return the positions of those wanted row ids that exist; both are ascending.

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
