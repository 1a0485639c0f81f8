"""The loop over epochs: progress, history, early stopping, and an orderly end."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import TrainingError
from pyimgret.jvm.arrays import NetworkInput
from pyimgret.jvm.network import JavaNetwork, JavaTrainer
from pyimgret.progress import progress_bar
from pyimgret.training.checkpoints import Progress, TrainingCheckpoint
from pyimgret.training.targets import Targets


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
    checkpoint: TrainingCheckpoint | None = None,
    history: History | None = None,
) -> History:
    """Train a network and return what happened, in ``history`` when it is given.

    Raises
    ------
    TrainingError
        When the loss is no longer finite.
    KeyboardInterrupt
        After Ctrl-C; the network is as the last whole iteration left it.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(network.training())
        trainer = stack.enter_context(make_trainer(network, data, targets, settings))
        judge = None
        if validation is not None:
            judge = make_trainer(network, *validation, settings, validation=True)
            stack.enter_context(judge)
        history = history if history is not None else History()
        _Loop(network, trainer, judge, settings, checkpoint, history).run()
    return history


class _Loop:
    """One run over all epochs."""

    def __init__(
        self,
        network: JavaNetwork,
        trainer: JavaTrainer,
        judge: JavaTrainer | None,
        settings: TrainingSettings,
        checkpoint: TrainingCheckpoint | None,
        history: History,
    ) -> None:
        self._network = network
        self._trainer = trainer
        self._judge = judge
        self._settings = settings
        self._checkpoint = checkpoint
        self.history = history
        self._best = math.inf
        self._best_parameters: NDArray[np.float32] | None = None
        self._waited = 0

    def run(self) -> None:
        iterations = self._trainer.iterations
        first = self._resume()
        with progress_bar(
            total=self._settings.epochs * iterations, unit=" batch", verbose=self._settings.verbose
        ) as bar:
            bar.update(first * iterations)
            for epoch in range(first, self._settings.epochs):
                self._epoch(epoch, bar, epoch * iterations)
                bar.set_postfix(self._last())
                if self._ends(epoch + 1):
                    break
        if self._best_parameters is not None:
            self._network.parameters = self._best_parameters

    def _resume(self) -> int:
        """Take up a run that was interrupted; return the epochs that are done."""
        done = self._checkpoint.restore(self._network) if self._checkpoint else None
        if done is None:
            return 0
        vars(self.history).update(done.history)
        self._best, self._waited = done.best, done.waited
        self._best_parameters = done.best_parameters
        ended = self._settings.patience is not None and self._waited >= self._settings.patience
        return self._settings.epochs if ended else done.epoch

    def _ends(self, epochs: int) -> bool:
        """Judge the epoch, keep a checkpoint, and say whether training is over."""
        over = self._judge is not None and self._has_waited_enough()
        if self._checkpoint is not None:
            progress = Progress(
                epochs, self.history.to_dict(), self._best, self._waited, self._best_parameters
            )
            self._checkpoint.save(self._network, progress)
        return over

    def _epoch(self, epoch: int, bar: Any, offset: int) -> None:
        start = time.perf_counter()
        result = self._trainer.epoch(
            epoch, 0, lambda done: bar.update(max(0, offset + done - bar.n))
        )
        bar.update(max(0, offset + result["iterations"] - bar.n))
        if result["status"] == "diverged":
            raise TrainingError(_divergence(epoch, result["iterations"]))
        if result["status"] == "stopped":
            raise KeyboardInterrupt
        self.history.loss.append(float(result["loss"]))
        if self._judge is not None:
            self.history.val_loss.append(self._judge.loss())
        self.history.seconds.append(time.perf_counter() - start)

    def _last(self) -> dict[str, str]:
        return {k: f"{v[-1]:.4f}" for k, v in self.history.to_dict().items() if k != "seconds"}

    def _has_waited_enough(self) -> bool:
        """Keep the best parameters; say whether patience has ended."""
        loss = self.history.val_loss[-1]
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
