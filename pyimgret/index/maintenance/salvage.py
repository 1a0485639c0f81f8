"""Reading the intact rows of a damaged database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import numpy as np

from pyimgret.exceptions import IndexStoreError, InvalidArgumentError
from pyimgret.index.maintenance.formats import Page, Row
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Floats

_STEP = 4096
_READABLE = (sqlite3.Error, IndexStoreError, ValueError, TypeError)
"""Errors that reading a damaged row may raise."""


class Salvage:
    """The readable rows of a database.

    A range of row ids that fails is halved until the damaged rows are isolated. ``lost`` counts the
    row ids that could not be read so far. Some of them may have been deleted before: a damaged
    page does not show which.
    """

    def __init__(self, connection: sqlite3.Connection, dimension: int) -> None:
        self._connection = connection
        self._dimension = dimension
        self.lost = 0

    def pages(self) -> Iterator[Page]:
        """Yield the rows that can be read, with their vectors."""
        last = self._last_number()
        for first in range(1, last + 1, _STEP):
            rows = list(self._readable(first, min(first + _STEP - 1, last)))
            if rows:
                yield [row for row, _ in rows], np.stack([vector for _, vector in rows])

    def _last_number(self) -> int:
        """Return the largest row id used so far, from any readable table."""
        found = [0]
        for statement in _LAST:
            try:
                found.append(self._connection.execute(statement).fetchone()[0] or 0)
            except _READABLE:
                continue
        if max(found) == 0:
            raise IndexStoreError("No row of this database can be read, or it is empty.")
        return max(found)

    def _readable(self, first: int, last: int) -> Iterator[tuple[Row, Floats]]:
        try:
            yield from self._rows(first, last)
        except _READABLE:
            if first == last:
                self.lost += 1
                return
            middle = (first + last) // 2
            yield from self._readable(first, middle)
            yield from self._readable(middle + 1, last)

    def _rows(self, first: int, last: int) -> list[tuple[Row, Floats]]:
        found = self._connection.execute(_ROWS, (first, last)).fetchall()
        return [(Row(*row[:7]), self._vector(row)) for row in found]

    def _vector(self, row: tuple[object, ...]) -> Floats:
        """Return the vector of a row; raise an error if any column is damaged."""
        key, metadata, blob, crc = row[0], row[2], row[7], row[8]
        items.check_key(key)
        if not isinstance(json.loads(str(metadata)), dict) or not isinstance(blob, bytes):
            raise InvalidArgumentError(key)
        vector = items.checked_vector(blob, int(str(crc)), key)
        if len(vector) != self._dimension:
            raise InvalidArgumentError(key)
        return vector


# NB: a LEFT JOIN, so that an image whose vector is missing fails and is counted.
_ROWS = """
SELECT key, id, metadata, path, size, mtime_ns, checksum, vector, crc
FROM items LEFT JOIN vectors USING (number) WHERE number BETWEEN ? AND ? ORDER BY number
"""

_LAST = (
    "SELECT seq FROM sqlite_sequence WHERE name = 'items'",
    "SELECT max(number) FROM items",
    "SELECT max(number) FROM vectors",
)
