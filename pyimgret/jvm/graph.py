"""Handles of Java graphs: like `JavaNetwork`, for networks with branches."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np

from pyimgret.exceptions import InvalidArgumentError
from pyimgret.jvm.arrays import NetworkInput
from pyimgret.jvm.network import JavaNetwork


class JavaGraph(JavaNetwork):
    """A ``ComputationGraph``; a layer's index is its vertex's position in topological order."""

    kind: ClassVar[str] = "graph"
    _methods: ClassVar[dict[str, str]] = {
        "createNetwork": "createGraph",
        "restoreNetwork": "restoreGraph",
        "saveNetwork": "saveGraph",
        "activate": "activateGraph",
        "configuration": "graphConfiguration",
        "describe": "describeGraph",
        "getParameters": "getGraphParameters",
        "setParameters": "setGraphParameters",
        "getParameter": "getGraphParameter",
        "setParameter": "setGraphParameter",
        "createTrainer": "createGraphTrainer",
        "javaNetwork": "javaGraph",
    }

    def layer_reference(self, index: int) -> str:
        """Return the reference of a layer in a file: its vertex name."""
        name: str = self.describe()["layers"][index]["name"]
        return name

    def output_shape(self, data: NetworkInput, index: int) -> tuple[int, ...]:
        """Return the output shape of a vertex: (values,) or (channels, height, width)."""
        text = self._call(
            "graphOutputShape", json.dumps(data.to_dict()), self.layer_reference(index), keep=data
        )
        return tuple(json.loads(text)["shape"])

    def width(self, data: NetworkInput, index: int) -> int:
        """Return the number of output values of a vertex."""
        return int(np.prod(self.output_shape(data, index)))

    def _layers(self, first: int, last: int) -> tuple[int | str, ...]:
        if first:
            raise InvalidArgumentError(f"a graph runs from its input, not from vertex {first}.")
        return (self.layer_reference(last),)
