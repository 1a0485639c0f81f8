"""The weights of a layer, as what its units look for in an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyimgret.exceptions import InvalidArgumentError


def first_layer(model: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Return the weights of a model's first layer, and the shape of the images it sees.

    Raises
    ------
    ValueError
        If no layer has weights that look at the image itself.
    """
    network = model.java_network
    for number, layer in enumerate(network.describe()["layers"]):
        shape = layer["parameters"].get(f"{number}_W")
        if shape is not None:
            seen = model.input_
            size = (seen.height, seen.width, *((seen.channels,) if seen.channels > 1 else ()))
            return network.get(f"{number}_W"), size if len(shape) == 2 else None
    raise InvalidArgumentError("the model has no layer with weights to draw.")


def layer_weights(model: Any, layer: int) -> Any:
    """Return what a dense layer's units look for in the image: (pixels, units).

    The weights of a higher layer are multiplied with those below it, which is how its units
    see the image as far as the layers between are linear.
    """
    network = model.java_network
    seen, found = None, 0
    for number, entry in enumerate(network.describe()["layers"]):
        shape = entry["parameters"].get(f"{number}_W")
        if shape is None or number > model.code_layer_:
            continue
        if len(shape) != 2:
            raise InvalidArgumentError(
                "the weights of a layer are seen through dense layers; this model has others."
            )
        W = network.get(f"{number}_W")
        seen, found = W if seen is None else seen @ W, found + 1
        if found == layer:
            return seen
    raise InvalidArgumentError(f"the model has {found} dense layers up to its code, not {layer}.")


def pretrained_weights(folder: Path, layer: int) -> Any:
    """Return the same of the machines in a deep autoencoder's checkpoint folder."""
    seen = None
    for number in range(1, layer + 1):
        path = folder / f"rbm_{number}.npz"
        if not path.exists():
            raise InvalidArgumentError(
                f"{path} does not exist; was a machine {number} trained here?"
            )
        with np.load(path, allow_pickle=False) as file:
            W = file["weights"].T
        seen = W if seen is None else seen @ W
    return seen
