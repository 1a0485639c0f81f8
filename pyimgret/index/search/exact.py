"""Exact search: matrix products in parallel blocks, then the k largest scores.

A matrix-vector product is memory-bound, and BLAS libraries that split it over threads
wait for the slowest one: on a busy machine that costs a hundred times what it saves.
Here blocks are so small that BLAS uses one thread; helper threads take blocks when they are
scheduled, and the caller works too and never waits for a helper that has not started.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pyimgret.index.search.rows import Part, positions_of
from pyimgret.index.search.top_k import NOTHING, Found, best, best_of_each, merge
from pyimgret.index.storage.arrays import Floats, RowIds

_BLOCK_VALUES = 196_608

_PARALLEL_VALUES = 2_000_000
"""Smaller products finish before a helper thread would have woken up."""

_BLOCK_SCORES = 1 << 23
"""Scores computed at a time for a batch of queries (32 MB)."""

_FEW = 32
"""Up to this number of queries, blocks are used that BLAS does not pack."""

_BLOCK_PRODUCTS = 1 << 18
"""Multiplications up to which OpenBLAS stays on the calling thread."""

_GATHER_BELOW = 0.2
"""Rows that match a filter are copied out if they are less than this share."""


def padded_width(dimension: int) -> int:
    """Return a row length that BLAS multiplies fast: the next multiple of 4.

    OpenBLAS's matrix-vector product processes columns in fours; for rows of 30
    values the remaining two take a third of the time, for rows of 34 more than half.
    """
    return -(-dimension // 4) * 4


def padded(vectors: Floats, width: int) -> Floats:
    """Pad vectors (or one vector) with zeros, which do not change dot products.

    Examples
    --------
    >>> padded(np.ones((1, 3), dtype=np.float32), 4).tolist()
    [[1.0, 1.0, 1.0, 0.0]]
    """
    if vectors.shape[-1] == width:
        return vectors
    made = np.zeros((*vectors.shape[:-1], width), dtype=np.float32)
    made[..., : vectors.shape[-1]] = vectors
    return made


def search_parts(
    parts: Sequence[Part], queries: Floats, k: int, *, allowed: RowIds | None = None
) -> list[Found]:
    """Return row ids and scores of the k nearest over all parts, for each query.

    Memory is bounded: at most 8 million scores of several queries exist at a time.

    Parameters
    ----------
    parts : list of Part
        With the column ``vectors``.
    queries : ndarray of shape (q, d)
    allowed : ndarray of int, optional
        Search only these row ids; ascending.
    """
    if allowed is not None:
        parts = [_restricted(part, allowed) for part in parts]
    rows = sum(len(part.row_ids) for part in parts)
    if not rows:
        return [NOTHING] * len(queries)
    queries = padded(queries, parts[0].columns["vectors"].shape[1])
    if len(queries) == 1:
        found = [best(_scores(parts, rows, queries[0]), k)]
    elif len(queries) <= _FEW and len(queries) * rows <= _BLOCK_SCORES:
        found = best_of_each(_scores(parts, rows, np.ascontiguousarray(queries.T)), k)
    else:
        by_part = [_search_many(part, queries, k) for part in parts]
        return [merge(list(of_query), k) for of_query in zip(*by_part, strict=True)]
    return [(_row_ids_at(parts, positions), scores) for positions, scores in found]


def _restricted(part: Part, allowed: RowIds) -> Part:
    """Return the allowed rows of a part: copied if they are few, else with others masked."""
    places = np.setdiff1d(positions_of(part.row_ids, allowed), part.deleted, assume_unique=True)
    if len(places) < _GATHER_BELOW * len(part.row_ids):
        return Part({name: column[places] for name, column in part.columns.items()})
    return part._replace(deleted=np.delete(np.arange(len(part.row_ids)), places))


def _scores(parts: Sequence[Part], count: int, queries: Floats) -> Floats:
    """Return the scores of all rows: (count,) for a query (d,), (count, q) for (d, q)."""
    scores = np.empty((count, *queries.shape[1:]), dtype=np.float32)
    start = 0
    for part in parts:
        rows = part.columns["vectors"]
        out = scores[start : start + len(rows)]
        if queries.ndim == 1:
            multiply(rows, queries, out=out)
        else:
            _multiply_small_batch(rows, queries, out)
        if len(part.deleted):
            out[part.deleted] = -np.inf
        start += len(rows)
    return scores


def _search_many(part: Part, queries: Floats, k: int) -> list[Found]:
    """Search one part for many queries, by whole matrix products."""
    rows = part.columns["vectors"]
    step = max(1, _BLOCK_SCORES // max(len(rows), 1))
    found = []
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ rows.T
        scores[:, part.deleted] = -np.inf
        found += [best(row, k) for row in scores]
    return [(part.row_ids[positions], scores) for positions, scores in found]


def _row_ids_at(parts: Sequence[Part], positions: RowIds) -> RowIds:
    """Return the row ids at positions that are counted through all parts."""
    row_ids, start = np.empty(len(positions), dtype=np.int64), 0
    for part in parts:
        here = (positions >= start) & (positions < start + len(part.row_ids))
        row_ids[here] = part.row_ids[positions[here] - start]
        start += len(part.row_ids)
    return row_ids


def multiply(rows: Floats, query: Floats, *, out: Floats) -> None:
    """Write ``rows @ query`` to ``out`` in parallel blocks."""

    def work(start: int, stop: int) -> None:
        np.dot(rows[start:stop], query, out=out[start:stop])

    in_blocks(len(rows), rows.shape[1], work)


def _multiply_small_batch(rows: Floats, turned: Floats, out: Floats) -> None:
    """Write ``rows @ turned`` to ``out`` with products that BLAS neither packs nor threads.

    For a full matrix product BLAS first packs the rows, which takes longer than a few queries,
    and its threads wait for each other: 8 queries over 60,000 x 32 rows took 5 ms of CPU time
    that way, and take 0.9 ms here.
    """
    step = max(16, _BLOCK_PRODUCTS // turned.size)

    def work(start: int, stop: int) -> None:
        whole = start + (stop - start) // step * step
        # NB: one call for all blocks, so that the GIL is released and acquired once.
        stacked = rows[start:whole].reshape(-1, step, rows.shape[1])
        np.matmul(stacked, turned, out=out[start:whole].reshape(-1, step, turned.shape[1]))
        np.dot(rows[whole:stop], turned, out=out[whole:stop])

    if rows.size < _PARALLEL_VALUES:
        work(0, len(rows))
    else:
        in_blocks(len(rows), rows.shape[1], work)


def in_blocks(rows: int, width: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(start, stop)`` for blocks that cover all rows, partly in parallel.

    Parameters
    ----------
    rows, width : int
        Shape of the data.
    work : callable
        Thread-safe; should release the GIL, as NumPy does.

    Examples
    --------
    >>> seen = []
    >>> in_blocks(500_000, 1, lambda start, stop: seen.append(stop - start))
    >>> len(seen), sum(seen)
    (3, 500000)
    """
    step = max(64, _BLOCK_VALUES // max(width, 1))
    starts = iter(range(0, rows, step))

    def take() -> None:
        for start in starts:
            work(start, min(start + step, rows))

    helpers = []
    if rows * width >= _PARALLEL_VALUES and _cores() > 1:
        helpers = [_pool(os.getpid()).submit(take) for _ in range(min(_cores() - 1, 7))]
    take()
    for helper in helpers:
        if not helper.cancel():
            helper.result()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the helper threads of this process; after a fork the child creates its own."""
    assert process == os.getpid()
    return ThreadPoolExecutor(8, thread_name_prefix="pyimgret-scan")
