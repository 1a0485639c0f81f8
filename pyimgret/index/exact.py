"""Exact search: one matrix product, then the k greatest of its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from pyimgret.index.arrays import Floats, Numbers
from pyimgret.index.blocks import in_blocks

Found: TypeAlias = tuple[Numbers, Floats]
"""Numbers of items and their scores, best first."""

_SMALL = 8192
_GROUP = 64
_BLOCK_SCORES = 1 << 23
"""Scores computed at a time for a batch of queries: 32 MB."""


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
    elif len(scores) <= _SMALL or k > len(scores) // (2 * _GROUP):
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
    """Put ``rows @ query`` into out, also fast on a busy machine; see `pyimgret.index.blocks`."""

    def work(start: int, stop: int) -> None:
        np.dot(rows[start:stop], query, out=out[start:stop])

    in_blocks(len(rows), rows.shape[1], work)


def search_batch(rows: Floats, dead: Numbers, queries: Floats, k: int) -> list[Found]:
    """Return what `search_pieces` would for each of many queries, by matrix products.

    Memory is bounded: the scores of at most 8 million pairs exist at a time.
    """
    if len(queries) == 1:
        return [search_pieces([(rows, dead)], queries[0], k)]
    step = max(1, _BLOCK_SCORES // max(len(rows), 1))
    found = []
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ rows.T
        scores[:, dead] = -np.inf
        found += [_alive(top_k(row, k), row) for row in scores]
    return found


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


def _candidates_by_group(scores: Floats, k: int) -> Numbers:
    """Return positions among which the k greatest are."""
    # NB: a group is a column, so that the maximum of whole rows is taken at a time.
    columns = len(scores) // _GROUP
    whole = columns * _GROUP
    maxima = scores[:whole].reshape(_GROUP, columns).max(axis=0)
    bound = kth_greatest(maxima, k)
    inside = ((maxima >= bound).nonzero()[0] + columns * np.arange(_GROUP)[:, None]).ravel()
    candidates = np.concatenate([inside, np.arange(whole, len(scores))])
    enough: Numbers = candidates[scores[candidates] >= bound]
    return enough


def _alive(positions: Numbers, scores: Floats) -> Found:
    found = scores[positions]
    keep = found > -np.inf
    return positions[keep], found[keep]
