"""The k largest of many scores."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

import numpy as np

from pyimgret.index.storage.arrays import Floats, Positions, RowIds

Found: TypeAlias = tuple[RowIds, Floats]
"""Row ids (or positions) and scores, best first."""

NOTHING: Found = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))

_SMALL = 8192
_GROUP = 64


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


def best(scores: Floats, k: int) -> Found:
    """Return positions and scores of the k largest, without those of -inf."""
    positions = top_k(scores, k)
    found = scores[positions]
    keep = found > -np.inf
    return positions[keep], found[keep]


def best_of_each(scores: Floats, k: int) -> list[Found]:
    """Return the result of `best` for each column.

    Uses groups as `top_k` does, but one NumPy call per step for all columns.

    Parameters
    ----------
    scores : ndarray of shape (n, queries)

    Examples
    --------
    >>> scores = np.array([[0.1, 0.9], [0.9, -np.inf], [0.5, 0.8]], dtype=np.float32)
    >>> [positions.tolist() for positions, _ in best_of_each(scores, 3)]
    [[1, 2, 0], [0, 2]]
    """
    if _without_groups(len(scores), k):
        return [best(column, k) for column in np.ascontiguousarray(scores.T)]
    maxima = np.ascontiguousarray(_group_maxima(scores).T)
    columns = maxima.shape[1]
    bounds = np.partition(maxima, columns - k, axis=1)[:, columns - k]
    which, group = (maxima >= bounds[:, None]).nonzero()
    positions = (group[:, None] + columns * np.arange(_GROUP)).ravel()
    rest, of_rest = (scores[columns * _GROUP :] >= bounds).nonzero()
    positions = np.concatenate([positions, rest + columns * _GROUP])
    which = np.concatenate([which.repeat(_GROUP), of_rest])
    found = scores[positions, which]
    enough = (found >= bounds[which]) & (found > -np.inf)
    which, positions, found = which[enough], positions[enough], found[enough]
    order = np.lexsort((positions, -found, which))
    starts = np.searchsorted(which[order], np.arange(scores.shape[1] + 1)).tolist()
    parts = [order[start : min(start + k, stop)] for start, stop in pairwise(starts)]
    return [(positions[part], found[part]) for part in parts]


def merge(parts: list[Found], k: int) -> Found:
    """Merge the results of several parts of an index; ties are ordered by row id."""
    if len(parts) == 1:
        return parts[0]
    row_ids = np.concatenate([part[0] for part in parts])
    return ordered(row_ids, np.concatenate([part[1] for part in parts]), k)


def ordered(row_ids: RowIds, scores: Floats, k: int) -> Found:
    """Return the k best candidates; ties are ordered by row id."""
    order = np.lexsort((row_ids, -scores))[:k]
    return row_ids[order], scores[order]


def kth_greatest(values: Floats, k: int) -> np.float32:
    """Return the k-th largest of at least k values."""
    position = len(values) - k
    return np.float32(np.partition(values, position)[position])


def _group_maxima(scores: Floats) -> Floats:
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
    maxima = _group_maxima(scores)
    columns = len(maxima)
    bound = kth_greatest(maxima, k)
    inside = ((maxima >= bound).nonzero()[0] + columns * np.arange(_GROUP)[:, None]).ravel()
    candidates = np.concatenate([inside, np.arange(columns * _GROUP, len(scores))])
    enough: Positions = candidates[scores[candidates] >= bound]
    return enough
