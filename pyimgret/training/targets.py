"""What a network is to give: its own input, classes, or target vectors; and whether it can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import type_of_target

from pyimgret.choices import names
from pyimgret.exceptions import DimensionMismatchError, InvalidArgumentError
from pyimgret.jvm.arrays import NetworkInput, float_array
from pyimgret.jvm.network import JavaNetwork
from pyimgret.layers import Layer

#: Losses of numbers, not of classes or probabilities.
REGRESSION_LOSSES = names("mean_absolute_error mean_squared_error poisson squared_error")
_TO_MAPS = names("Convolution2D Deconvolution2D DepthwiseConvolution2D Pooling2D Upsampling2D")
_TO_VECTORS = names("Dense GlobalPooling LSTM")
_SPARSE = "sparse_categorical_cross_entropy"
#: Losses of classes.
CLASS_LOSSES = frozenset({"categorical_cross_entropy", _SPARSE})


@dataclass
class Targets:
    """What the network is to give.

    Attributes
    ----------
    kind : str
        "input" (the clean image), "classes" or "vectors".
    values : ndarray or None
        int32 (n,) numbers of classes, or float32 (n, size).
    labels : ndarray or None
        The classes in the order of their numbers.
    shape : tuple of int or None
        Of one target vector, as ``y`` had it.
    """

    kind: str = "input"
    values: NDArray[Any] | None = None
    labels: NDArray[Any] | None = None
    shape: tuple[int, ...] | None = None

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return 0 if self.labels is None else len(self.labels)

    def to_dict(self) -> dict[str, Any]:
        """Return the description that ``org.pyimgret.nn.Targets`` reads."""
        if self.values is None:
            return {"kind": self.kind}
        classes = self.kind == "classes"
        size = {"classes": self.classes} if classes else {"size": int(self.values.shape[1])}
        address = self.values.ctypes.data
        return {"kind": self.kind, "address": address, "count": len(self.values), **size}


def make_targets(
    y: object, count: int, layers: Sequence[Layer], like: Targets | None = None
) -> Targets:
    """Return what ``y`` asks of a network.

    One number for each image is a class, unless the network has a single output or, for floats,
    a loss of `REGRESSION_LOSSES`: then it is a target vector of length 1.

    Parameters
    ----------
    y : array or None
        None asks for the input.
    count : int
        Images that there are.
    layers : sequence of Layer
    like : Targets, optional
        What training learns, when ``y`` belongs to validation data.

    Raises
    ------
    ValueError, DimensionMismatchError
    """
    if like is not None and (y is None) != (like.kind == "input"):
        missing, given = ("y_val", "y") if y is None else ("y", "y_val")
        raise InvalidArgumentError(
            f"{given} is given, but {missing} is not: validation data is evaluated by what "
            "training learns; give both or neither."
        )
    if y is None:
        return Targets()
    values = np.asarray(y)
    if values.dtype == object and type_of_target(values) == "unknown":
        raise InvalidArgumentError(
            "Unknown label type: y holds objects; give text or whole numbers for classes, and an "
            "array of numbers for a regression."
        )
    loss = getattr(layers[-1], "loss", None)
    numbers = like.labels is None if like is not None else _is_regression(values, loss, layers)
    if values.ndim == 1 and not numbers:
        targets = class_targets(values, count, like)
        if loss == _SPARSE:
            assert targets.values is not None
            targets.kind, targets.values = "vectors", targets.values[:, None].astype(np.float32)
        return targets
    _check_length(values, count)
    vectors = float_array(values.reshape(len(values), -1), name="y")
    return Targets("vectors", vectors, shape=values.shape[1:])


def _is_regression(y: NDArray[Any], loss: str | None, layers: Sequence[Layer]) -> bool:
    if y.dtype.kind not in "biuf":
        return False
    units = next((n for layer in reversed(layers) if (n := getattr(layer, "n_out", None))), None)
    if units == 1:
        return loss not in CLASS_LOSSES
    return y.dtype.kind == "f" and loss in REGRESSION_LOSSES


def class_targets(y: object, count: int, like: Targets | None = None) -> Targets:
    """Return classes as targets: those that ``y`` holds, or those of ``like``.

    Raises
    ------
    ValueError
        For no classes, a single one, or in validation data one that training does not know.
    """
    values = np.asarray(y)
    _check_length(values, count)
    if values.dtype.kind == "f" and not (whole := values == np.floor(values)).all():
        raise InvalidArgumentError(
            f"Unknown label type: y holds {values[~whole][0]:g}, which is no class; expected whole "
            "numbers or text. "
            "For a regression give y to a Network that ends with Output(1) and the loss "
            "'mean_squared_error'."
        )
    if values.dtype.kind not in "biufUO":
        raise InvalidArgumentError(
            f"y holds {values.dtype}; expected whole numbers or text for classes."
        )
    labels = np.unique(values) if like is None or like.labels is None else like.labels
    if len(labels) < 2:
        raise InvalidArgumentError(f"y holds 1 class, {labels[0]}; at least 2 are needed.")
    numbers = np.minimum(np.searchsorted(labels, values), len(labels) - 1)
    known = labels[numbers] == values
    if not known.all():
        unknown = ", ".join(map(str, np.unique(values[~known])[:5]))
        raise InvalidArgumentError(f"y_val holds classes that training does not know: {unknown}.")
    return Targets("classes", numbers.astype(np.int32), labels)


def _check_length(y: NDArray[Any], count: int) -> None:
    if y.ndim == 0 or len(y) != count:
        raise DimensionMismatchError(
            f"y has shape {y.shape}, but there are {count} images; give one target for each."
        )


def check_targets(
    network: JavaNetwork,
    layers: Sequence[dict[str, Any]],
    data: NetworkInput,
    targets: Targets,
    *,
    validation: bool = False,
) -> None:
    """Refuse targets that the last layer cannot be compared with, before training on them.

    Parameters
    ----------
    network : JavaNetwork
        Of which no weight is changed.
    layers : sequence of dict
        Its layers' settings.
    data : NetworkInput
    targets : Targets
    validation : bool
        Values that training could not learn are no harm to validation data.

    Raises
    ------
    DimensionMismatchError
        When the shapes differ; the message has both.
    ValueError
        When values lie outside of what the loss takes.
    """
    last = layers[-1]
    if last["type"] == "Loss" and _give_maps(layers):
        raise InvalidArgumentError(
            "The last layer, Loss, compares vectors, but maps come in; use a ConvolutionLoss."
        )
    shape, advice = _wanted(last, data, targets)
    n = len(data) if targets.values is None else len(targets.values)
    width = network.width(data, len(layers) - 1)
    got: tuple[int, ...] = (width,)
    if last["type"] == "ConvolutionLoss":
        maps = _channels(layers, data.shape.channels)
        got = (maps, width // maps)
        shape = (data.shape.channels, data.shape.height * data.shape.width)
    if got != shape:
        raise DimensionMismatchError(
            f"The targets have shape {(n, *shape)}, but the last layer, {last['type']}, gives "
            f"{(n, *got)}. {advice}"
        )
    if not validation:
        _check_probabilities(last, data, targets)


def _wanted(
    last: dict[str, Any], data: NetworkInput, targets: Targets
) -> tuple[tuple[int, ...], str]:
    """Return the shape of a target, and what to do when the network gives another."""
    if targets.values is None:
        if data.shape.kind == "recurrent":
            raise InvalidArgumentError(
                "A network that reads images line by line does not give them back; give y."
            )
        advice = "Without y a network learns to give its input back: give y, or as many outputs."
        return (data.shape.size,), advice
    if last["type"] == "ConvolutionLoss":
        raise InvalidArgumentError(
            "A ConvolutionLoss compares maps with the image itself; leave y out, or end the "
            "network with an Output."
        )
    if targets.labels is not None:
        return (targets.classes,), f"y holds {targets.classes} classes, and each needs an output."
    size = targets.values.shape[1]
    return (size,), f"y needs {size} outputs."


def _give_maps(layers: Sequence[dict[str, Any]]) -> bool:
    for layer in reversed(layers):
        if layer["type"] in _TO_MAPS:
            return True
        if layer["type"] in _TO_VECTORS:
            return False
    return False


def _channels(layers: Sequence[dict[str, Any]], given: int) -> int:
    """Return how many maps the last convolution gives."""
    factor = 1
    for layer in reversed(layers):
        if "n_out" in layer:
            return factor * int(layer["n_out"])
        factor *= layer.get("multiplier", 1)
    return factor * given


def _check_probabilities(last: dict[str, Any], data: NetworkInput, targets: Targets) -> None:
    """Refuse targets outside [0, 1] for a cross-entropy, which has no minimum there."""
    if last["loss"] != "binary_cross_entropy" or targets.kind == "classes":
        return
    values = targets.values
    low, high = data.range if values is None else (values.min(), values.max())
    if low < 0 or high > 1:
        raise InvalidArgumentError(
            f"The targets hold values from {low:g} to {high:g}, but binary_cross_entropy takes "
            "values in [0, 1]; scale them, or use another loss, such as mean_squared_error."
        )
