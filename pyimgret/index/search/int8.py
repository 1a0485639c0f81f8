"""Exact search over int8 codes: a quarter of the memory, the same answers.

Each vector is kept as ``scale * codes`` with 8-bit codes, and with the length of the
rounding error. By Cauchy and Schwarz the true score is no further from the approximate one
than that length (the query has length 1), so a bound decides which vectors can be among
the nearest; only those are read in float32 from the database and compared exactly.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pyimgret.index.search.blocks import in_blocks
from pyimgret.index.search.cache_file import Layout
from pyimgret.index.search.exact import Found, k_best, kth_greatest
from pyimgret.index.search.parts import Part, positions_of
from pyimgret.index.search.scan import RowCache
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Array, Floats, Numbers

_SLACK = 1e-6
"""More than float32 arithmetic is off by."""


class Int8Scan:
    """Scans the int8 codes of an index.

    Parameters
    ----------
    directory : Path
    dimension : int
    """

    def __init__(self, directory: Path, dimension: int) -> None:
        columns = {"codes": ("i1", dimension), "scales": ("<f4", 0), "errors": ("<f4", 0)}
        self.rows = RowCache(directory, Layout("int8", columns), quantise)

    def find(
        self,
        connection: sqlite3.Connection,
        queries: Floats,
        k: int,
        *,
        allowed: Numbers | None,
        unwanted: Numbers,
    ) -> list[Found]:
        """Return numbers and scores of the k nearest, for each query."""
        parts = [part.without(unwanted) for part in self.rows.snapshot(connection)]
        return [self._nearest(connection, parts, query, k, allowed) for query in queries]

    def _nearest(
        self,
        connection: sqlite3.Connection,
        parts: list[Part],
        query: Floats,
        k: int,
        allowed: Numbers | None,
    ) -> Found:
        candidates = [_candidates(part, query, k, allowed) for part in parts]
        numbers = np.concatenate([numbers for numbers, _, _ in candidates] or [_NONE])
        lower = np.concatenate([low for _, low, _ in candidates] or [_NO_SCORES])
        upper = np.concatenate([high for _, _, high in candidates] or [_NO_SCORES])
        if len(numbers) > k:
            numbers = numbers[upper >= kth_greatest(lower, k)]
        return k_best(numbers, items.vectors_of(connection, numbers.tolist(), len(query)), query, k)


def quantise(vectors: Floats) -> Mapping[str, Array]:
    """Return codes, scales and lengths of the errors of vectors (n, d).

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
    part: Part, query: Floats, k: int, allowed: Numbers | None
) -> tuple[Numbers, Floats, Floats]:
    """Return numbers, lower and upper bounds of the rows that can be among the k nearest."""
    scores = _approximate(part.columns["codes"], query) * part.columns["scales"]
    errors = part.columns["errors"] + np.float32(_SLACK)
    lower, upper = scores - errors, scores + errors
    barred = part.dead
    if allowed is not None:
        places = positions_of(part.numbers, allowed)
        barred = np.union1d(barred, np.delete(np.arange(len(lower)), places))
    lower[barred] = upper[barred] = -np.inf
    bound = kth_greatest(lower, k) if k < len(lower) else np.float32(-2)
    chosen = np.flatnonzero(upper >= max(bound, np.float32(-2)))
    return part.numbers[chosen], lower[chosen], upper[chosen]


def _approximate(codes: Array, query: Floats) -> Floats:
    """Return codes @ query, converted to float32 a block at a time."""
    scores = np.empty(len(codes), dtype=np.float32)

    def multiply(start: int, stop: int) -> None:
        np.dot(codes[start:stop].astype(np.float32), query, out=scores[start:stop])

    in_blocks(len(codes), codes.shape[1], multiply)
    return scores


_NONE: Numbers = np.empty(0, dtype=np.int64)
_NO_SCORES: Floats = np.empty(0, dtype=np.float32)
