"""Networks that learned on ImageNet, from their published weights: good for photos at once.

A network is a table (`pyimgret.pretrained.mobilenet`): its rows become a Deeplearning4j
graph, and its checkpoint's tensors the graph's weights, the batch normalisations folded
into the convolutions before them, which is exact when a network only runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyimgret.evaluation import whitening
from pyimgret.exceptions import InvalidArgumentError, ModelFormatError
from pyimgret.jvm.arrays import InputShape
from pyimgret.jvm.graph import JavaGraph
from pyimgret.layers import Dense, DepthwiseConvolution2D, GlobalPooling, Loss, Output
from pyimgret.models import Model
from pyimgret.preprocessing.inputs import Images
from pyimgret.pretrained.mobilenet import MOBILENET_V2, Architecture, Row
from pyimgret.pretrained.torch_checkpoint import read_checkpoint
from pyimgret.pretrained.weights import find_weights

ARCHITECTURES: Final = {MOBILENET_V2.name: MOBILENET_V2}

_POOLINGS: Final = {
    "avg": GlobalPooling(name="pooled"),
    "gem": GlobalPooling(name="pooled", pooling="pnorm", power=3),
    "max": GlobalPooling(name="pooled", pooling="max"),
}
_WHITENED = "whitened"
_UNTRAINED: Final = {"type": "sgd", "learning_rate": 0.0}

Tensors = Mapping[str, NDArray[Any]]


class PretrainedNetwork(Model):
    """An ImageNet network; `mobilenet_v2` makes one.

    Parameters
    ----------
    architecture : str
        Name of the table.
    pooling : {"avg", "gem", "max"}
        How the last map becomes a vector: mean, generalised mean with power 3 (Radenović, Tolias
        and Chum 2018), or largest.
    flip : bool
        Whether an embedding is the mean of those of the image and of its mirror image.

    Attributes
    ----------
    classes_ : list of str
        The 1,000 names of ImageNet's classes.
    """

    def __init__(
        self, architecture: str = "mobilenet_v2", *, pooling: str = "avg", flip: bool = False
    ) -> None:
        self.architecture = architecture
        self.pooling = pooling
        self.flip = flip

    @property
    def classes_(self) -> list[Any]:
        """Names of the classes of ImageNet, in the order of the logits."""
        return imagenet_classes()

    def encode(self, X: Images, *, batch_size: int = 256) -> NDArray[np.float32]:
        """Return the pooled features of images, (n, embedding_size)."""
        if not self.flip:
            return super().encode(X, batch_size=batch_size)
        values = self._checked_input(X).values
        straight = super().encode(values, batch_size=batch_size)
        mirrored = super().encode(np.ascontiguousarray(values[:, :, ::-1]), batch_size=batch_size)
        return (straight + mirrored) / np.float32(2)

    def whitened(
        self, embeddings: NDArray[np.float32], size: int, *, shrinkage: float = 10.0
    ) -> PretrainedNetwork:
        """Return the same network with a whitening layer after the embedding.

        Parameters
        ----------
        embeddings : ndarray, shape (n, embedding_size)
            What this network gave for the collection.
        size : int
            Length of the new embedding.
        shrinkage : float
            See `pyimgret.evaluation.whitening`.
        """
        W, b = whitening(embeddings, size, shrinkage=shrinkage)
        table = ARCHITECTURES[self.architecture]
        network = JavaGraph.create(_settings(table, self.input_, self.pooling, whitened=size))
        for layer in self.java_network.describe()["layers"]:
            for key in layer["parameters"]:
                network.set(key, self.java_network.get(key))
        network.set(f"{_WHITENED}_W", W)
        network.set(f"{_WHITENED}_b", b)
        return _wrap(PretrainedNetwork(**self.get_params()), network, self.input_, _WHITENED)

    def logits(self, X: Images) -> NDArray[np.float32]:
        """Return the logits of ImageNet's classes, (n, 1000)."""
        return self.activate(X, "logits")

    def classify(self, X: Images, *, k: int = 5) -> list[list[tuple[str, float]]]:
        """Return the ``k`` most probable classes of each image, with their probabilities."""
        probabilities = self.activate(X, "probabilities")
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
        names = self.classes_
        return [
            [(names[c], float(row[c])) for c in places]
            for row, places in zip(probabilities, best, strict=True)
        ]

    def feature_maps(self, X: Images) -> NDArray[np.float32]:
        """Return the last maps, (n, channels, height, width): what pooling makes a vector of."""
        flat = self.activate(X, "features")
        side = self.input_.height // 32, self.input_.width // 32
        return flat.reshape(len(flat), -1, *side)

    def pooled_maps(self, X: Images) -> NDArray[np.float32] | None:
        """Return maps whose mean over the places is the embedding, or None if there are none.

        There are for the pooling "avg" without whitening; with ``flip`` the mirror image's map
        is turned back and averaged in.
        """
        whitened = self.code_layer_ != self._layer_index("pooled")
        if self.pooling != "avg" or whitened:
            return None
        values = self._checked_input(X).values
        maps = self.feature_maps(values)
        if not self.flip:
            return maps
        mirrored = self.feature_maps(np.ascontiguousarray(values[:, :, ::-1]))
        return (maps + mirrored[..., ::-1]) / np.float32(2)


def mobilenet_v2(
    weights: str | os.PathLike[str] | None = None, *, pooling: str = "avg", flip: bool = False
) -> PretrainedNetwork:
    """Return MobileNetV2 with torchvision's weights for ImageNet.

    Parameters
    ----------
    weights : path, optional
        torchvision's checkpoint. Without it the file is looked for at ``PYIMGRET_WEIGHTS``, in
        the caches of pyimgret and torch and in installed packages, and otherwise downloaded.
    pooling : {"avg", "gem", "max"}
        How the last map becomes the embedding.
    flip : bool
        Whether to average with the mirror image.

    Returns
    -------
    PretrainedNetwork
        Its embeddings have 1,280 values.

    Raises
    ------
    WeightsNotFoundError, ModelFormatError

    References
    ----------
    Sandler et al. (2018), MobileNetV2: Inverted Residuals and Linear Bottlenecks.
    """
    return from_table(MOBILENET_V2, weights, pooling=pooling, flip=flip)


def from_table(
    table: Architecture,
    weights: str | os.PathLike[str] | None = None,
    *,
    pooling: str = "avg",
    flip: bool = False,
) -> PretrainedNetwork:
    """Return the network of a table, with the weights of its checkpoint."""
    if pooling not in _POOLINGS:
        raise InvalidArgumentError(f"unknown pooling {pooling!r}; known: {', '.join(_POOLINGS)}.")
    path = find_weights(table.published, weights)
    converted = convert(table, read_checkpoint(path), path)
    shape = InputShape("convolutional", table.preprocessing.height, table.preprocessing.width, 3)
    network = JavaGraph.create(_settings(table, shape, pooling))
    for key, values in converted.items():
        network.set(key, values)
    return _wrap(
        PretrainedNetwork(table.name, pooling=pooling, flip=flip), network, shape, "pooled"
    )


def _wrap(
    model: PretrainedNetwork, network: JavaGraph, shape: InputShape, code_layer: str
) -> PretrainedNetwork:
    model._adopt(network, shape, ARCHITECTURES[model.architecture].preprocessing, code_layer)
    model.history_ = {}
    return model


def _settings(
    table: Architecture, shape: InputShape, pooling: str, *, whitened: int = 0
) -> dict[str, Any]:
    vertices = [_vertex(row) for row in table.rows]
    outputs = ["probabilities"]
    if whitened:
        layer = Dense(whitened, name=_WHITENED)
        vertices.append({"type": "L2Normalize", "name": "normalised", "inputs": ["pooled"]})
        vertices.append(layer.to_dict() | {"inputs": ["normalised"]})
        outputs.append(_WHITENED)
    vertices.append(_POOLINGS[pooling].to_dict() | {"inputs": [table.features]})
    vertices.append(_vertex(table.head))
    loss = Loss(name="probabilities", loss="categorical_cross_entropy", activation="softmax")
    vertices.append(loss.to_dict() | {"inputs": [table.head.name]})
    return {
        "seed": 0, "updater": _UNTRAINED, "input": shape.to_network(),
        "vertices": vertices, "outputs": outputs,
    }  # fmt: skip


def head_settings(
    table: Architecture,
    shape: InputShape,
    code_size: int,
    classes: int,
    *,
    learned: bool,
    after: int = 0,
    updater: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the settings of the table's graph with a code and classes in place of its head.

    Parameters
    ----------
    table : Architecture
    shape : InputShape
        What the graph takes.
    code_size, classes : int
        Units of the code and of the last layer.
    learned : bool
        Whether the last layer is; if not it has no bias, and training leaves it alone.
    after : int
        So many rows of the table are left out: the graph takes what the last of them gives.
    updater : dict, optional
        How it is to be trained.
    """
    code = Dense(code_size, name="code", activation="tanh")
    output = Output(
        classes, name="classes", loss="categorical_cross_entropy", activation="softmax",
        bias=learned, frozen=not learned,
    )  # fmt: skip
    given = table.rows[after - 1].name if after else "input"
    vertices = [_vertex(row, given) for row in table.rows[after:]]
    vertices.append(_POOLINGS["avg"].to_dict() | {"inputs": [table.features]})
    vertices.append({"type": "L2Normalize", "name": "normalised", "inputs": ["pooled"]})
    vertices.append(code.to_dict() | {"inputs": ["normalised"]})
    vertices.append(output.to_dict() | {"inputs": ["code"]})
    return {
        "seed": 0, "updater": updater or _UNTRAINED, "input": shape.to_network(),
        "vertices": vertices, "outputs": ["classes"],
    }  # fmt: skip


def _vertex(row: Row, given: str = "input") -> dict[str, Any]:
    """Return a row's settings, ``given`` being what the graph takes as its input."""
    what = {"type": "Add", "name": row.name} if row.layer is None else row.layer.to_dict()
    return what | {"inputs": ["input" if name == given else name for name in row.inputs]}


def convert(table: Architecture, tensors: Tensors, path: Path) -> dict[str, NDArray[np.float32]]:
    """Return a checkpoint's tensors as the graph's parameters, by the graph's names.

    Raises
    ------
    ModelFormatError
        When the checkpoint is another network's.
    """
    converted = {}
    try:
        for row in (*table.rows, table.head):
            if row.layer is not None:
                W, b = _weights(row, tensors, table.epsilon)
                converted[f"{row.name}_W"] = np.ascontiguousarray(W, dtype=np.float32)
                converted[f"{row.name}_b"] = np.ascontiguousarray(b, dtype=np.float32)
    except (KeyError, ValueError) as error:
        raise ModelFormatError(f"{path} is no checkpoint of {table.name}: {error}.") from error
    return converted


def _weights(
    row: Row, tensors: Tensors, epsilon: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return W and b in Deeplearning4j's layout, batch normalisation folded in, in float64."""
    W = np.asarray(tensors[f"{row.weights}.weight"], dtype=np.float64)
    bias = tensors.get(f"{row.weights}.bias")
    b = np.zeros(len(W)) if bias is None else np.asarray(bias, dtype=np.float64)
    if row.normalisation:
        gamma, beta, mean, variance = (
            np.asarray(tensors[f"{row.normalisation}.{name}"], dtype=np.float64)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + epsilon)
        W, b = W * scale[:, None, None, None], beta + (b - mean) * scale
    if isinstance(row.layer, DepthwiseConvolution2D):
        return W.transpose(2, 3, 0, 1), b
    return (W.T if isinstance(row.layer, Dense) else W), b


def imagenet_classes() -> list[str]:
    """Return the names of ImageNet's 1,000 classes.

    Examples
    --------
    >>> imagenet_classes()[0]
    'tench'
    """
    path = Path(__file__).with_name("imagenet_classes.txt")
    return [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
