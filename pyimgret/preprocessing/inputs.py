"""Images and vectors as a network's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import DimensionMismatchError, ImageDecodeError, InvalidArgumentError
from pyimgret.jvm.arrays import InputShape, NetworkInput, float_array
from pyimgret.preprocessing.preprocessor import Preprocessor

#: Images, of one of the forms that `as_input` takes.
Images = Any

#: Of the root mean square of values that no preprocessor made.
_LARGEST_SCALE = 10.0
#: Widths of the range that a preprocessor's results may be left by, on either side.
_MARGIN = 4.0


def preprocessor_for(X: object) -> Preprocessor | None:
    """Return the preprocessing that uint8 pictures of one size imply, or None for floats."""
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
    """Bring pictures or vectors into the form that Java reads.

    Parameters
    ----------
    X : array or sequence of images
        uint8 pictures; float pictures or vectors that are scaled already; or paths, bytes and
        PIL images, which need a preprocessor.
    preprocessor : Preprocessor or None
        Scales uint8 pictures, and brings others to size.
    shape : InputShape or None
        What the network expects; None takes what comes.
    kind : str
        Of the shape, when there is none yet.
    any_scale : bool
        Whether floats may have any size where no preprocessor says which; see `check_scale`.

    Raises
    ------
    DimensionMismatchError
        When the shape is another one than the network's.
    ValueError
        For no data, NaN or infinity, and values far outside of what the network takes.
    """
    if not isinstance(X, np.ndarray) and not _is_numbers(X):
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
    """Refuse values that are far outside of what a network takes, such as pixels of 0 to 255.

    With a preprocessor the range is known: that of its results, and beside it four times its
    width, so that noise may be added. Without one, values may be anything of about the size that
    weights are initialised for, which is a mean square of 1 (Glorot and Bengio 2010; He et al.
    2015): a root mean square of more than 10 is refused. Single outliers of standardised vectors
    are not.

    Parameters
    ----------
    values : ndarray
    preprocessor : Preprocessor or None
    dtype : dtype
        What the values were given as.

    Raises
    ------
    ValueError
        With the range that was got and the one that is expected.
    """
    low, high = float(values.min()), float(values.max())
    if preprocessor is None:
        # NB: vdot needs no second array of this size.
        fits = bool(np.vdot(values, values) <= _LARGEST_SCALE**2 * values.size)
        expected = "images in [0, 1], or vectors that are standardised (mean 0, variance 1)"
    else:
        table = preprocessor.table()
        least, most = float(table.min()), float(table.max())
        margin = _MARGIN * (most - least)
        fits = least - margin <= low and high <= most + margin
        expected = f"what the model's preprocessing gives, from {least:g} to {most:g}"
    if not fits:
        raise InvalidArgumentError(
            f"X holds {dtype} values from {low:g} to {high:g}; expected {expected}. Scale X as the "
            "training data is scaled (X / 255 for pixels), or train and encode uint8 images "
            "(n, h, w) or (n, h, w, 3), which are scaled on their way in."
        )


def _is_numbers(X: object) -> bool:
    """Say whether a sequence is numbers, not images."""
    if isinstance(X, (list, tuple)) and X:
        first = X[0]
        return isinstance(first, (int, float, np.number)) or (
            isinstance(first, (list, tuple, np.ndarray)) and np.asarray(first).dtype.kind == "f"
        )
    return hasattr(X, "__array__") and not hasattr(X, "mode")


def _decode(X: object, preprocessor: Preprocessor | None) -> NDArray[np.uint8]:
    if isinstance(X, (str, bytes)) or not isinstance(X, Sequence):
        raise TypeError(
            f"X is {type(X).__name__}; expected an array (n, h, w[, 3]) or a list of images."
        )
    if preprocessor is None:
        raise ImageDecodeError(
            "Images that are not arrays need a preprocessing that says their size; give "
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
    same = (got.height, got.width, got.channels) == (
        expected.height, expected.width, expected.channels,
    )  # fmt: skip
    # Vectors of the right length are as good as pictures for a dense network.
    flat = expected.kind == "dense" and got.size == expected.size
    if not same and not flat:
        raise DimensionMismatchError(
            f"X has shape {shape}; the network expects images of {expected.height} x "
            f"{expected.width} with {expected.channels} channel(s), {expected.size} values."
        )
    return expected
