"""The loop over epochs: progress, history, early stopping, and an orderly end."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pyimgret.exceptions import TrainingError
from pyimgret.jvm.arrays import NetworkInput
from pyimgret.jvm.network import JavaNetwork, JavaTrainer
from pyimgret.progress import progress_bar
from pyimgret.training.checkpoints import Progress, TrainingCheckpoint
from pyimgret.training.targets import Targets

_log = logging.getLogger("pyimgret")


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
    progress = Progress(0, {} if history is None else history)
    with contextlib.ExitStack() as stack:
        stack.enter_context(network.training())
        corruption = {"corruption": settings.corruption} if settings.corruption else {}
        trainer = _trainer(network, data, targets, settings, shuffle=True, **corruption)
        stack.enter_context(trainer)
        validator = None
        if validation is not None:
            validator = _trainer(network, *validation, settings, shuffle=False)
            stack.enter_context(validator)
        _Run(network, trainer, validator, settings, checkpoint, progress).run()
    return progress.history


def _trainer(
    network: JavaNetwork,
    data: NetworkInput,
    targets: Targets,
    settings: TrainingSettings,
    **how: Any,
) -> JavaTrainer:
    description = {"images": data.to_dict(), "targets": targets.to_dict(), "seed": settings.seed}
    description |= {"batch_size": settings.batch_size, **how}
    return JavaTrainer.create(network, description, keep=(data, targets))


@dataclass
class _Run:
    """One run over all epochs."""

    network: JavaNetwork
    trainer: JavaTrainer
    validator: JavaTrainer | None
    settings: TrainingSettings
    checkpoint: TrainingCheckpoint | None
    progress: Progress

    def run(self) -> None:
        done = self.checkpoint.restore(self.network) if self.checkpoint else None
        if done is not None:
            self.progress.history.update(done.history)
            self.progress = replace(done, history=self.progress.history)
        first = self.settings.epochs if self._out_of_patience() else self.progress.epoch
        run_epochs(
            range(first, self.settings.epochs),
            self.trainer.iterations,
            self._epoch,
            self.progress.history,
            verbose=self.settings.verbose,
            is_over=self._is_over,
        )
        if self.progress.best_parameters is not None:
            self.network.parameters = self.progress.best_parameters

    def _epoch(self, epoch: int, report: Callable[[int], None]) -> dict[str, float]:
        result = self.trainer.epoch(epoch, 0, report)
        report(result["iterations"])
        if result["status"] == "diverged":
            raise TrainingError(
                f"The loss is no longer a finite number, in epoch {epoch + 1} at iteration "
                f"{result['iterations']}. Try a smaller learning_rate, batch_normalization=True, "
                "or look for values outside the range that the output's activation can give."
            )
        if result["status"] == "stopped":
            raise KeyboardInterrupt
        # Whether the network trains on oneDNN or not is a matter of speed, which users ask about.
        _log.info("epoch %d: loss %.6g, by %s", epoch + 1, result["loss"], result["engine"])
        results = {"loss": float(result["loss"])}
        if self.validator is not None:
            results["val_loss"] = self.validator.loss()
        return results

    def _is_over(self, epochs: int) -> bool:
        """Keep the best parameters and a checkpoint; say whether patience has ended."""
        progress = self.progress
        progress.epoch = epochs
        if self.validator is not None:
            loss = progress.history["val_loss"][-1]
            progress.waited += 1
            if loss < progress.best:
                progress.best, progress.waited = loss, 0
                if self.settings.patience is not None:
                    progress.best_parameters = self.network.parameters
        if self.checkpoint is not None:
            self.checkpoint.save(self.network, progress)
        return self._out_of_patience()

    def _out_of_patience(self) -> bool:
        patience = self.settings.patience
        return patience is not None and self.progress.waited >= max(1, patience)
