"""Conversion of images and vectors to network input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import DimensionMismatchError, ImageDecodeError, InvalidArgumentError
from pyimgret.jvm.arrays import InputShape, NetworkInput, float_array
from pyimgret.preprocessing.preprocessor import Preprocessor

#: Images in any form that `as_input` accepts.
Images = Any

#: Limit of the root mean square of unpreprocessed values.
_LARGEST_SCALE = 30.0
#: Allowed margin around a preprocessor's range, as a multiple of its width.
_MARGIN = 4.0


def preprocessor_for(X: object) -> Preprocessor | None:
    """Return the preprocessing implied by uint8 images of one size, or None for floats."""
    if not isinstance(X, np.ndarray) or X.dtype != np.uint8 or X.ndim < 3:
        return None
    return Preprocessor("RGB" if X.ndim == 4 else "L", int(X.shape[1]), int(X.shape[2]))


def as_input(
    X: object,
    preprocessor: Preprocessor | None,
    shape: InputShape | None,
    *,
    kind: str = "dense",
    any_scale: bool = False,
) -> NetworkInput:
    """Convert images or vectors to the form that Java reads.

    Parameters
    ----------
    X : array or sequence of images
        uint8 images; scaled float images or vectors; or paths, bytes and
        PIL images, which need a preprocessor.
    preprocessor : Preprocessor or None
        Scales uint8 images, and resizes others.
    shape : InputShape or None
        The shape that the network expects; None accepts any.
    kind : str
        Kind of input, if there is no shape yet.
    any_scale : bool
        Skip `check_scale` for floats without a preprocessor.

    Raises
    ------
    DimensionMismatchError
        If the shape differs from the network's.
    ValueError
        For no data, NaN or infinity, and values far outside the network's range.
    """
    if not isinstance(X, np.ndarray) and not is_table(X) and not is_numbers(X):
        X = _decode(X, preprocessor)
    array = np.asarray(X)
    if array.dtype == np.uint8 and array.ndim >= 3 and preprocessor is not None:
        return _pixels(array, preprocessor, shape, kind)
    values = float_array(array)
    if values.ndim not in (2, 3, 4):
        raise DimensionMismatchError(
            f"X has shape {values.shape}; expected vectors (n, features) or images (n, h, w[, c])."
        )
    if preprocessor is not None or not any_scale:
        check_scale(values, preprocessor, array.dtype)
    return NetworkInput(values, None, _agreed(InputShape.of(kind, values), shape, values.shape))


def check_scale(
    values: NDArray[np.float32], preprocessor: Preprocessor | None, dtype: np.dtype[Any]
) -> None:
    """Reject values far outside the range of a network, such as pixels in 0..255.

    With a preprocessor the allowed range is that of its results, widened by four times its
    width on both sides, so that noise may be added. Without one, values must have roughly the
    scale that weights are initialized for, a mean square of 1 (Glorot and Bengio 2010; He et al.
    2015); training tolerates more, but a root mean square above 30 is rejected, which pixels of
    0 to 255 have unless nearly all are black. Single outliers are accepted.

    Parameters
    ----------
    values : ndarray
    preprocessor : Preprocessor or None
    dtype : dtype
        The original type of the values.

    Raises
    ------
    ValueError
        With the actual and the expected range.
    """
    low, high = float(values.min()), float(values.max())
    if preprocessor is None:
        # NB: vdot does not allocate another array of this size.
        fits = bool(np.vdot(values, values) <= _LARGEST_SCALE**2 * values.size)
        expected = "images in [0, 1], or standardized vectors (mean 0, variance 1)"
    else:
        table = preprocessor.table()
        least, most = float(table.min()), float(table.max())
        margin = _MARGIN * (most - least)
        fits = least - margin <= low and high <= most + margin
        expected = f"the range of the model's preprocessing, {least:g} to {most:g}"
    if not fits:
        raise InvalidArgumentError(
            f"X contains {dtype} values from {low:g} to {high:g}; expected {expected}. Scale X "
            "like the training data (X / 255 for pixels), or train and encode with uint8 images "
            "(n, h, w) or (n, h, w, 3), which are scaled automatically."
        )


def is_table(X: object) -> bool:
    """Return whether X is vectors: a data frame, a matrix, or rows of numbers."""
    if hasattr(X, "columns") or hasattr(X, "toarray"):
        return True
    return is_numbers(X) and np.asarray(X).ndim <= 2


def is_numbers(X: object) -> bool:
    """Return whether an array or a sequence contains numbers rather than images."""
    if isinstance(X, (list, tuple)) and X:
        first = X[0]
        if isinstance(first, np.ndarray):
            return bool(first.dtype.kind == "f")
        return isinstance(first, (int, float, np.number)) or (
            isinstance(first, (list, tuple)) and np.asarray(first).dtype.kind in "biuf"
        )
    return hasattr(X, "__array__") and not hasattr(X, "mode")


def _decode(X: object, preprocessor: Preprocessor | None) -> NDArray[np.uint8]:
    if isinstance(X, (str, bytes)) or not isinstance(X, Sequence):
        raise TypeError(
            f"X is {type(X).__name__}; expected an array (n, h, w[, 3]) or a list of images."
        )
    if preprocessor is None:
        raise ImageDecodeError(
            "Images that are not arrays need a preprocessing that defines their size; pass "
            "preprocessing=Preprocessor(mode=..., height=..., width=...)."
        )
    if not X:
        raise InvalidArgumentError("X is empty; expected at least one image.")
    return np.stack([preprocessor.pixels(image) for image in X])


def _pixels(
    array: NDArray[Any], preprocessor: Preprocessor, shape: InputShape | None, kind: str
) -> NetworkInput:
    if array.shape[1:] != preprocessor.shape:
        array = _decode(list(array), preprocessor)
    if not len(array):
        raise InvalidArgumentError(f"X has shape {array.shape}; expected at least one image.")
    values = np.ascontiguousarray(array)
    return NetworkInput(
        values, preprocessor.table(), _agreed(InputShape.of(kind, values), shape, values.shape)
    )


def _agreed(got: InputShape, expected: InputShape | None, shape: tuple[int, ...]) -> InputShape:
    if expected is None:
        return got
    same = replace(got, kind=expected.kind) == expected
    # A dense network also accepts vectors of the right length.
    flat = expected.kind == "dense" and got.size == expected.size
    if not same and not flat:
        raise DimensionMismatchError(
            f"X has shape {shape}; the network expects images of {expected.height} x "
            f"{expected.width} with {expected.channels} channel(s), {expected.size} values."
        )
    return expected
