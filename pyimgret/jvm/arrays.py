"""Arrays that are passed to Java by address, and their layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import InvalidArgumentError

#: Input values up to which an encode is a short call: 160 digits, or one photo.
SMALL = 1 << 17


@dataclass(frozen=True)
class InputShape:
    """The shape of one input.

    Attributes
    ----------
    kind : str
        "dense", "convolutional" or "recurrent" (an image as a sequence of its rows).
    height, width, channels : int
        Image size; a vector is an image with one row.
    """

    kind: str
    height: int
    width: int
    channels: int = 1

    @property
    def size(self) -> int:
        """Number of values in one input."""
        return self.height * self.width * self.channels

    def to_network(self) -> dict[str, Any]:
        """Return the settings for the Java factory."""
        if self.kind == "dense":
            return {"kind": "dense", "size": self.size}
        if self.kind == "recurrent":
            size = self.width * self.channels
            return {"kind": "recurrent", "size": size, "steps": self.height}
        return vars(self).copy()

    def to_dict(self) -> dict[str, Any]:
        """Return the description that is stored in a model file."""
        return vars(self) | {"size": self.size}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> InputShape:
        """Read what `to_dict` wrote."""
        return cls(values["kind"], values["height"], values["width"], values["channels"])

    @classmethod
    def of(cls, kind: str, X: NDArray[Any]) -> InputShape:
        """Return the shape of the inputs in ``X``: (n, features), (n, h, w) or (n, h, w, c)."""
        if X.ndim == 2:
            return cls(kind, 1, X.shape[1])
        return cls(kind, X.shape[1], X.shape[2], X.shape[3] if X.ndim == 4 else 1)


@dataclass(frozen=True)
class NetworkInput:
    """Values in memory that Java can read, and their layout.

    Attributes
    ----------
    values : ndarray
        uint8 or float32, C-contiguous, (n, …).
    table : ndarray of shape (channels, 256) or None
        The scaled value of each level of a uint8 channel.
    """

    values: NDArray[Any]
    table: NDArray[np.float32] | None
    shape: InputShape

    def __len__(self) -> int:
        return len(self.values)

    def to_dict(self) -> dict[str, Any]:
        """Return the description that ``org.pyimgret.nn.Images`` reads."""
        description = vars(self.shape) | {
            "address": self.values.ctypes.data,
            "dtype": str(self.values.dtype),
            "count": len(self.values),
        }
        description["layout"] = description.pop("kind")
        if self.table is not None:
            description["table"] = self.table.ctypes.data
        return description

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest network input; for uint8 images, the possible range."""
        values = self.values if self.table is None else self.table
        return float(values.min()), float(values.max())

    @property
    def within_unit_interval(self) -> bool:
        """Whether all values are in [0, 1]."""
        low, high = self.range
        return low >= 0 and high <= 1

    @property
    def is_small(self) -> bool:
        """Whether encoding it is fast: one image, or a few small ones."""
        return len(self) == 1 or self.values.size <= SMALL

    def slice(self, start: int, stop: int) -> NetworkInput:
        """Return a slice of the rows, without a copy."""
        return NetworkInput(self.values[start:stop], self.table, self.shape)

    def scaled(self) -> NDArray[np.float32]:
        """Return the values as float32 network input of the same shape."""
        if self.table is None:
            return np.asarray(self.values, dtype=np.float32)
        if self.shape.channels == 1:
            gray: NDArray[np.float32] = self.table[0][self.values]
            return gray
        channels = [self.table[c][self.values[..., c]] for c in range(self.shape.channels)]
        return np.stack(channels, axis=-1)


def float_array(values: Any, *, name: str = "X") -> NDArray[np.float32]:
    """Return values as a finite C-contiguous float32 array, copied only if necessary.

    Raises
    ------
    ValueError
        If it is not an array, or empty, or contains NaN or infinity.
    """
    array = np.asarray(values, dtype=np.float32, order="C")
    if array.ndim == 0 or array.size == 0:
        raise InvalidArgumentError(f"{name} has shape {array.shape}; expected at least one row.")
    if not np.isfinite(array).all():
        raise InvalidArgumentError(
            f"{name} contains NaN or infinity; replace them before the call."
        )
    return array
