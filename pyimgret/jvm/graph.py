"""Handles of Java graphs: like `JavaNetwork`, for networks with branches."""

from __future__ import annotations

from typing import ClassVar

from pyimgret.exceptions import InvalidArgumentError
from pyimgret.jvm.network import JavaNetwork


class JavaGraph(JavaNetwork):
    """A ``ComputationGraph``; a layer's index is its vertex's position in topological order."""

    kind: ClassVar[str] = "graph"

    def layer_reference(self, index: int) -> str:
        """Return the reference of a layer in a file: its vertex name."""
        name: str = self.describe()["layers"][index]["name"]
        return name

    def _layers(self, first: int, last: int) -> tuple[int, str]:
        if first:
            raise InvalidArgumentError(f"a graph runs from its input, not from vertex {first}.")
        return super()._layers(first, last)
