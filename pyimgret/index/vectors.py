"""Vectors from outside: recognised, checked, brought to length 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyimgret.exceptions import DimensionMismatchError
from pyimgret.index.arrays import Floats


def is_vectors(value: Any) -> bool:
    """Tell vectors (floats, one or two axes) from pictures.

    Examples
    --------
    >>> is_vectors([0.1, 0.2]), is_vectors("query.png"), is_vectors(np.zeros((2, 2), np.uint8))
    (True, False, False)
    """
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f" and value.ndim <= 2
    if not isinstance(value, (list, tuple)) or not value:
        return False
    if isinstance(value[0], np.ndarray):
        return is_vectors(value[0]) and value[0].ndim == 1
    return isinstance(value[0], (float, list, tuple)) and not isinstance(value[0], str)


def normalised(vectors: object, dimension: int) -> Floats:
    """Return vectors as float32 of length 1, those that already are unchanged.

    Raises
    ------
    DimensionMismatchError
        When the last axis is not ``dimension`` long.
    ValueError
        When a vector has length 0 or holds NaN or infinity.
    """
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if array.ndim not in (1, 2) or array.shape[-1] != dimension:
        raise DimensionMismatchError(
            f"Got vectors of shape {array.shape}; this index holds vectors of {dimension} "
            f"numbers: give shape ({dimension},) or (n, {dimension})."
        )
    if array.ndim == 1 and abs(float(array @ array) - 1.0) <= 1e-6:
        return array  # a query of length 1, the most frequent case
    norms = np.linalg.norm(array.astype(np.float64), axis=-1, keepdims=True)
    if not np.isfinite(norms).all() or not (norms > 0).all():
        bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))[0]
        raise ValueError(
            f"Vector {bad} has length {norms.ravel()[bad]}; a cosine needs finite numbers that "
            "are not all zero."
        )
    if (np.abs(norms - 1.0) <= 1e-6).all():
        return array
    unit = np.where(np.abs(norms - 1.0) <= 1e-6, 1.0, norms)
    return np.asarray(array / unit, dtype=np.float32)
