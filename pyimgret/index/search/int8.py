"""Exact search over int8 codes: a quarter of the memory, identical results.

Each vector is stored as ``scale * codes`` with 8-bit codes, and with the norm of the
rounding error. By the Cauchy-Schwarz inequality the true score differs from the approximate
one by at most that norm (the query has norm 1), so a bound decides which vectors can be among
the nearest; only those are read from the database and compared in float32.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pyimgret.index.search.exact import in_blocks
from pyimgret.index.search.rows import Part, RowCache, positions_of
from pyimgret.index.search.top_k import NOTHING, Found, kth_greatest, ordered
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Array, Floats, RowIds

_SLACK = 1e-6
"""Upper bound of the float32 rounding error of a score."""


class Int8Scan:
    """Scans the int8 codes of an index."""

    def __init__(self, directory: Path, dimension: int) -> None:
        columns = {"codes": ("i1", dimension), "scales": ("<f4", 0), "errors": ("<f4", 0)}
        self.rows = RowCache(directory, "int8", columns, quantise)

    def find(
        self,
        connection: sqlite3.Connection,
        queries: Floats,
        k: int,
        *,
        allowed: RowIds | None,
        excluded: RowIds,
    ) -> list[Found]:
        """Return row ids and scores of the k nearest, for each query."""
        parts = [part.without(excluded) for part in self.rows.snapshot(connection)]
        if not parts:
            return [NOTHING] * len(queries)
        found = []
        for query in queries:
            bounds = [_candidates(part, query, k, allowed) for part in parts]
            row_ids, lower, upper = map(np.concatenate, zip(*bounds, strict=True))
            if len(row_ids) > k:
                row_ids = row_ids[upper >= kth_greatest(lower, k)]
            vectors = items.vectors_of(connection, row_ids.tolist(), len(query))
            found.append(ordered(row_ids, vectors @ query, k))
        return found


def quantise(vectors: Floats) -> Mapping[str, Array]:
    """Return codes, scales and error norms of vectors (n, d).

    Examples
    --------
    >>> made = quantise(np.array([[0.6, -0.8]], dtype=np.float32))
    >>> made["codes"].tolist(), round(float(made["scales"][0] * 127), 3)
    ([[95, -127]], 0.8)
    """
    scales = np.abs(vectors).max(axis=1, keepdims=True) / np.float32(127)
    codes = np.rint(vectors / scales).astype(np.int8)
    errors = np.linalg.norm(vectors - codes * scales, axis=1)
    return {"codes": codes, "scales": scales[:, 0], "errors": errors.astype(np.float32)}


def _candidates(
    part: Part, query: Floats, k: int, allowed: RowIds | None
) -> tuple[RowIds, Floats, Floats]:
    """Return row ids, lower and upper score bounds of rows that may be among the k nearest."""
    scores = _approximate(part.columns["codes"], query) * part.columns["scales"]
    errors = part.columns["errors"] + np.float32(_SLACK)
    lower, upper = scores - errors, scores + errors
    masked = part.deleted
    if allowed is not None:
        places = positions_of(part.row_ids, allowed)
        masked = np.union1d(masked, np.delete(np.arange(len(lower)), places))
    lower[masked] = upper[masked] = -np.inf
    bound = kth_greatest(lower, k) if k < len(lower) else np.float32(-2)
    chosen = np.flatnonzero(upper >= max(bound, np.float32(-2)))
    return part.row_ids[chosen], lower[chosen], upper[chosen]


def _approximate(codes: Array, query: Floats) -> Floats:
    """Return codes @ query, converted to float32 a block at a time."""
    scores = np.empty(len(codes), dtype=np.float32)

    def multiply(start: int, stop: int) -> None:
        np.dot(codes[start:stop].astype(np.float32), query, out=scores[start:stop])

    in_blocks(len(codes), codes.shape[1], multiply)
    return scores
