"""Exact search: a matrix product, then the k largest scores."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from pyimgret.index.search.blocks import PARALLEL_VALUES, in_blocks
from pyimgret.index.storage.arrays import Floats, Positions, RowIds

Found: TypeAlias = tuple[RowIds, Floats]
"""Row ids and scores, best first."""

_SMALL = 8192
_GROUP = 64
_BLOCK_SCORES = 1 << 23
"""Scores computed at a time for a batch of queries (32 MB)."""

_FEW = 32
"""Up to this number of queries, blocks are used that BLAS does not pack."""

_BLOCK_PRODUCTS = 1 << 18
"""Multiplications up to which OpenBLAS stays on the calling thread."""


def top_k(scores: Floats, k: int) -> Positions:
    """Return the positions of the k largest scores, best first.

    Ties are ordered by position. Instead of partitioning all scores,
    the maximum of every group of 64 is computed first (a vector instruction); the k-th
    largest maximum bounds the k-th largest score from below, and few scores exceed it.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    k : int
        At least 1; if it exceeds n, all positions are returned.

    Examples
    --------
    >>> top_k(np.array([0.1, 0.9, 0.5, 0.9], dtype=np.float32), 3).tolist()
    [1, 3, 2]
    """
    if k >= len(scores):
        candidates = np.arange(len(scores))
    elif _without_groups(len(scores), k):
        candidates = np.flatnonzero(scores >= kth_greatest(scores, k))
    else:
        candidates = _candidates_by_group(scores, k)
    found = scores[candidates]
    return candidates[np.lexsort((candidates, -found))[:k]]


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


def search_pieces(pieces: Sequence[tuple[Floats, Positions]], query: Floats, k: int) -> Found:
    """Return positions and scores of the rows nearest to one query.

    Parameters
    ----------
    pieces : list of (ndarray of shape (n, d), ndarray of int)
        Unit vectors, and the positions of deleted ones; positions continue from one piece
        to the next.
    query : ndarray of shape (d,)
    """
    scores = np.empty(sum(len(rows) for rows, _ in pieces), dtype=np.float32)
    start = 0
    for rows, deleted in pieces:
        part = scores[start : start + len(rows)]
        multiply(rows, query, out=part)
        if len(deleted):
            part[deleted] = -np.inf
        start += len(rows)
    return _without_excluded(top_k(scores, k), scores)


def multiply(rows: Floats, query: Floats, *, out: Floats) -> None:
    """Write ``rows @ query`` to ``out`` in parallel blocks; see `search.blocks`."""

    def work(start: int, stop: int) -> None:
        np.dot(rows[start:stop], query, out=out[start:stop])

    in_blocks(len(rows), rows.shape[1], work)


def search_batch(rows: Floats, deleted: Positions, queries: Floats, k: int) -> list[Found]:
    """Return the result of `search_pieces` for each of many queries, by matrix products.

    Memory is bounded: at most 8 million scores exist at a time.
    """
    if len(queries) == 1:
        return [search_pieces([(rows, deleted)], queries[0], k)]
    if is_small_batch(len(queries), len(rows)):
        return search_small_batch([(rows, deleted)], queries, k)
    step = max(1, _BLOCK_SCORES // max(len(rows), 1))
    found = []
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ rows.T
        scores[:, deleted] = -np.inf
        found += [_without_excluded(top_k(row, k), row) for row in scores]
    return found


def is_small_batch(queries: int, rows: int) -> bool:
    """Return whether `search_small_batch` is the faster method."""
    return queries <= _FEW and queries * rows <= _BLOCK_SCORES


def search_small_batch(
    pieces: Sequence[tuple[Floats, Positions]], queries: Floats, k: int
) -> list[Found]:
    """Return the result of `search_pieces` for each of a few queries; rows are read once.

    For a full matrix product BLAS first packs the rows, which takes longer than a few queries,
    and its threads wait for each other: 8 queries over 60,000 x 32 rows took 5 ms of CPU time
    that way, and take 0.9 ms here.
    """
    turned = np.ascontiguousarray(queries.T)
    scores = np.empty((sum(len(rows) for rows, _ in pieces), len(queries)), dtype=np.float32)
    start = 0
    for rows, deleted in pieces:
        part = scores[start : start + len(rows)]
        _multiply_small_batch(rows, turned, part)
        if len(deleted):
            part[deleted] = -np.inf
        start += len(rows)
    return top_k_together(scores, k)


def _multiply_small_batch(rows: Floats, turned: Floats, out: Floats) -> None:
    """Write ``rows @ turned`` to ``out`` with products that BLAS neither packs nor threads."""
    step = max(16, _BLOCK_PRODUCTS // turned.size)

    def work(start: int, stop: int) -> None:
        whole = start + (stop - start) // step * step
        # NB: one call for all blocks, so that the GIL is released and acquired once.
        stacked = rows[start:whole].reshape(-1, step, rows.shape[1])
        np.matmul(stacked, turned, out=out[start:whole].reshape(-1, step, turned.shape[1]))
        np.dot(rows[whole:stop], turned, out=out[whole:stop])

    if rows.size < PARALLEL_VALUES:
        work(0, len(rows))
    else:
        in_blocks(len(rows), rows.shape[1], work)


def top_k_together(scores: Floats, k: int) -> list[Found]:
    """Return the result of `top_k` for each column with the scores, without -inf.

    Uses groups as `top_k` does, but one NumPy call per step for all columns.

    Parameters
    ----------
    scores : ndarray of shape (n, queries)

    Examples
    --------
    >>> scores = np.array([[0.1, 0.9], [0.9, -np.inf], [0.5, 0.8]], dtype=np.float32)
    >>> [positions.tolist() for positions, _ in top_k_together(scores, 3)]
    [[1, 2, 0], [0, 2]]
    """
    if _without_groups(len(scores), k):
        return [
            _without_excluded(top_k(column, k), column) for column in np.ascontiguousarray(scores.T)
        ]
    maxima = np.ascontiguousarray(group_maxima(scores).T)
    columns = maxima.shape[1]
    bounds = np.partition(maxima, columns - k, axis=1)[:, columns - k]
    which, group = (maxima >= bounds[:, None]).nonzero()
    positions = (group[:, None] + columns * np.arange(_GROUP)).ravel()
    which = which.repeat(_GROUP)
    rest, of_rest = (scores[columns * _GROUP :] >= bounds).nonzero()
    positions = np.concatenate([positions, rest + columns * _GROUP])
    which = np.concatenate([which, of_rest])
    found = scores[positions, which]
    enough = (found >= bounds[which]) & (found > -np.inf)
    return _best_of_each(which[enough], positions[enough], found[enough], scores.shape[1], k)


def _best_of_each(
    which: Positions, positions: Positions, scores: Floats, count: int, k: int
) -> list[Found]:
    """Return the k best candidates of each query; ``which`` maps candidates to queries."""
    order = np.lexsort((positions, -scores, which))
    starts = np.searchsorted(which[order], np.arange(count + 1)).tolist()
    parts = [order[start : min(start + k, stop)] for start, stop in pairwise(starts)]
    return [(positions[part], scores[part]) for part in parts]


def merge(parts: list[Found], k: int) -> Found:
    """Merge the results of several parts of an index; ties are ordered by row id."""
    if len(parts) == 1:
        return parts[0]
    row_ids = np.concatenate([part[0] for part in parts])
    scores = np.concatenate([part[1] for part in parts])
    order = np.lexsort((row_ids, -scores))[:k]
    return row_ids[order], scores[order]


def kth_greatest(values: Floats, k: int) -> np.float32:
    """Return the k-th largest of at least k values."""
    position = len(values) - k
    return np.float32(np.partition(values, position)[position])


def k_best(row_ids: RowIds, vectors: Floats, query: Floats, k: int) -> Found:
    """Return the k best candidates by exact score."""
    scores = vectors @ query
    order = np.lexsort((row_ids, -scores))[:k]
    return row_ids[order], scores[order]


def group_maxima(scores: Floats) -> Floats:
    """Return the maximum of every group of 64 scores, for each column if there are several.

    A group consists of distant positions, so that whole rows are compared at a
    time; the remaining positions, less than a group, are not covered.
    """
    columns = len(scores) // _GROUP
    rows = scores[: columns * _GROUP].reshape(_GROUP, columns, *scores.shape[1:])
    maxima: Floats = rows.max(axis=0)
    return maxima


def _without_groups(count: int, k: int) -> bool:
    """Return whether grouping would not exclude enough scores."""
    return count <= _SMALL or k > count // (2 * _GROUP)


def _candidates_by_group(scores: Floats, k: int) -> Positions:
    """Return positions that include the k largest scores."""
    maxima = group_maxima(scores)
    columns = len(maxima)
    bound = kth_greatest(maxima, k)
    inside = ((maxima >= bound).nonzero()[0] + columns * np.arange(_GROUP)[:, None]).ravel()
    candidates = np.concatenate([inside, np.arange(columns * _GROUP, len(scores))])
    enough: Positions = candidates[scores[candidates] >= bound]
    return enough


def _without_excluded(positions: Positions, scores: Floats) -> Found:
    found = scores[positions]
    keep = found > -np.inf
    return positions[keep], found[keep]
