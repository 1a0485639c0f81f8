"""The loop over an RBM's epochs: what goes to Java, progress, and an orderly end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import TrainingError
from pyimgret.jvm import bridge
from pyimgret.jvm.arrays import NetworkInput
from pyimgret.training.loop import History, run_epochs

Floats = NDArray[np.float32]

#: Rows that the free-energy gap, and with persistent chains the error, are estimated from.
PROBE = 1000


@dataclass
class Parameters:
    """What an RBM has learned, and what its training carries on; Java changes it in place.

    Attributes
    ----------
    weights : ndarray of shape (n_components, n_features)
    hidden_bias, visible_bias : ndarray
    weights_velocity, hidden_velocity, visible_velocity : ndarray
        What momentum moves by.
    activity : ndarray of shape (n_components,) or None
        Running mean of the hidden units' means, for the sparsity term.
    chain : ndarray of shape (chains, n_components) or None
        Hidden states of the persistent chains.
    epochs : int
        Passes over the data so far; the random numbers of an epoch follow from it.
    """

    weights: Floats
    hidden_bias: Floats
    visible_bias: Floats
    weights_velocity: Floats
    hidden_velocity: Floats
    visible_velocity: Floats
    activity: Floats | None = None
    chain: Floats | None = None
    epochs: int = 0

    def arrays(self) -> dict[str, Floats]:
        """Return the arrays by name, those that there are."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v for k, v in named.items() if isinstance(v, np.ndarray)}

    def copy(self) -> Parameters:
        """Return the same values in memory of their own."""
        copies: dict[str, Any] = {k: np.array(v, order="C") for k, v in self.arrays().items()}
        return Parameters(**copies, epochs=self.epochs)

    def is_finite(self) -> bool:
        """Say whether there is no NaN or infinity."""
        return all(bool(np.isfinite(v).all()) for v in self.arrays().values())


@dataclass(frozen=True)
class RbmLayer:
    """An RBM as Java sees it: units and parameters."""

    visible: str
    hidden: str
    parameters: Parameters

    def to_dict(self, data: NetworkInput) -> dict[str, Any]:
        """Return the description that ``org.pyimgret.nn.Rbm`` reads, with data."""
        p = self.parameters
        return {
            "images": data.to_dict(), "visible": self.visible, "hidden": self.hidden,
            "n_hidden": p.weights.shape[0], "n_visible": p.weights.shape[1],
            "weights": p.weights.ctypes.data, "hidden_bias": p.hidden_bias.ctypes.data,
            "visible_bias": p.visible_bias.ctypes.data,
        }  # fmt: skip

    def compute(
        self, method: str, data: NetworkInput, out: NDArray[Any], *numbers: int
    ) -> NDArray[Any]:
        """Run one of the bridge's methods that fill an array, and return the array."""
        settings = json.dumps(self.to_dict(data))
        keep = (data, self.parameters, out)
        bridge().call(
            method,
            settings,
            *numbers,
            out.ctypes.data,
            keep=keep,
            short=data.is_small and not numbers,
        )
        return out

    def hidden_means(self, data: NetworkInput) -> Floats:
        """Return the hidden units' means for visible values."""
        shape = (len(data), len(self.parameters.hidden_bias))
        return self.compute("rbmHidden", data, np.empty(shape, np.float32))

    def free_energy(self, data: NetworkInput) -> NDArray[np.float64]:
        """Return the free energies of visible values."""
        return self.compute("rbmFreeEnergy", data, np.empty(len(data), np.float64))


@dataclass(frozen=True)
class Learning:
    """How an epoch learns; the names are those of ``org.pyimgret.nn.RbmTrainer``."""

    k: int
    sample_visible: bool
    learning_rate: float
    weight_decay: float
    sparsity_target: float
    sparsity_cost: float
    sparsity_decay: float
    batch_size: int
    seed: int


class RbmLoop:
    """Epochs of contrastive divergence on one RBM.

    Parameters
    ----------
    reconstruction_error : callable
        Of data; called after an epoch of persistent chains, which see no reconstruction.
    """

    def __init__(
        self,
        layer: RbmLayer,
        learning: Learning,
        data: NetworkInput,
        *,
        reconstruction_error: Callable[[NetworkInput], float],
        validation: NetworkInput | None = None,
    ) -> None:
        self._layer = layer
        self._learning = learning
        self._data = data
        self._error = reconstruction_error
        self._validation = validation

    def run(self, momenta: list[float], history: History, *, verbose: bool | None) -> None:
        """Train one epoch for each momentum; the history grows as they end.

        Raises
        ------
        TrainingError
            When a value is no longer finite; the parameters are then those before the epoch.
        KeyboardInterrupt
            After Ctrl-C; the parameters are as the last whole batch left them.
        """
        batches = -(-len(self._data) // min(self._learning.batch_size, len(self._data)))
        run_epochs(
            range(len(momenta)), batches, lambda n, report: self._epoch(momenta[n], report),
            history, verbose=verbose,
        )  # fmt: skip

    def _epoch(self, momentum: float, report: Callable[[int], None]) -> dict[str, float]:
        parameters = self._layer.parameters
        before = parameters.copy()
        progress = np.zeros(2, dtype=np.float64)
        settings = json.dumps(self._settings(momentum))
        text = bridge().call(
            "rbmEpoch",
            settings,
            progress.ctypes.data,
            keep=(self._data, parameters, progress),
            poll=lambda: report(int(progress[0])),
            # NB: nothing locks the parameters: they are to be at rest when this returns.
            patience=math.inf,
        )
        result = json.loads(text)
        report(result["batches"])
        if result["status"] == "diverged" or not parameters.is_finite():
            _restore(parameters, before)
            raise TrainingError(self._divergence(result["batches"]))
        if result["status"] == "stopped":
            raise KeyboardInterrupt
        parameters.epochs += 1
        persistent = parameters.chain is not None
        results = {
            "error": self._error(self._data.slice(0, PROBE)) if persistent else result["error"]
        }
        if self._validation is not None:
            results["free_energy_gap"] = self._gap(self._validation)
        return results

    def _settings(self, momentum: float) -> dict[str, Any]:
        p = self._layer.parameters
        return self._layer.to_dict(self._data) | vars(self._learning) | {
            "momentum": momentum, "epoch": p.epochs, "shuffle": True,
            "weights_velocity": p.weights_velocity.ctypes.data,
            "hidden_velocity": p.hidden_velocity.ctypes.data,
            "visible_velocity": p.visible_velocity.ctypes.data,
            "activity": 0 if p.activity is None else p.activity.ctypes.data,
            "chain": 0 if p.chain is None else p.chain.ctypes.data,
            "chains": 0 if p.chain is None else len(p.chain),
        }  # fmt: skip

    def _gap(self, validation: NetworkInput) -> float:
        n = min(PROBE, len(validation), len(self._data))
        return float(
            self._layer.free_energy(validation.slice(0, n)).mean()
            - self._layer.free_energy(self._data.slice(0, n)).mean()
        )

    def _divergence(self, batch: int) -> str:
        return (
            f"The RBM's values are no longer finite numbers, in epoch "
            f"{self._layer.parameters.epochs + 1} at batch {batch}. Try a smaller learning_rate "
            f"(now {self._learning.learning_rate:g}; 0.001 to 0.01 suits Gaussian and rectified "
            "units), and scale the data of Gaussian visible units to mean 0 and variance 1. The "
            "parameters are those before this epoch."
        )


def _restore(parameters: Parameters, before: Parameters) -> None:
    for name, values in before.arrays().items():
        getattr(parameters, name)[...] = values


def initial_parameters(
    data: NetworkInput, n_hidden: int, visible: str, random: np.random.Generator
) -> Parameters:
    """Return small random weights, and visible biases that give the data's means.

    References
    ----------
    Hinton (2010), A practical guide to training restricted Boltzmann machines, section 8.
    """
    n_visible = data.shape.size
    weights = random.standard_normal((n_hidden, n_visible), dtype=np.float32) * np.float32(0.01)
    visible_bias = _visible_bias(data, visible)
    return Parameters(
        weights, np.zeros(n_hidden, np.float32), visible_bias,
        np.zeros_like(weights), np.zeros(n_hidden, np.float32), np.zeros_like(visible_bias),
    )  # fmt: skip


def _visible_bias(data: NetworkInput, visible: str) -> Floats:
    rows = data.slice(0, 10 * PROBE).scaled().reshape(-1, data.shape.size)
    mean = rows.mean(axis=0, dtype=np.float64)
    if visible == "bernoulli":
        mean = np.clip(mean, 0.01, 0.99)
        mean = np.log(mean / (1 - mean))
    bias: Floats = mean.astype(np.float32)
    return bias


def momentum_of(schedule: float | tuple[tuple[int, float], ...], epoch: int) -> float:
    """Return the momentum of an epoch, from 0.

    Examples
    --------
    >>> [momentum_of(((0, 0.5), (5, 0.9)), epoch) for epoch in (0, 4, 5, 6)]
    [0.5, 0.5, 0.9, 0.9]
    """
    if isinstance(schedule, (int, float)):
        return float(schedule)
    value = math.nan
    for start, momentum in schedule:
        if epoch >= start:
            value = momentum
    return value
