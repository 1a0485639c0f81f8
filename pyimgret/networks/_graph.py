"""A graph in Java, seen from Python: as `JavaNetwork`, for networks with branches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyimgret._jvm import bridge
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.networks._input import NetworkInput
from pyimgret.networks._java import JavaNetwork

#: Input values that are worth one batch: more costs memory and brings no speed.
_BATCH_VALUES = 2_500_000


class JavaGraph(JavaNetwork):
    """A ``ComputationGraph``; a layer's index is its vertex's place in the order they run."""

    kind: ClassVar[str] = "graph"
    _methods: ClassVar[dict[str, str]] = {
        "saveNetwork": "saveGraph",
        "configuration": "graphConfiguration",
        "getParameters": "getGraphParameters",
        "setParameters": "setGraphParameters",
        "getParameter": "getGraphParameter",
        "setParameter": "setGraphParameter",
        "createTrainer": "createGraphTrainer",
    }

    @classmethod
    def create(cls, settings: dict[str, Any]) -> JavaGraph:
        """Make a graph from the settings of its vertices."""
        return cls(bridge().call("createGraph", json.dumps(settings)))

    @classmethod
    def restore(cls, path: Path, *, training: bool = False) -> JavaGraph:
        """Restore a graph from a model zip, after it was found harmless."""
        return cls(bridge().call("restoreGraph", str(path), training))

    def describe(self) -> dict[str, Any]:
        """List the vertices with the shapes of their parameters."""
        if not hasattr(self, "_description"):
            self._description: dict[str, Any] = json.loads(
                bridge().call("describeGraph", self.handle)
            )
        return self._description

    def layer_reference(self, index: int) -> str:
        """Return how a file names a layer: by its vertex."""
        name: str = self.describe()["layers"][index]["name"]
        return name

    def output_shape(self, data: NetworkInput, index: int) -> tuple[int, ...]:
        """Return what a vertex gives for a picture: (values,) or (channels, height, width)."""
        text = bridge().call(
            "graphOutputShape", self.handle, json.dumps(data.to_dict()),
            self.layer_reference(index), keep=data,
        )  # fmt: skip
        return tuple(json.loads(text)["shape"])

    def width(self, data: NetworkInput, index: int) -> int:
        """Return how many values a vertex gives for a picture."""
        return int(np.prod(self.output_shape(data, index)))

    def activate(
        self, data: NetworkInput, *, first: int = 0, last: int, width: int, batch_size: int
    ) -> NDArray[np.float32]:
        """Run the graph up to vertex ``last``; returns (n, width), maps as (channel, y, x)."""
        if first:
            raise InvalidArgumentError(f"a graph runs from its input, not from vertex {first}.")
        out = np.empty((len(data), width), dtype=np.float32)
        batch = max(1, min(batch_size, _BATCH_VALUES // data.shape.size))
        bridge().call(
            "activateGraph", self.handle, json.dumps(data.to_dict()), self.layer_reference(last),
            batch, out.ctypes.data, width, keep=(data, out),
        )  # fmt: skip
        return out
