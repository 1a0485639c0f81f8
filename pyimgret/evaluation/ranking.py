"""Exact rankings by cosine, block by block, for `pyimgret.evaluation`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from pyimgret.exceptions import DimensionMismatchError, InvalidArgumentError
from pyimgret.preprocessing import normalize

BLOCK: Final = 1 << 21
"""Number of scores in memory at a time: about 100 MB in total."""

ONE: Final = 1 << 30
"""A cosine of 1 in fixed point."""


def rankings(
    database: npt.NDArray[np.float64],
    queries: npt.NDArray[np.float64],
    rows: npt.NDArray[np.int64],
    leave_out: bool,
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Yield blocks of query rows with their full ranking: rows, positions, scores.

    At most `BLOCK` scores are in memory, or those of one query if the database is larger.

    NB: cosines are computed in float64 and rounded to multiples of 2^-30, so that equal
    vectors get equal scores regardless of the blocking of BLAS.
    """
    step = max(1, BLOCK // max(1, len(database)))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        scores = np.rint(queries[part] @ database.T * ONE).astype(np.int64)
        if leave_out:
            scores[np.arange(len(part)), part] = -3 * ONE // 2  # below every cosine: last
        order = descending(scores)
        if leave_out:
            order = order[:, :-1]
        cosines = np.take_along_axis(scores, order, axis=1) / ONE
        yield part, order, cosines.astype(np.float32)


def descending(scores: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the positions that sort rows of 32-bit numbers in descending order, stably.

    Score and position are packed into one 64-bit integer, because sorting those is several
    times faster than a stable argsort.

    Examples
    --------
    >>> descending(np.array([[1, 7, -3, 7]]))
    array([[1, 3, 0, 2]])
    """
    keys = (-scores << 32) | np.arange(scores.shape[1])
    keys.sort(axis=1)
    keys &= 0xFFFFFFFF
    return keys


def normalised(vectors: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    """Return rows of length 1; zero vectors are unchanged (their cosines are 0)."""
    array = np.asarray(vectors, dtype=np.float64)
    if array.ndim != 2:
        raise DimensionMismatchError(f"{name} have shape {array.shape}; expected (n, d).")
    if not np.all(np.isfinite(array)):
        row = int(np.argmin(np.isfinite(array).all(axis=1)))
        raise InvalidArgumentError(f"{name}: row {row} contains values that are not finite.")
    return normalize(array)
