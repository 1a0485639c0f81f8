"""Exact search: one matrix product, then the k greatest of its result."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from pyimgret.index.search.blocks import PARALLEL_VALUES, in_blocks
from pyimgret.index.storage.arrays import Floats, Numbers

Found: TypeAlias = tuple[Numbers, Floats]
"""Numbers of items and their scores, best first."""

_SMALL = 8192
_GROUP = 64
_BLOCK_SCORES = 1 << 23
"""Scores computed at a time for a batch of queries: 32 MB."""

_FEW = 32
"""So many queries are multiplied by blocks of rows that BLAS does not pack."""

_BLOCK_PRODUCTS = 1 << 18
"""Multiplications up to which OpenBLAS stays on the thread that calls it."""


def top_k(scores: Floats, k: int) -> Numbers:
    """Return the positions of the k greatest scores, best first.

    Equal scores come in the order of their positions. Instead of partitioning all scores,
    the maximum of every group of 64 is taken first (a vector instruction); the k-th
    greatest maximum bounds the k-th greatest score from below, and little is left above it.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    k : int
        At least 1; when it exceeds n, all positions are returned.

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
    """Return the length of a row that BLAS multiplies fast: the next multiple of 4.

    OpenBLAS's product of a matrix and a vector takes columns by fours; on a row of 30
    numbers the two that are left over cost a third of its time, of 34 more than half.
    """
    return -(-dimension // 4) * 4


def padded(vectors: Floats, width: int) -> Floats:
    """Return vectors (or one) with zeros behind them, which change no product.

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


def search_pieces(pieces: Sequence[tuple[Floats, Numbers]], query: Floats, k: int) -> Found:
    """Return the positions of the rows nearest to one query, and their scores.

    Parameters
    ----------
    pieces : list of (ndarray of shape (n, d), ndarray of int)
        Vectors of length 1, and which of them do not count; positions go on from one piece
        to the next.
    query : ndarray of shape (d,)
    """
    scores = np.empty(sum(len(rows) for rows, _ in pieces), dtype=np.float32)
    start = 0
    for rows, dead in pieces:
        part = scores[start : start + len(rows)]
        multiply(rows, query, out=part)
        if len(dead):
            part[dead] = -np.inf
        start += len(rows)
    return _alive(top_k(scores, k), scores)


def multiply(rows: Floats, query: Floats, *, out: Floats) -> None:
    """Put ``rows @ query`` into out, also fast on a busy machine; see `search.blocks`."""

    def work(start: int, stop: int) -> None:
        np.dot(rows[start:stop], query, out=out[start:stop])

    in_blocks(len(rows), rows.shape[1], work)


def search_batch(rows: Floats, dead: Numbers, queries: Floats, k: int) -> list[Found]:
    """Return what `search_pieces` would for each of many queries, by matrix products.

    Memory is bounded: the scores of at most 8 million pairs exist at a time.
    """
    if len(queries) == 1:
        return [search_pieces([(rows, dead)], queries[0], k)]
    if few(len(queries), len(rows)):
        return search_few([(rows, dead)], queries, k)
    step = max(1, _BLOCK_SCORES // max(len(rows), 1))
    found = []
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ rows.T
        scores[:, dead] = -np.inf
        found += [_alive(top_k(row, k), row) for row in scores]
    return found


def few(queries: int, rows: int) -> bool:
    """Say whether `search_few` is the way for so many queries over so many rows."""
    return queries <= _FEW and queries * rows <= _BLOCK_SCORES


def search_few(pieces: Sequence[tuple[Floats, Numbers]], queries: Floats, k: int) -> list[Found]:
    """Return what `search_pieces` would for each of a few queries; rows are read once.

    BLAS packs the rows of a whole product first, which takes longer than a few queries, and
    its threads wait for each other: 8 queries over 60,000 x 32 rows took 5 ms of processor
    time so, and take 0.9 ms here.
    """
    turned = np.ascontiguousarray(queries.T)
    scores = np.empty((sum(len(rows) for rows, _ in pieces), len(queries)), dtype=np.float32)
    start = 0
    for rows, dead in pieces:
        part = scores[start : start + len(rows)]
        _multiply_few(rows, turned, part)
        if len(dead):
            part[dead] = -np.inf
        start += len(rows)
    return top_k_together(scores, k)


def _multiply_few(rows: Floats, turned: Floats, out: Floats) -> None:
    """Put ``rows @ turned`` into out, by products that BLAS does without packing or threads."""
    step = max(16, _BLOCK_PRODUCTS // turned.size)

    def work(start: int, stop: int) -> None:
        whole = start + (stop - start) // step * step
        # NB: one call for all blocks, which gives the GIL up, and has to get it back, once.
        stacked = rows[start:whole].reshape(-1, step, rows.shape[1])
        np.matmul(stacked, turned, out=out[start:whole].reshape(-1, step, turned.shape[1]))
        np.dot(rows[whole:stop], turned, out=out[whole:stop])

    if rows.size < PARALLEL_VALUES:
        work(0, len(rows))
    else:
        in_blocks(len(rows), rows.shape[1], work)


def top_k_together(scores: Floats, k: int) -> list[Found]:
    """Return what `top_k` finds in each column, with the scores; -inf is left out.

    As `top_k` does it, by groups, but with one call of NumPy for all columns in each step.

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
        return [_alive(top_k(column, k), column) for column in np.ascontiguousarray(scores.T)]
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
    which: Numbers, positions: Numbers, scores: Floats, count: int, k: int
) -> list[Found]:
    """Return the k best of each query's candidates; which says whose a candidate is."""
    order = np.lexsort((positions, -scores, which))
    starts = np.searchsorted(which[order], np.arange(count + 1)).tolist()
    parts = [order[start : min(start + k, stop)] for start, stop in pairwise(starts)]
    return [(positions[part], scores[part]) for part in parts]


def merge(parts: list[Found], k: int) -> Found:
    """Merge the results of several parts of an index; numbers break ties."""
    if len(parts) == 1:
        return parts[0]
    numbers = np.concatenate([part[0] for part in parts])
    scores = np.concatenate([part[1] for part in parts])
    order = np.lexsort((numbers, -scores))[:k]
    return numbers[order], scores[order]


def kth_greatest(values: Floats, k: int) -> np.float32:
    """Return the k-th greatest of at least k values."""
    position = len(values) - k
    return np.float32(np.partition(values, position)[position])


def k_best(numbers: Numbers, vectors: Floats, query: Floats, k: int) -> Found:
    """Return the k best of some candidates, by their exact scores."""
    scores = vectors @ query
    order = np.lexsort((numbers, -scores))[:k]
    return numbers[order], scores[order]


def group_maxima(scores: Floats) -> Floats:
    """Return the greatest of every group of 64 scores; of each column, where there are several.

    A group is taken from places that lie far apart, so that whole rows are compared at a
    time; the last ones, less than a group, are in none.
    """
    columns = len(scores) // _GROUP
    rows = scores[: columns * _GROUP].reshape(_GROUP, columns, *scores.shape[1:])
    maxima: Floats = rows.max(axis=0)
    return maxima


def _without_groups(count: int, k: int) -> bool:
    """Say whether groups of so many scores would leave out too little."""
    return count <= _SMALL or k > count // (2 * _GROUP)


def _candidates_by_group(scores: Floats, k: int) -> Numbers:
    """Return positions among which the k greatest are."""
    maxima = group_maxima(scores)
    columns = len(maxima)
    bound = kth_greatest(maxima, k)
    inside = ((maxima >= bound).nonzero()[0] + columns * np.arange(_GROUP)[:, None]).ravel()
    candidates = np.concatenate([inside, np.arange(columns * _GROUP, len(scores))])
    enough: Numbers = candidates[scores[candidates] >= bound]
    return enough


def _alive(positions: Numbers, scores: Floats) -> Found:
    found = scores[positions]
    keep = found > -np.inf
    return positions[keep], found[keep]
