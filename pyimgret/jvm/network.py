"""Handles of Java networks: creation, restoring, running, reading and writing."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import DimensionMismatchError, ModelInUseError
from pyimgret.jvm.arrays import NetworkInput, float_array
from pyimgret.jvm.bridge import JavaObject, bridge

#: Input values per batch; more costs memory without a speed-up.
BATCH_VALUES = 2_500_000
#: Maximum number of input values per call to Java, unless a batch has more.
PIECE_VALUES = 1 << 22


class JavaNetwork(JavaObject):
    """A handle of a ``MultiLayerNetwork``.

    Pickled and copied as the Deeplearning4j zip that `write` creates: a handle is invalid in
    another process, and two owners of one handle would close each other's network.
    """

    #: The name of this kind of network in files.
    kind: ClassVar[str] = "multilayer"
    #: The thread that is training the network.
    _trained_by: int | None = None

    @classmethod
    def create(cls, settings: dict[str, Any]) -> Self:
        """Create a network from the settings of its layers (or vertices)."""
        network: Self = bridge().call("createNetwork", json.dumps(settings), make=cls)
        return network

    @classmethod
    def restore(cls, path: Path, *, training: bool = False) -> Self:
        """Restore a network from a validated model zip."""
        network: Self = bridge().call("restoreNetwork", str(path), training, make=cls)
        return network

    def _call(self, method: str, *arguments: object, **options: Any) -> Any:
        if self._trained_by not in (None, threading.get_ident()):
            raise ModelInUseError(
                "This model is being trained by another thread; use it after fit has returned, or "
                "use a copy of it in the meantime (save it, and load the file)."
            )
        return bridge().call(method, self.handle, *arguments, **options)

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Reserve the network for the calling thread during training."""
        self._trained_by = threading.get_ident()
        try:
            yield
        finally:
            self._trained_by = None

    def __reduce__(self) -> tuple[Any, ...]:
        with tempfile.TemporaryDirectory(prefix="pyimgret-") as folder:
            file = Path(folder) / "network.zip"
            self.write(file)
            return _from_zip, (type(self), file.read_bytes())

    def write(self, path: Path, *, updater: bool = False) -> None:
        """Write a Deeplearning4j zip."""
        self._call("saveNetwork", str(path), updater)

    def describe(self) -> dict[str, Any]:
        """List the layers with the shapes of their parameters."""
        if not hasattr(self, "_description"):
            self._description: dict[str, Any] = json.loads(self._call("describe"))
        return self._description

    def configuration(self) -> str:
        """Return Deeplearning4j's own configuration, JSON."""
        text: str = self._call("configuration")
        return text

    @property
    def parameters(self) -> NDArray[np.float32]:
        """All parameters in one vector, a copy."""
        out = np.empty(self.describe()["count"], dtype=np.float32)
        self._call("getParameters", out.ctypes.data, keep=out)
        return out

    @parameters.setter
    def parameters(self, values: NDArray[np.float32]) -> None:
        values = float_array(values, name="parameters")
        count = self.describe()["count"]
        if values.shape != (count,):
            raise DimensionMismatchError(f"got {values.shape} parameters, expected ({count},).")
        self._call("setParameters", values.ctypes.data, keep=values)

    def training_state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the parameters, the optimizer state and the iteration count."""
        length = self._call("updaterStateLength")
        updater = np.empty(length, dtype=np.float32)
        if length:
            self._call("getUpdaterState", updater.ctypes.data, keep=updater)
        iteration = np.array(self._call("iterationCount"))
        return {"parameters": self.parameters, "updater": updater, "iteration": iteration}

    def set_training_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Restore the result of `training_state`."""
        self.parameters = state["parameters"]
        updater = np.ascontiguousarray(state["updater"], dtype=np.float32)
        length = self._call("updaterStateLength")
        if updater.shape != (length,):
            raise DimensionMismatchError(
                f"got an optimizer state of shape {updater.shape}, expected ({length},)."
            )
        self._call("setUpdaterState", updater.ctypes.data, int(state["iteration"]), 0, keep=updater)

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of one parameter, such as ``0_W``."""
        for layer in self.describe()["layers"]:
            if key in layer["parameters"]:
                return tuple(layer["parameters"][key])
        known = [k for layer in self.describe()["layers"] for k in layer["parameters"]]
        raise KeyError(f"unknown parameter {key!r}; known: {', '.join(known)}.")

    def get(self, key: str) -> NDArray[np.float32]:
        """Return one parameter, a copy."""
        out = np.empty(self.shape(key), dtype=np.float32)
        self._call("getParameter", key, out.ctypes.data, keep=out)
        return out

    def set(self, key: str, values: NDArray[np.float32]) -> None:
        """Replace one parameter."""
        values = float_array(values, name=key)
        if values.shape != self.shape(key):
            raise DimensionMismatchError(
                f"{key} has shape {values.shape}, expected {self.shape(key)}."
            )
        self._call("setParameter", key, values.ctypes.data, keep=values)

    def layer_reference(self, index: int) -> int | str:
        """Return the reference of a layer in a file."""
        return index

    def output_shape(self, data: NetworkInput, index: int) -> tuple[int, ...]:
        """Return the output shape of a layer: (values,) or (channels, height, width).

        It is found by running the layer on one input; a stack of layers gives (values,).
        """
        text = self._call(
            "outputShape", json.dumps(data.to_dict()), str(self.layer_reference(index)), keep=data
        )
        return tuple(json.loads(text)["shape"])

    def width(self, data: NetworkInput, index: int) -> int:
        """Return the number of output values of a layer."""
        return math.prod(self.output_shape(data, index))

    def activate(
        self, data: NetworkInput, *, first: int = 0, last: int, width: int, batch_size: int
    ) -> NDArray[np.float32]:
        """Run layers ``first`` to ``last``; returns (n, width)."""
        out = np.empty((len(data), width), dtype=np.float32)
        batch = max(1, min(batch_size, BATCH_VALUES // data.shape.size))
        layers = self._layers(first, last)
        # NB: in pieces, so that calls of other threads can run in between.
        step = max(batch, PIECE_VALUES // data.shape.size // batch * batch)
        for start in range(0, len(data), step):
            part, rows = data.slice(start, start + step), out[start : start + step]
            description = json.dumps(part.to_dict())
            arguments = (description, *layers, batch, rows.ctypes.data, width)
            self._call("activate", *arguments, keep=(part, rows), short=data.is_small)
        return out

    def _layers(self, first: int, last: int) -> tuple[int, str]:
        """Return the arguments that select the layers to run."""
        return first, str(self.layer_reference(last))


def _from_zip(kind: type[JavaNetwork], content: bytes) -> JavaNetwork:
    with tempfile.TemporaryDirectory(prefix="pyimgret-") as folder:
        file = Path(folder) / "network.zip"
        file.write_bytes(content)
        return kind.restore(file)


class JavaTrainer(JavaObject):
    """A handle of a Java trainer, whose data Python keeps alive."""

    def __init__(self, handle: int, keep: object) -> None:
        super().__init__(handle)
        self._keep = keep
        # Written by Java while an epoch runs: iterations, score.
        self._progress = np.zeros(2, dtype=np.float64)

    @classmethod
    def create(cls, network: JavaNetwork, settings: dict[str, Any], keep: object) -> JavaTrainer:
        """Create a trainer; ``keep`` are the arrays whose addresses are in the settings."""
        trainer: JavaTrainer = network._call(
            "createTrainer", json.dumps(settings), keep=keep, make=lambda handle: cls(handle, keep)
        )
        return trainer

    @property
    def iterations(self) -> int:
        """Number of batches per epoch."""
        count: int = bridge().call("trainerIterations", self.handle)
        return count

    def loss(self) -> float:
        """Return the mean loss over the data, without training."""
        value: float = bridge().call("trainerLoss", self.handle, keep=self._keep)
        return value

    def epoch(self, epoch: int, first: int, poll: Callable[[int], object]) -> dict[str, Any]:
        """Train for an epoch, or the rest of one.

        ``poll`` is called regularly with the iteration count. Ctrl-C, or an exception of ``poll``,
        ends the epoch after the current iteration and is raised here.
        """
        self._progress[:] = (first, 0)
        text = bridge().call(
            "trainEpoch",
            self.handle,
            epoch,
            first,
            self._progress.ctypes.data,
            keep=(self._keep, self._progress),
            poll=lambda: poll(int(self._progress[0])),
        )
        result: dict[str, Any] = json.loads(text)
        return result
