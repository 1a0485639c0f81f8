"""An order of vectors that places neighbours next to each other.

Traversing a graph reads a vector at every step, and in insertion order each one
lies elsewhere in memory. In this order the next one is often in the CPU's
cache already: Coleman et al. (2022), Graph reordering for cache-efficient near neighbor
search.
"""

from __future__ import annotations

import numpy as np

from pyimgret.index.storage.arrays import Floats, Positions

_GROUP = 128
_MAX_CENTRES = 4096
_BLOCK = 8192


def nearby_order(vectors: Floats, *, seed: int = 0) -> Positions:
    """Return an order of unit vectors in which near ones are adjacent.

    Each is assigned to the nearest of n/128 (at most 4,096) randomly drawn centres, and
    the centres are ordered recursively.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
    seed : int

    Examples
    --------
    >>> angles = np.arange(4096) * 2654435761 % 4096 / 4096 * 6.28
    >>> rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    >>> ordered = rows[nearby_order(rows)]
    >>> float((ordered[1:] * ordered[:-1]).sum(axis=1).mean()) > 0.97
    True
    """
    count = min(len(vectors) // _GROUP, _MAX_CENTRES)
    if count < 2:
        return np.arange(len(vectors), dtype=np.int64)
    drawn = np.random.default_rng(seed).choice(len(vectors), count, replace=False)
    centres = vectors[drawn]
    centres = centres[nearby_order(centres, seed=seed)]
    groups = np.empty(len(vectors), dtype=np.int64)
    for start in range(0, len(vectors), _BLOCK):
        scores = vectors[start : start + _BLOCK] @ centres.T
        groups[start : start + _BLOCK] = scores.argmax(axis=1)
    return np.argsort(groups, kind="stable").astype(np.int64, copy=False)
