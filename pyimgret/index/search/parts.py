"""Contiguous pieces of the rows that a search scans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pyimgret.index.storage.arrays import Array, Numbers

NO_POSITIONS: Numbers = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Part:
    """Rows of one contiguous piece.

    Attributes
    ----------
    numbers : ndarray of shape (n,)
        Ascending.
    columns : dict of str to ndarray
        Each with n rows.
    dead : ndarray of int
        Positions of rows that were deleted.
    """

    numbers: Numbers
    columns: Mapping[str, Array]
    dead: Numbers
    mapped: bool = False

    def without(self, removed: Numbers) -> Part:
        """Return the part with more rows marked as deleted."""
        more = positions_of(self.numbers, removed) if len(removed) else NO_POSITIONS
        if not len(more):
            return self
        return Part(self.numbers, self.columns, np.union1d(self.dead, more), self.mapped)

    def joined(self, other: Part) -> Part:
        """Return this part in memory with another one behind it."""
        names = self.columns
        return Part(
            np.concatenate([self.numbers, other.numbers]),
            {name: np.concatenate([self.columns[name], other.columns[name]]) for name in names},
            np.concatenate([self.dead, other.dead + len(self.numbers)]),
        )

    def living(self) -> Part:
        """Return the part without its deleted rows."""
        if not len(self.dead):
            return self
        keep = np.ones(len(self.numbers), dtype=bool)
        keep[self.dead] = False
        columns = {name: column[keep] for name, column in self.columns.items()}
        return Part(self.numbers[keep], columns, NO_POSITIONS)


def positions_of(numbers: Numbers, wanted: Numbers) -> Numbers:
    """Return where those of the wanted numbers are that exist; both ascending.

    Examples
    --------
    >>> positions_of(np.array([2, 5, 9]), np.array([1, 5, 9, 12])).tolist()
    [1, 2]
    """
    places = np.searchsorted(numbers, wanted)
    inside = places < len(numbers)
    places, wanted = places[inside], wanted[inside]
    found: Numbers = places[numbers[places] == wanted]
    return found
