"""The loop over epochs: progress, history, early stopping, and an orderly end."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import TrainingError
from pyimgret.networks._input import NetworkInput
from pyimgret.networks._java import JavaNetwork, JavaTrainer


@dataclass
class TrainingSettings:
    """How a network is trained.

    Attributes
    ----------
    patience : int or None
        Epochs without a better validation loss before training ends; None never ends early.
    """

    batch_size: int
    epochs: int
    seed: int
    corruption: dict[str, Any] | None = None
    patience: int | None = None
    verbose: bool | None = None


@dataclass
class Targets:
    """What the network is to answer.

    Attributes
    ----------
    kind : str
        "input" (the clean picture), "classes" or "vectors".
    values : ndarray or None
        int32 (n,) classes, or float32 (n, size).
    classes : int
        How many there are.
    """

    kind: str = "input"
    values: NDArray[Any] | None = None
    classes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the description that ``org.pyimgret.nn.Targets`` reads."""
        if self.values is None:
            return {"kind": self.kind}
        description = {
            "kind": self.kind, "address": self.values.ctypes.data, "count": len(self.values),
        }  # fmt: skip
        if self.kind == "classes":
            return description | {"classes": self.classes}
        return description | {"size": int(self.values.shape[1])}


@dataclass
class History:
    """What happened, epoch by epoch.

    Attributes
    ----------
    loss, val_loss : list of float
        Means over the epoch; the validation loss after it.
    seconds : list of float
        How long each took.
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def to_dict(self) -> dict[str, list[float]]:
        """Return the lists by name, those that hold anything."""
        return {k: v for k, v in vars(self).items() if v}


def make_trainer(
    network: JavaNetwork,
    data: NetworkInput,
    targets: Targets,
    settings: TrainingSettings,
    *,
    validation: bool = False,
) -> JavaTrainer:
    """Prepare a trainer; one for validation neither shuffles nor corrupts."""
    description: dict[str, Any] = {
        "images": data.to_dict(), "targets": targets.to_dict(), "seed": settings.seed,
        "batch_size": settings.batch_size, "shuffle": not validation,
    }  # fmt: skip
    if settings.corruption and not validation:
        description["corruption"] = settings.corruption
    return JavaTrainer.create(network, description, keep=(data, targets))


def train(
    network: JavaNetwork,
    data: NetworkInput,
    targets: Targets,
    settings: TrainingSettings,
    validation: tuple[NetworkInput, Targets] | None = None,
) -> History:
    """Train a network and return what happened.

    Raises
    ------
    TrainingError
        When the loss is no longer finite.
    KeyboardInterrupt
        After Ctrl-C; the network is as the last whole iteration left it.
    """
    history = History()
    with make_trainer(network, data, targets, settings) as trainer:
        if validation is None:
            _Loop(network, trainer, None, settings, history).run()
            return history
        with make_trainer(network, *validation, settings, validation=True) as judge:
            _Loop(network, trainer, judge, settings, history).run()
    return history


class _Loop:
    """One run over all epochs."""

    def __init__(
        self,
        network: JavaNetwork,
        trainer: JavaTrainer,
        judge: JavaTrainer | None,
        settings: TrainingSettings,
        history: History,
    ) -> None:
        self._network = network
        self._trainer = trainer
        self._judge = judge
        self._settings = settings
        self._history = history
        self._best = math.inf
        self._best_parameters: NDArray[np.float32] | None = None
        self._waited = 0

    def run(self) -> None:
        iterations = self._trainer.iterations
        with progress_bar(self._settings.epochs * iterations, self._settings.verbose) as bar:
            for epoch in range(self._settings.epochs):
                self._epoch(epoch, bar, epoch * iterations)
                bar.set_postfix(self._last())
                if self._judge is not None and self._has_waited_enough():
                    break
        if self._best_parameters is not None:
            self._network.parameters = self._best_parameters

    def _epoch(self, epoch: int, bar: Any, offset: int) -> None:
        start = time.perf_counter()
        result, interrupted = self._trainer.epoch(
            epoch, 0, lambda done: bar.update(max(0, offset + done - bar.n))
        )
        bar.update(max(0, offset + result["iterations"] - bar.n))
        if result["status"] == "diverged":
            raise TrainingError(_divergence(epoch, result["iterations"]))
        if interrupted:
            raise KeyboardInterrupt
        self._history.loss.append(float(result["loss"]))
        if self._judge is not None:
            self._history.val_loss.append(self._judge.loss())
        self._history.seconds.append(time.perf_counter() - start)

    def _last(self) -> dict[str, str]:
        return {k: f"{v[-1]:.4f}" for k, v in self._history.to_dict().items() if k != "seconds"}

    def _has_waited_enough(self) -> bool:
        """Keep the best parameters; say whether patience has ended."""
        loss = self._history.val_loss[-1]
        if loss < self._best:
            self._best, self._waited = loss, 0
            if self._settings.patience is not None:
                self._best_parameters = self._network.parameters
            return False
        self._waited += 1
        return self._settings.patience is not None and self._waited >= self._settings.patience


def _divergence(epoch: int, iteration: int) -> str:
    return (
        f"The loss is no longer a finite number, in epoch {epoch + 1} at iteration {iteration}. "
        "Try a smaller learning_rate, batch_normalization=True, or look for values outside the "
        "range that the output's activation can give."
    )


def progress_bar(total: int, verbose: bool | None, unit: str = "batch") -> Any:
    """Return a tqdm bar: shown on a terminal or in a notebook, silent in a pipe."""
    from tqdm.auto import tqdm

    hidden = not verbose if verbose is not None else not (sys.stderr.isatty() or _in_notebook())
    return tqdm(total=total, disable=hidden, unit=unit, leave=False, file=sys.stderr)


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules
