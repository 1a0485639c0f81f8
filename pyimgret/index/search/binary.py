"""Binary codes: signs of random projections, compared by Hamming distance.

Charikar (2002), Similarity estimation techniques from rounding algorithms: the number of
differing bits grows with the angle between two vectors. The vectors are centred first,
because those of many networks lie in a narrow cone. The codes select candidates, which are
then compared in float32.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pyimgret.exceptions import IndexStoreError
from pyimgret.index.search.rows import Part, RowCache
from pyimgret.index.search.top_k import NOTHING, Found, kth_greatest, ordered
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Array, Floats, RowIds

_MIN_BITS = 256
_SAMPLE = 20_000
_META = "binary_centre"

OVERSAMPLE = 40
"""Candidates per requested match."""


class HammingScan:
    """Scans the binary codes of an index."""

    def __init__(self, directory: Path, dimension: int) -> None:
        self._directory = directory
        self._words = -(-max(_MIN_BITS, dimension) // 64)
        self._dimension = dimension
        self._centre: Floats | None = None
        self._rows: RowCache | None = None

    @functools.cached_property
    def _planes(self) -> Floats:
        """Return the normals of the hyperplanes, (d, bits), the same in every process."""
        shape = (self._dimension, 64 * self._words)
        planes: Floats = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        return planes

    def build(self, connection: sqlite3.Connection) -> None:
        """Store the centre of the vectors; the next search computes the codes."""
        centre = _mean_of_sample(connection, self._dimension)
        connection.execute(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)", (_META, json.dumps(centre.tolist()))
        )

    def rows(self, connection: sqlite3.Connection) -> RowCache | None:
        """Return the codes for the centre stored in the database; None if none is."""
        row = connection.execute("SELECT value FROM meta WHERE name = ?", (_META,)).fetchone()
        if row is None:
            return None
        centre = np.array(json.loads(row[0]), dtype=np.float32)
        if self._rows is None or self._centre is None or (centre != self._centre).any():
            name = f"binary-{items.crc(centre.tobytes() + self._planes.tobytes()):08x}"
            self._centre = centre
            columns = {"bits": ("<u8", self._words)}
            self._rows = RowCache(self._directory, name, columns, self._encode)
        return self._rows

    def find(
        self, connection: sqlite3.Connection, queries: Floats, k: int, *, excluded: RowIds
    ) -> list[Found]:
        """Return row ids and scores of the k nearest candidates of each query."""
        rows = self.rows(connection)
        if rows is None:
            raise IndexStoreError(
                "There are no binary codes yet: run 'pyimgret index build --kind binary'."
            )
        parts = [part.without(excluded) for part in rows.snapshot(connection)]
        if not parts:
            return [NOTHING] * len(queries)
        found, count = [], OVERSAMPLE * k
        for query, bits in zip(queries, self._encode(queries)["bits"], strict=True):
            candidates = [_candidates(part, bits, count) for part in parts]
            row_ids, far = map(np.concatenate, zip(*candidates, strict=True))
            if len(parts) > 1:
                row_ids = row_ids[np.argsort(far, kind="stable")[:count]]
            vectors = items.vectors_of(connection, row_ids.tolist(), self._dimension)
            found.append(ordered(row_ids, vectors @ query, k))
        return found

    def _encode(self, vectors: Floats) -> Mapping[str, Array]:
        assert self._centre is not None
        sides = (vectors - self._centre) @ self._planes > 0
        return {"bits": np.packbits(sides, axis=1, bitorder="little").view("<u8")}


def distances(bits: Array, query: Array) -> Array:
    """Return the Hamming distance of each row (n, words) from the query (words,).

    Examples
    --------
    >>> distances(np.array([[7], [8]], dtype=np.uint64), np.array([5], dtype=np.uint64)).tolist()
    [1, 3]
    """
    total: Array = np.zeros(len(bits), dtype=np.uint16)
    for word in range(bits.shape[1]):
        total += _count_bits(bits[:, word] ^ query[word])
    return total


def _candidates(part: Part, bits: Array, count: int) -> tuple[RowIds, Array]:
    """Return row ids and distances of the nearest rows."""
    far = distances(part.columns["bits"], bits)
    far[part.deleted] = np.iinfo(far.dtype).max
    near = (np.iinfo(far.dtype).max - far).astype(np.float32)
    bound = max(kth_greatest(near, min(count, len(near))), np.float32(1))
    # NB: many rows have equal distances; take closer rows first, then ties.
    sure, tied = np.flatnonzero(near > bound), np.flatnonzero(near == bound)
    chosen = np.concatenate([sure, tied[: max(0, count - len(sure))]])
    return part.row_ids[chosen], far[chosen]


def _mean_of_sample(connection: sqlite3.Connection, dimension: int) -> Floats:
    rows = connection.execute(
        "SELECT vector FROM vectors WHERE number IN "
        "(SELECT number FROM vectors ORDER BY number * 2654435761 % 4294967296 LIMIT ?)",
        (_SAMPLE,),
    ).fetchall()
    if not rows:
        return np.zeros(dimension, dtype=np.float32)
    sample = np.frombuffer(b"".join(row[0] for row in rows), dtype="<f4")
    mean: Floats = sample.reshape(len(rows), -1).mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def _count_by_table(words: Array) -> Array:
    """Count bits without NumPy 2's ``bitwise_count``."""
    table = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)
    counted = table[np.ascontiguousarray(words).view(np.uint8)].reshape(len(words), -1)
    summed: Array = counted.sum(axis=1).astype(np.uint8)
    return summed


_count_bits = getattr(np, "bitwise_count", _count_by_table)
