"""An RBM as Java computes with it: units, parameters, inference, and an epoch of training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import TrainingError
from pyimgret.jvm import bridge
from pyimgret.jvm.arrays import NetworkInput

Floats = NDArray[np.float32]

#: Rows that the free-energy gap, and with persistent chains the error, are estimated from.
PROBE = 1000


@dataclass
class RbmLayer:
    """Units and parameters of an RBM, and what its training carries on.

    Java changes the arrays in place.

    Attributes
    ----------
    visible, hidden : str
        The kinds of units.
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

    visible: str
    hidden: str
    weights: Floats
    hidden_bias: Floats
    visible_bias: Floats
    weights_velocity: Floats
    hidden_velocity: Floats
    visible_velocity: Floats
    activity: Floats | None = None
    chain: Floats | None = None
    epochs: int = 0

    @classmethod
    def initial(
        cls, visible: str, hidden: str, data: NetworkInput, n: int, random: np.random.Generator
    ) -> RbmLayer:
        """Return small random weights, and visible biases that give the data's means.

        References
        ----------
        Hinton (2010), A practical guide to training restricted Boltzmann machines, section 8.
        """
        size = data.shape.size
        weights = random.standard_normal((n, size), dtype=np.float32) * np.float32(0.01)
        rows = data.slice(0, 10 * PROBE).scaled().reshape(-1, size)
        mean = rows.mean(axis=0, dtype=np.float64)
        if visible == "bernoulli":
            mean = np.clip(mean, 0.01, 0.99)
            mean = np.log(mean / (1 - mean))
        biases = np.zeros(n, np.float32), mean.astype(np.float32)
        start = (weights, *biases)
        return cls(visible, hidden, *start, *map(np.zeros_like, start))

    def arrays(self) -> dict[str, Floats]:
        """Return the arrays by name, those that there are."""
        return {name: v for name, v in vars(self).items() if isinstance(v, np.ndarray)}

    def copy(self) -> RbmLayer:
        """Return the same values in memory of their own."""
        copies: dict[str, Any] = {k: np.array(v, order="C") for k, v in self.arrays().items()}
        return replace(self, **copies)

    def hidden_means(self, data: NetworkInput) -> Floats:
        """Return the hidden units' means for visible values."""
        return self.compute("rbmHidden", data, np.empty((len(data), len(self.weights)), np.float32))

    def free_energy(self, data: NetworkInput) -> NDArray[np.float64]:
        """Return the free energies of visible values."""
        return self.compute("rbmFreeEnergy", data, np.empty(len(data), np.float64))

    def compute(
        self, method: str, data: NetworkInput, out: NDArray[Any], *numbers: int
    ) -> NDArray[Any]:
        """Run one of the bridge's methods that fill an array, and return the array."""
        short = data.is_small and not numbers
        address = out.ctypes.data
        keep = (data, self.arrays(), out)
        bridge().call(method, self._describe(data), *numbers, address, keep=keep, short=short)
        return out

    def train_epoch(
        self, data: NetworkInput, learning: dict[str, Any], report: Callable[[int], None]
    ) -> float:
        """Pass once over data by contrastive divergence; return the reconstruction error.

        Parameters
        ----------
        learning : dict
            How, by the names of ``org.pyimgret.nn.RbmTrainer``.
        report : callable
            Called with the batches that are done.

        Raises
        ------
        TrainingError
            When a value is no longer finite; the parameters are then those before the epoch.
        KeyboardInterrupt
            After Ctrl-C; the parameters are as the last whole batch left them.
        """
        before = self.copy()
        progress = np.zeros(2, dtype=np.float64)
        chains = 0 if self.chain is None else len(self.chain)
        more = {"epoch": self.epochs, "shuffle": True, "chains": chains}
        text = bridge().call(
            "rbmEpoch",
            self._describe(data, **learning, **more),
            progress.ctypes.data,
            keep=(data, self.arrays(), progress),
            poll=lambda: report(int(progress[0])),
            # NB: nothing locks the parameters: they are to be at rest when this returns.
            patience=math.inf,
        )
        result = json.loads(text)
        report(result["batches"])
        finite = all(np.isfinite(values).all() for values in self.arrays().values())
        if result["status"] == "diverged" or not finite:
            for name, values in before.arrays().items():
                getattr(self, name)[...] = values
            raise TrainingError(
                f"The RBM's values are no longer finite numbers, in epoch {self.epochs + 1} at "
                f"batch {result['batches']}. Try a smaller learning_rate (now "
                f"{learning['learning_rate']:g}; 0.001 to 0.01 suits Gaussian and rectified "
                "units), and scale the data of Gaussian visible units to mean 0 and variance 1. "
                "The parameters are those before this epoch."
            )
        if result["status"] == "stopped":
            raise KeyboardInterrupt
        self.epochs += 1
        return float(result["error"])

    def _describe(self, data: NetworkInput, **more: Any) -> str:
        """Return what ``org.pyimgret.nn.Rbm`` reads, with data: units, and addresses of arrays."""
        absent = {"activity": 0, "chain": 0}
        addresses = {name: values.ctypes.data for name, values in self.arrays().items()}
        units = {"visible": self.visible, "hidden": self.hidden}
        sizes = dict(zip(("n_hidden", "n_visible"), self.weights.shape, strict=True))
        return json.dumps(absent | addresses | units | sizes | {"images": data.to_dict()} | more)


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
