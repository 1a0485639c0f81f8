"""Distributed training of a model by parameter averaging."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
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
from pyimgret.spark.inputs import Arrays, Images
from pyimgret.spark.submission import Progress, SparkOptions, submit
from pyimgret.training import Targets
from pyimgret.training.schedules import table
from pyimgret.training.targets import check_targets

M = TypeVar("M", bound=TrainableModel)

#: Number of iterations at which a schedule is sampled; Java rescales it.
_NOMINAL = 10_000


def train(
    model: M,
    data: Arrays | Images,
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
    """Train a model by parameter averaging and return it.

    Each worker trains on ``averaging_frequency`` batches of the model's ``batch_size``; then
    the parameters (and the optimizer states) of all workers are averaged. With few batches between
    averagings this is similar to training with batches ``workers`` times as large. A model that
    is already fitted is trained further, and so is a `DeepAutoencoder` after
    ``pretrain``, which is then fine-tuned.

    Parameters
    ----------
    model : Autoencoder, DenoisingAutoencoder, Network, …
        Modified in place, as by ``fit``; its settings are used.
    data : Arrays or Images
        Training data. Unreadable images are skipped and listed in ``spark_["broken"]``.
    labels : array of (n,), or list of str, optional
        For arrays one class per row; for images the names of the class folders, in the order
        of their indices.
    options : SparkOptions
    workers : int
        Number of workers, one core each.
    averaging_frequency : int
        Batches between two averagings.
    cache : int
        Executor heap in MiB used to cache decoded data.
    checkpoint : path, optional
        Saved every ``checkpoint_every`` epochs; training resumes from an existing file.
    progress : callable, optional
        Called with the events of the job: dictionaries with the key "event".

    Raises
    ------
    JavaCallError
        If the job failed.
    """
    seed = seed_of(model.random_state)
    model._check_settings()
    preprocessor, shape, sample = _inspect_input(model, data)
    targets, described = _targets(model, labels, data)
    network = model._settings(sample, targets, seed)
    with JavaNetwork.create(network) as probe:
        check_targets(probe, network["layers"], sample, targets)
    with tempfile.TemporaryDirectory(prefix="pyimgret-train-") as name:
        folder = Path(name)
        job = {
            **_job(model, data, preprocessor, shape, seed, network),
            "output": str(folder / "network.zip"),
            "workers": workers,
            "averaging_frequency": averaging_frequency,
            "cache_bytes": cache << 20,
            **described,
        }
        if described.get("labels") == "file":
            assert targets.values is not None
            job["labels"] = _write(folder / "labels", targets.values, "<i4")
        if hasattr(model, "_network"):  # fitted: the job starts with its weights
            weights = model.java_network.parameters
            job["parameters"] = _write(folder / "parameters", weights, "<f4")
        if checkpoint is not None:
            job["checkpoint"] = str(Path(checkpoint).absolute())
            job["checkpoint_every"] = checkpoint_every
        history = _History(progress)
        limited = replace(options, max_cores=options.max_cores or workers)
        end = submit("SparkTrainer", job, limited, progress=history)
        model._adopt(
            JavaNetwork.restore(folder / "network.zip"), shape, preprocessor, model._code_layer()
        )
        model._adopt_targets(targets)
    model.history_ = getattr(model, "history_", {}) | history.lists
    model.__dict__["spark_"] = end
    return model


class _History:
    """Records the history of epochs, and forwards all events."""

    def __init__(self, progress: Progress | None) -> None:
        self.lists: dict[str, list[float]] = {"loss": [], "seconds": []}
        self._progress = progress

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            for name, values in self.lists.items():
                values.append(float(event[name]))
        if self._progress is not None:
            self._progress(event)


def _inspect_input(
    model: TrainableModel, data: Arrays | Images
) -> tuple[Preprocessor | None, InputShape, NetworkInput]:
    """Determine preprocessing and input shape from a few rows."""
    kind = model._input_kind()
    preprocessor = model.preprocessing
    if isinstance(data, Images):
        if preprocessor is None:
            raise DimensionMismatchError(
                "Images of any size need preprocessing=Preprocessor(mode=..., height=..., "
                "width=...) in the model."
            )
        sample: NDArray[Any] = np.zeros((1, *preprocessor.shape), np.uint8)
    else:
        sample = data.sample()
        preprocessor = preprocessor or preprocessor_for(sample)
    if preprocessor is not None and sample.shape[1:] != preprocessor.shape:
        raise DimensionMismatchError(
            f"{data.path} contains rows of {sample.shape[1:]}, the preprocessing expects "
            f"{preprocessor.shape}; resize the array first."
        )
    if preprocessor is None and sample.dtype != np.float32:
        raise DimensionMismatchError(
            f"{data.path} contains {sample.dtype} vectors; save them as float32."
        )
    if preprocessor is None:
        check_scale(sample, None, sample.dtype)
    shape = InputShape.of(kind, sample)
    levels = None if preprocessor is None else preprocessor.table()
    return preprocessor, shape, NetworkInput(sample, levels, shape)


def _targets(
    model: TrainableModel, labels: Any, data: Arrays | Images
) -> tuple[Targets, dict[str, Any]]:
    """Return the targets of the network, and their description in the job."""
    if labels is None:
        return model._targets(None, 1), {}
    if isinstance(data, Images):
        names = sorted(str(name) for name in labels)
        targets = model._targets(np.array(names), len(names))
        return targets, {"labels": "folders", "folders": names, "classes": targets.classes}
    values = np.asarray(labels)
    targets = model._targets(values, len(values))
    if targets.kind != "classes":
        raise InvalidArgumentError(
            "On a cluster a network can be trained on its input or on classes, not on vectors."
        )
    return targets, {"labels": "file", "classes": targets.classes}


def _write(path: Path, values: NDArray[Any], dtype: str) -> str:
    values.astype(dtype).tofile(path)
    return str(path)


def _job(
    model: TrainableModel,
    data: Arrays | Images,
    preprocessor: Preprocessor | None,
    shape: InputShape,
    seed: int,
    network: dict[str, Any],
) -> dict[str, Any]:
    """Return the part of a job that follows from the model and the data."""
    schedule = table(model.schedule, model.learning_rate, _NOMINAL)
    if schedule is not None:
        network["updater"] |= {"schedule": schedule, "schedule_iterations": _NOMINAL}
    corruption = model._corruption()
    examples = {
        "height": shape.height,
        "width": shape.width,
        "channels": shape.channels,
        "layout": shape.kind,
        "seed": seed,
        **({"corruption": corruption} if corruption else {}),
    }
    return {
        "input": data.to_dict(None if preprocessor is None else preprocessor.to_dict()),
        "examples": examples,
        "network": network,
        "epochs": model.epochs,
        "batch_size": model.batch_size,
    }
