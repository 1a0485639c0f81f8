"""Training on a cluster: a model of Python's, trained by many, back as a model like any other."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyimgret.base import seed_of
from pyimgret.exceptions import DimensionMismatchError, InvalidArgumentError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.jvm.network import JavaNetwork
from pyimgret.models.network import TrainableModel
from pyimgret.preprocessing import Preprocessor
from pyimgret.preprocessing.inputs import check_scale, preprocessor_for
from pyimgret.spark.inputs import Arrays, Pictures
from pyimgret.spark.submission import Progress, SparkOptions, submit
from pyimgret.training import Targets
from pyimgret.training.schedules import table
from pyimgret.training.targets import check_targets

M = TypeVar("M", bound=TrainableModel)

#: A schedule is sampled over so many iterations; Java stretches it to those there are.
_NOMINAL = 10_000


def train(
    model: M,
    data: Arrays | Pictures,
    labels: ArrayLike | None = None,
    *,
    options: SparkOptions,
    workers: int = 2,
    averaging_frequency: int = 5,
    cache: int = 1024,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1,
    progress: Progress | None = None,
) -> M:
    """Train a model by parameter averaging and return it, trained.

    Each worker trains on ``averaging_frequency`` batches of the model's ``batch_size``; then
    the parameters (and the updater's state) of all are averaged. With few batches between
    averagings this is nearly training with batches ``workers`` times as large. A model that
    is fitted already goes on from its weights, and so does a `DeepAutoencoder` after
    ``pretrain``, which is then fine-tuned.

    Parameters
    ----------
    model : Autoencoder, DenoisingAutoencoder, Network, …
        Its settings count; it is changed in place, as ``fit`` does.
    data : Arrays or Pictures
        What to train on. Broken pictures are left out, and told in ``spark_["broken"]``.
    labels : array of (n,), or list of str, optional
        For arrays a class a row; for pictures the names of the class folders, in the order
        of their numbers.
    options : SparkOptions
    workers : int
        How many train at a time, each on one core.
    averaging_frequency : int
        Batches between two averagings.
    cache : int
        MiB of an executor's heap for data that it has read or decoded already.
    checkpoint : path, optional
        Written every ``checkpoint_every`` epochs; a training that finds it goes on from there.
    progress : callable, optional
        Called with what the job tells: dictionaries with "event".

    Raises
    ------
    JavaCallError
        When the job failed.
    """
    seed = seed_of(model.random_state)
    model._check_settings()
    preprocessor, shape, sample = _look(model, data)
    targets, described = _targets(model, labels, data)
    network = model._settings(sample, targets, seed)
    with JavaNetwork.create(network) as probe:
        check_targets(probe, network["layers"], sample, targets)
    _stretchable(model, network)
    with tempfile.TemporaryDirectory(prefix="pyimgret-train-") as name:
        folder = Path(name)
        job = _job(model, data, preprocessor, shape, seed, network) | {
            "output": str(folder / "network.zip"), "workers": workers,
            "averaging_frequency": averaging_frequency, "cache_bytes": cache << 20,
            **_labels(described, targets, folder), **_start(model, folder),
        }  # fmt: skip
        if checkpoint is not None:
            job |= {
                "checkpoint": str(Path(checkpoint).absolute()), "checkpoint_every": checkpoint_every
            }  # fmt: skip
        history = _History(progress)
        limited = options if options.max_cores else _limited(options, workers)
        end = submit("SparkTrainer", job, limited, progress=history)
        model._adopt(
            JavaNetwork.restore(folder / "network.zip"), shape, preprocessor, model._code_layer()
        )
        model._adopt_targets(targets)
    model.history_ = getattr(model, "history_", {}) | history.lists
    model.__dict__["spark_"] = end
    return model


def _limited(options: SparkOptions, workers: int) -> SparkOptions:
    from dataclasses import replace

    return replace(options, max_cores=workers)


class _History:
    """Keeps what happened by epochs, and hands everything on."""

    def __init__(self, progress: Progress | None) -> None:
        self.lists: dict[str, list[float]] = {"loss": [], "seconds": []}
        self._progress = progress

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            for name, values in self.lists.items():
                values.append(float(event[name]))
        if self._progress is not None:
            self._progress(event)


def _look(
    model: TrainableModel, data: Arrays | Pictures
) -> tuple[Preprocessor | None, InputShape, NetworkInput]:
    """Find out what the network's input is, from a few rows at most."""
    kind = model._input_kind()
    preprocessor = model.preprocessing
    if isinstance(data, Pictures):
        if preprocessor is None:
            raise DimensionMismatchError(
                "Pictures of any size need preprocessing=Preprocessor(mode=..., height=..., "
                "width=...) in the model."
            )
        sample: NDArray[Any] = np.zeros((1, *preprocessor.shape), np.uint8)
    else:
        sample = data.sample()
        preprocessor = preprocessor or preprocessor_for(sample)
    if preprocessor is not None and sample.shape[1:] != preprocessor.shape:
        raise DimensionMismatchError(
            f"{data.path} holds rows of {sample.shape[1:]}, the preprocessing gives "
            f"{preprocessor.shape}; bring the array to that size first."
        )
    if preprocessor is None and sample.dtype != np.float32:
        raise DimensionMismatchError(
            f"{data.path} holds {sample.dtype} vectors; save them as float32."
        )
    if preprocessor is None:
        check_scale(sample, None, sample.dtype)
    shape = InputShape.of(kind, sample)
    levels = None if preprocessor is None else preprocessor.table()
    return preprocessor, shape, NetworkInput(sample, levels, shape)


def _targets(
    model: TrainableModel, labels: Any, data: Arrays | Pictures
) -> tuple[Targets, dict[str, Any]]:
    """Return the targets that the network is made for, and what the job says of them."""
    if labels is None:
        return model._targets(None, 1), {}
    if isinstance(data, Pictures):
        names = sorted(str(name) for name in labels)
        targets = model._targets(np.array(names), len(names))
        return targets, {"labels": "folders", "folders": names, "classes": targets.classes}
    values = np.asarray(labels)
    targets = model._targets(values, len(values))
    if targets.kind != "classes":
        raise InvalidArgumentError(
            "On a cluster a network learns its input or classes, not other vectors."
        )
    return targets, {"labels": "file", "classes": targets.classes}


def _labels(described: dict[str, Any], targets: Targets, folder: Path) -> dict[str, Any]:
    if described.get("labels") != "file":
        return described
    assert targets.values is not None
    targets.values.astype("<i4").tofile(folder / "labels")
    return described | {"labels": str(folder / "labels")}


def _start(model: TrainableModel, folder: Path) -> dict[str, Any]:
    """Keep the weights of a fitted model for the job to begin with."""
    if not hasattr(model, "_network"):
        return {}
    model.java_network.parameters.astype("<f4").tofile(folder / "parameters")
    return {"parameters": str(folder / "parameters")}


def _stretchable(model: TrainableModel, network: dict[str, Any]) -> None:
    schedule = table(model.schedule, model.learning_rate, _NOMINAL)
    if schedule is not None:
        network["updater"] |= {"schedule": schedule, "schedule_iterations": _NOMINAL}


def _job(
    model: TrainableModel,
    data: Arrays | Pictures,
    preprocessor: Preprocessor | None,
    shape: InputShape,
    seed: int,
    network: dict[str, Any],
) -> dict[str, Any]:
    examples: dict[str, Any] = {
        "height": shape.height, "width": shape.width, "channels": shape.channels,
        "layout": shape.kind, "seed": seed,
    }  # fmt: skip
    corruption = model._corruption()
    if corruption:
        examples["corruption"] = corruption
    return {
        "input": data.to_dict(None if preprocessor is None else preprocessor.to_dict()),
        "examples": examples, "network": network, "epochs": model.epochs,
        "batch_size": model.batch_size,
    }  # fmt: skip
