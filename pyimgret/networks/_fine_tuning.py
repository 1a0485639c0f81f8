"""Backpropagation in epochs that can be taken up again."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pyimgret._jvm import bridge
from pyimgret.exceptions import TrainingError
from pyimgret.networks._checkpoints import Checkpoints
from pyimgret.networks._input import NetworkInput
from pyimgret.networks._java import JavaNetwork
from pyimgret.networks._training import (
    History,
    Targets,
    TrainingSettings,
    make_trainer,
    progress_bar,
)

STAGE = "fine_tuning"


def fine_tune(
    network: JavaNetwork,
    data: NetworkInput,
    settings: TrainingSettings,
    checkpoints: Checkpoints,
    validation: NetworkInput | None = None,
) -> History:
    """Train a network to give its input back; goes on from a checkpoint where there is one.

    Raises
    ------
    TrainingError
        When the loss is no longer finite; the checkpoint before is kept.
    """
    history = _resume(network, checkpoints)
    with (
        make_trainer(network, data, Targets(), settings) as trainer,
        progress_bar(settings.epochs * trainer.iterations, settings.verbose) as bar,
    ):
        for epoch in range(len(history.loss), settings.epochs):
            start = time.perf_counter()
            history.loss.append(_epoch(trainer, epoch, bar))
            if validation is not None:
                history.val_loss.append(_loss(network, validation, settings))
            history.seconds.append(time.perf_counter() - start)
            bar.set_postfix({k: f"{v[-1]:.4f}" for k, v in history.to_dict().items()})
            _keep(network, checkpoints, history)
    return history


def _epoch(trainer: Any, epoch: int, bar: Any) -> float:
    offset = epoch * trainer.iterations
    result, interrupted = trainer.epoch(
        epoch, 0, lambda done: bar.update(max(0, offset + done - bar.n))
    )
    bar.update(max(0, offset + result["iterations"] - bar.n))
    if result["status"] == "diverged":
        raise TrainingError(
            f"The loss is no longer a finite number, in epoch {epoch + 1} of fine-tuning. Try a "
            "smaller learning_rate, or more epochs of pretraining."
        )
    if interrupted:
        raise KeyboardInterrupt
    return float(result["loss"])


def _loss(network: JavaNetwork, data: NetworkInput, settings: TrainingSettings) -> float:
    with make_trainer(network, data, Targets(), settings, validation=True) as judge:
        return judge.loss()


def _resume(network: JavaNetwork, checkpoints: Checkpoints) -> History:
    found = checkpoints.read(STAGE)
    if found is None:
        return History()
    arrays, notes = found
    network.parameters = arrays["parameters"]
    history = History(**notes["history"])
    state = np.ascontiguousarray(arrays["updater"], dtype=np.float32)
    bridge().call(
        "setUpdaterState", network.handle, state.ctypes.data, notes["iteration"],
        len(history.loss), keep=state,
    )  # fmt: skip
    return history


def _keep(network: JavaNetwork, checkpoints: Checkpoints, history: History) -> None:
    java = bridge()
    state = np.empty(java.call("updaterStateLength", network.handle), dtype=np.float32)
    if state.size:
        java.call("getUpdaterState", network.handle, state.ctypes.data, keep=state)
    notes = {
        "history": history.to_dict(), "iteration": java.call("iterationCount", network.handle),
    }  # fmt: skip
    checkpoints.write(STAGE, {"parameters": network.parameters, "updater": state}, notes)
