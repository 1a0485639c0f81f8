"""An ImageNet network with a head of one's own, on features that are computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pyimgret._mobilenet import MOBILENET_V2
from pyimgret.encoder import Encoder, normalize
from pyimgret.layers import Layer
from pyimgret.networks._graph import JavaGraph
from pyimgret.networks._input import InputShape, NetworkInput
from pyimgret.networks._training import Targets
from pyimgret.networks.base import Images
from pyimgret.networks.conv import _Classifier
from pyimgret.preprocessing import Preprocessor
from pyimgret.pretrained import ARCHITECTURES, PretrainedNetwork, head_settings

_HEAD = ("code", "classes")


class FineTunedNetwork(PretrainedNetwork):
    """A pretrained network whose last layers learned classes of one's own.

    Everything up to the pooled features stays as it was published; a code and a layer of
    classes, as `ConvNet` has them, are learned on the features, which are computed once.

    Parameters
    ----------
    architecture : str
    code_size : int
        Length of the new embedding.
    head : {"centres", "softmax"}
        As for `ConvNet`.
    epochs : int
        Rounds through the features.
    learning_rate : float
    random_state : int or None

    Attributes
    ----------
    labels_ : ndarray
        The classes.

    References
    ----------
    Yosinski, Clune, Bengio, Lipson (2014), How transferable are features in deep neural
    networks?
    """

    def __init__(
        self,
        architecture: str = "mobilenet_v2",
        *,
        code_size: int = 64,
        head: str = "centres",
        epochs: int = 40,
        learning_rate: float = 3e-3,
        random_state: int | None = None,
    ) -> None:
        super().__init__(architecture)
        self.code_size = code_size
        self.head = head
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.random_state = random_state

    @property
    def classes_(self) -> list[Any]:
        """The classes that were learned."""
        names: list[Any] = self.labels_.tolist()
        return names

    def fit(self, base: PretrainedNetwork, features: NDArray[np.float32], y: object) -> Self:
        """Learn the head.

        Parameters
        ----------
        base : PretrainedNetwork
            The network that gave the features, with the pooling "avg".
        features : ndarray, shape (n, 1280)
            What it gave for the pictures (`cached_features`).
        y : array, shape (n,)
            Their classes.
        """
        # NB: of mean square 1, which is what the layers' first weights are made for.
        scale = np.float32(np.sqrt(features.shape[1]))
        learned = _Head(
            code_size=self.code_size, head=self.head, epochs=self.epochs,
            learning_rate=self.learning_rate, random_state=self.random_state,
        ).fit(normalize(features) * scale, y)  # fmt: skip
        network = JavaGraph.create(_graph(base, learned, self.head))
        for layer in network.describe()["layers"]:
            for key in layer["parameters"]:
                if layer["name"] not in _HEAD:
                    network.set(key, base.java_network.get(key))
        for place, name in enumerate(_HEAD):
            for kind in ("W", "b") if name == "code" or self.head == "softmax" else ("W",):
                values = learned.java_network.get(f"{place}_{kind}")
                factor = scale if (name, kind) == ("code", "W") else np.float32(1)
                network.set(f"{name}_{kind}", values * factor)
        self.labels_ = learned.classes_
        self._adopt(network, base.input_, base.preprocessor_, "code")
        self.history_ = learned.history_
        return self

    def predict(self, X: Images) -> NDArray[Any]:
        """Return the most probable class of each picture."""
        best: NDArray[Any] = self.labels_[self.activate(X, "classes").argmax(axis=1)]
        return best

    def score(self, X: Images, y: object) -> float:
        """Return the part of the pictures whose class is found."""
        return float(np.mean(self.predict(X) == np.asarray(y)))

    def _state(self) -> dict[str, Any]:
        return {"classes": self.labels_.tolist()}

    def _restore_state(self, state: dict[str, Any]) -> None:
        self.labels_ = np.asarray(state["classes"])


class _Head(_Classifier):
    """The layers that are learned, on vectors."""

    def __init__(
        self,
        *,
        code_size: int = 64,
        head: str = "centres",
        epochs: int = 40,
        learning_rate: float = 3e-3,
        random_state: int | None = None,
    ) -> None:
        self.code_size = code_size
        self.head = head
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.class_weight = None
        self.updater, self.schedule, self.batch_size = "adam", "one_cycle", 64
        self.patience, self.preprocessing, self.verbose = None, None, False

    def _input_kind(self) -> str:
        return "dense"

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        del shape, data
        return self._head(targets)


def _graph(base: PretrainedNetwork, learned: _Head, head: str) -> dict[str, Any]:
    count = len(learned.classes_)
    return head_settings(
        ARCHITECTURES[base.architecture], base.input_, learned.code_size, count,
        bias=head == "softmax",
    )  # fmt: skip


def cached_features(
    network: PretrainedNetwork, files: Sequence[Path], folder: Path
) -> NDArray[np.float32]:
    """Return the features of files, from a cache when nothing has changed.

    Parameters
    ----------
    network : PretrainedNetwork
    files : sequence of Path
        Pictures that can be read.
    folder : Path
        Where the cache is kept; made when it is missing.
    """
    digest = hashlib.sha256(Encoder(network).model_checksum.encode())
    for file in files:
        status = file.stat()
        digest.update(f"{file.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(
            errors="surrogateescape"
        ))  # fmt: skip
    cache = folder / f"features-{digest.hexdigest()[:24]}.npy"
    if cache.is_file():
        stored: NDArray[np.float32] = np.load(cache, allow_pickle=False)
        return stored
    preprocessor: Preprocessor = network.preprocessor or MOBILENET_V2.preprocessing
    parts = [
        network.encode(np.stack([preprocessor.pixels(file) for file in files[start : start + 64]]))
        for start in range(0, len(files), 64)
    ]
    features = np.concatenate(parts)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(cache, features)
    return features
