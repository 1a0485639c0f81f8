"""The weights of a layer, as what its units look for in an image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret.exceptions import InvalidArgumentError


def through(weights: Sequence[Any]) -> Any:
    """Return the weights of the last of some dense layers as its units see the image.

    They are multiplied with those below, as if the layers between were linear.
    """
    return reduce(np.matmul, weights)


def first_layer(model: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Return the weights of a model's first layer, and the shape of the images it sees.

    Raises
    ------
    ValueError
        If no layer has weights that look at the image itself.
    """
    for key, shape in _weights(model):
        seen = model.input_
        size = (seen.height, seen.width, *((seen.channels,) if seen.channels > 1 else ()))
        return model.java_network.get(key), size if len(shape) == 2 else None
    raise InvalidArgumentError("the model has no layer with weights to draw.")


def layer_weights(model: Any, layer: int) -> Any:
    """Return what a dense layer's units look for in the image: (pixels, units).

    The weights of a higher layer are multiplied with those below it, which is how its units
    see the image as far as the layers between are linear.
    """
    parameters = _weights(model, model.code_layer_ + 1)
    if any(len(shape) != 2 for _, shape in parameters[:layer]):
        raise InvalidArgumentError(
            "the weights of a layer are seen through dense layers; this model has others."
        )
    if not 1 <= layer <= len(parameters):
        raise InvalidArgumentError(
            f"the model has {len(parameters)} dense layers up to its code, not {layer}."
        )
    return through([model.java_network.get(key) for key, _ in parameters[:layer]])


def _weights(model: Any, stop: int | None = None) -> list[tuple[str, list[int]]]:
    """Return the names and shapes of the layers' weights."""
    layers = model.java_network.describe()["layers"][:stop]
    shapes = ((f"{n}_W", layer["parameters"].get(f"{n}_W")) for n, layer in enumerate(layers))
    return [(key, shape) for key, shape in shapes if shape is not None]


def pretrained_weights(folder: Path, layer: int) -> Any:
    """Return the same of the RBMs in a deep autoencoder's checkpoint folder."""
    weights = []
    for number in range(1, layer + 1):
        path = folder / f"rbm_{number}.npz"
        if not path.exists():
            raise InvalidArgumentError(f"{path} does not exist; was an RBM {number} trained here?")
        with np.load(path, allow_pickle=False) as file:
            weights.append(file["weights"].T)
    return through(weights)
