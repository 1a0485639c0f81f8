"""The loop over epochs: progress, history, early stopping, and an orderly end."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
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


#: What happened, epoch by epoch: a list for each of "loss", "val_loss", "seconds", …
History = dict[str, list[float]]


def run_epochs(
    epochs: range,
    batches: int,
    train_epoch: Callable[[int, Callable[[int], None]], dict[str, float]],
    history: History,
    *,
    verbose: bool | None,
    is_over: Callable[[int], bool] = lambda _: False,
) -> None:
    """Run epochs under a progress bar; their results, and how long they took, go to a history.

    Parameters
    ----------
    epochs : range
        From 0 if nothing is done yet.
    batches : int
        In an epoch.
    train_epoch : callable
        Gets the number of an epoch, and what to call with the batches of it that are done;
        returns what the history is to hold.
    is_over : callable
        Gets the epochs that are done, and says whether training ends early.
    """
    start, end = epochs.start, epochs.stop
    with progress_bar(total=end * batches, unit=" batch", verbose=verbose) as bar:
        bar.update(start * batches)
        for epoch in epochs:

            def report(done: int, offset: int = epoch * batches) -> None:
                bar.update(max(0, offset + done - bar.n))

            began = time.perf_counter()
            results = train_epoch(epoch, report)
            for name, value in (results | {"seconds": time.perf_counter() - began}).items():
                history.setdefault(name, []).append(value)
            bar.set_postfix({name: f"{value:.4g}" for name, value in results.items()})
            if is_over(epoch + 1):
                break


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
        validator = None
        if validation is not None:
            validator = make_trainer(network, *validation, settings, validation=True)
            stack.enter_context(validator)
        history = {} if history is None else history
        _Loop(network, trainer, validator, settings, checkpoint, history).run()
    return history


class _Loop:
    """One run over all epochs."""

    def __init__(
        self,
        network: JavaNetwork,
        trainer: JavaTrainer,
        validator: JavaTrainer | None,
        settings: TrainingSettings,
        checkpoint: TrainingCheckpoint | None,
        history: History,
    ) -> None:
        self._network = network
        self._trainer = trainer
        self._validator = validator
        self._settings = settings
        self._checkpoint = checkpoint
        self.history = history
        self._best = math.inf
        self._best_parameters: NDArray[np.float32] | None = None
        self._waited = 0

    def run(self) -> None:
        run_epochs(
            range(self._resume(), self._settings.epochs), self._trainer.iterations, self._epoch,
            self.history, verbose=self._settings.verbose, is_over=self._is_over,
        )  # fmt: skip
        if self._best_parameters is not None:
            self._network.parameters = self._best_parameters

    def _resume(self) -> int:
        """Restore a run that was interrupted; return the epochs that are done."""
        done = self._checkpoint.restore(self._network) if self._checkpoint else None
        if done is None:
            return 0
        self.history.update(done.history)
        self._best, self._waited = done.best, done.waited
        self._best_parameters = done.best_parameters
        ended = self._settings.patience is not None and self._waited >= self._settings.patience
        return self._settings.epochs if ended else done.epoch

    def _is_over(self, epochs: int) -> bool:
        """Write a checkpoint, and say whether training is over."""
        over = self._validator is not None and self._has_waited_enough()
        if self._checkpoint is not None:
            progress = Progress(
                epochs, self.history, self._best, self._waited, self._best_parameters
            )
            self._checkpoint.save(self._network, progress)
        return over

    def _epoch(self, epoch: int, report: Callable[[int], None]) -> dict[str, float]:
        result = self._trainer.epoch(epoch, 0, report)
        report(result["iterations"])
        if result["status"] == "diverged":
            raise TrainingError(_divergence(epoch, result["iterations"]))
        if result["status"] == "stopped":
            raise KeyboardInterrupt
        results = {"loss": float(result["loss"])}
        if self._validator is not None:
            results["val_loss"] = self._validator.loss()
        return results

    def _has_waited_enough(self) -> bool:
        """Keep the best parameters; say whether patience has ended."""
        loss = self.history["val_loss"][-1]
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
