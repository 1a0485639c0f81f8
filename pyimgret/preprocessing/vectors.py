"""Vectors: detection, validation and normalization."""

from __future__ import annotations

import os
from numbers import Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import DimensionMismatchError, ImageDecodeError, InvalidArgumentError
from pyimgret.preprocessing.decoding import URL_ADVICE, is_url

Floating = TypeVar("Floating", np.float32, np.float64)


def normalize(vectors: NDArray[Floating]) -> NDArray[Floating]:
    """Normalize rows to length 1; rows of zeros are unchanged.

    Examples
    --------
    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    norms: NDArray[Any] = np.linalg.norm(vectors, axis=-1, keepdims=True)
    norms[norms == 0] = 1
    units: NDArray[Floating] = vectors / norms
    return units


def as_vectors(given: Any, dimension: int) -> NDArray[np.float32] | None:
    """Return unit vectors (d,) or (n, d); None if the input can only be images.

    Vectors are arrays with one or two axes and lists of numbers, including integers. A uint8 array
    with two axes is an image.

    Raises
    ------
    ValueError
        As `unit_vectors`.

    Examples
    --------
    >>> as_vectors([0, 2], 2).tolist(), as_vectors([[3.0, 4.0]], 2).shape
    ([0.0, 1.0], (1, 2))
    >>> as_vectors("query.png", 2), as_vectors(np.zeros((2, 2), np.uint8), 2)
    (None, None)
    """
    first = given[0] if isinstance(given, (list, tuple)) and given else given
    if isinstance(first, np.ndarray):
        most = 1 if first is not given else 1 + (first.dtype != np.uint8)
        vectors = first.ndim <= most and first.dtype.kind in "fiu"
    else:
        vectors = first is not given and isinstance(first, (Real, list, tuple))
    return unit_vectors(given, dimension) if vectors else None


def check_image(given: object, dimension: int) -> None:
    """Reject a query that is neither an image nor a vector, before a model is loaded."""
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, np.ndarray)
    if not isinstance(given, kinds) and not hasattr(given, "getbands"):
        raise TypeError(
            "A query is an image (a path, bytes, a PIL image or a uint8 array) or a vector of "
            f"{dimension} numbers, got {given!r:.80} ({type(given).__name__})."
        )
    if isinstance(given, str) and is_url(given):
        raise ImageDecodeError(f"{given}: {URL_ADVICE}")


def unit_vectors(vectors: object, dimension: int) -> NDArray[np.float32]:
    """Validate vectors and normalize them to float32 of length 1; unit vectors are unchanged.

    Raises
    ------
    DimensionMismatchError
        If the last axis does not have length ``dimension``.
    ValueError
        If a vector has length 0 or contains NaN or infinity, or something other
        than numbers.
    """
    try:
        array = np.asarray(vectors)
    except ValueError as error:  # rows of unequal length
        raise InvalidArgumentError(f"Expected vectors, got {vectors!r:.80}: {error}.") from error
    if array.dtype.kind not in "fiu":
        raise InvalidArgumentError(f"A vector must contain numbers, got {vectors!r:.80}.")
    with np.errstate(over="ignore"):  # overflow gives infinity, which is rejected below
        array = np.ascontiguousarray(array, dtype=np.float32)
    if array.ndim not in (1, 2) or array.shape[-1] != dimension:
        raise DimensionMismatchError(
            f"Got vectors of shape {array.shape}; this index has vectors of dimension "
            f"{dimension}: pass shape ({dimension},) or (n, {dimension})."
        )
    if array.ndim == 1 and abs(float(array @ array) - 1.0) <= 1e-6:
        return array  # a unit query, the most frequent case
    wide = array.astype(np.float64)
    norms = np.linalg.norm(wide, axis=-1, keepdims=True)
    if not np.isfinite(norms).all() or not (norms > 0).all():
        bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))[0]
        raise InvalidArgumentError(
            f"Vector {bad} has length {norms.ravel()[bad]}; a cosine needs finite values that "
            "are not all zero."
        )
    unit = np.abs(norms - 1.0) <= 1e-6
    return array if unit.all() else np.where(unit, array, normalize(wide).astype(np.float32))
