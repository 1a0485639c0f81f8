"""Training states in a folder, so that a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import ModelFormatError
from pyimgret.files.atomic import write_atomically
from pyimgret.jvm.arrays import NetworkInput
from pyimgret.jvm.network import JavaNetwork


def fingerprint(settings: dict[str, Any], *data: NetworkInput | NDArray[Any] | None) -> str:
    """Return a checksum of what a run's outcome follows from: settings and data."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for part in data:
        table = part.table if isinstance(part, NetworkInput) else None
        for values in (part.values if isinstance(part, NetworkInput) else part, table):
            if values is not None:
                digest.update(str((values.dtype, values.shape)).encode())
                digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


class Checkpoints:
    """One file of arrays for each stage of a run, replaced when it has gone on.

    Parameters
    ----------
    folder : Path or None
        Made when it is missing; None keeps nothing.
    identity : str
        The `fingerprint` of the run; a state of another run is refused.
    """

    def __init__(self, folder: Path | None, identity: str) -> None:
        self._folder = folder
        self._identity = identity
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, stage: str, arrays: dict[str, NDArray[Any]], notes: dict[str, Any]) -> None:
        """Store a stage's state; the one before it is replaced when this one is on disk."""
        if self._folder is None:
            return
        text = json.dumps(notes | {"identity": self._identity})

        def dump(target: Path) -> None:
            with target.open("wb") as file:
                # numpy's own way to hold a text; reading it back needs no pickle.
                np.savez(file, notes=np.array(text), **arrays)  # type: ignore[arg-type]

        write_atomically(self._path(stage), dump)

    def read(self, stage: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """Return a stage's state, or None when there is none.

        Raises
        ------
        ModelFormatError
            When the file is broken, or of a run with other settings or data.
        """
        if self._folder is None or not self._path(stage).exists():
            return None
        path = self._path(stage)
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            notes = json.loads(str(arrays.pop("notes")))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ModelFormatError(
                f"{path} cannot be read ({error}); delete it to begin this stage anew."
            ) from error
        if notes.get("identity") != self._identity:
            raise ModelFormatError(
                f"{path} is of a run with other settings or other data; use another checkpoint "
                "folder, or delete it to begin anew."
            )
        return arrays, notes

    def _path(self, stage: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{stage}.npz"


@dataclass
class Progress:
    """How far training has come.

    Attributes
    ----------
    epoch : int
        Epochs that are done.
    best, waited : float, int
        The least validation loss, and the epochs since.
    best_parameters : ndarray or None
        The weights that gave it, when training may end early.
    """

    epoch: int
    history: dict[str, list[float]]
    best: float = math.inf
    waited: int = 0
    best_parameters: NDArray[np.float32] | None = None


class TrainingCheckpoint:
    """The state of training by backpropagation, as one stage of a run.

    Parameters, the optimizer's state and the count of iterations come back bit for bit. Order,
    corruption and dropout follow from the seed, the epoch and the iteration, so they need no
    state of their own.
    """

    def __init__(self, store: Checkpoints, stage: str = "training") -> None:
        self._store = store
        self._stage = stage

    def save(self, network: JavaNetwork, progress: Progress) -> None:
        """Store the state after an epoch."""
        notes = vars(progress).copy()
        best = notes.pop("best_parameters")
        arrays = network.training_state() | ({} if best is None else {"best_parameters": best})
        self._store.write(self._stage, arrays, notes)

    def restore(self, network: JavaNetwork) -> Progress | None:
        """Bring a network to where the run was; None when it has not begun."""
        found = self._store.read(self._stage)
        if found is None:
            return None
        arrays, notes = found
        best = arrays.pop("best_parameters", None)
        network.set_training_state(arrays)
        del notes["identity"]
        return Progress(**notes, best_parameters=best)
