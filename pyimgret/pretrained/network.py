"""Networks that learned on ImageNet, from their published weights: good for photos at once.

A network is a table (`pyimgret.pretrained.architecture`): its rows become a Deeplearning4j
graph, and its checkpoint's tensors the graph's weights, the batch normalisations folded
into the convolutions before them, which is exact when a network only runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyimgret.base import with_settings
from pyimgret.evaluation import whitening
from pyimgret.exceptions import DimensionMismatchError, InvalidArgumentError, ModelFormatError
from pyimgret.jvm.arrays import InputShape
from pyimgret.jvm.graph import JavaGraph
from pyimgret.jvm.network import JavaNetwork
from pyimgret.layers import Dense, DepthwiseConvolution2D, GlobalPooling, Loss
from pyimgret.models import Model
from pyimgret.preprocessing.inputs import Images
from pyimgret.pretrained.architecture import Architecture, L2Normalize, Row
from pyimgret.pretrained.googlenet import GOOGLENET
from pyimgret.pretrained.inverted_residuals import EFFICIENTNET_LITE, MOBILENET_V2
from pyimgret.pretrained.resnet import RESNET18, RESNET50
from pyimgret.pretrained.torch_checkpoint import read_checkpoint
from pyimgret.pretrained.weights import find_weights, local_weights

ARCHITECTURES: Final = {
    table.name: table for table in (MOBILENET_V2, *EFFICIENTNET_LITE, GOOGLENET, RESNET18, RESNET50)
}

POOLINGS: Final = {
    "avg": GlobalPooling(name="pooled"),
    "gem": GlobalPooling(name="pooled", pooling="pnorm", power=3),
    "max": GlobalPooling(name="pooled", pooling="max"),
}
#: Auxiliary classifiers, which are left out.
_TRAINING_ONLY: Final = ("aux1.", "aux2.")
UNTRAINED: Final = {"type": "sgd", "learning_rate": 0.0}

Tensors = Mapping[str, NDArray[Any]]
Weights = dict[str, NDArray[np.float32]]


def find_architecture(name: str) -> Architecture:
    """Return the table of a network.

    Raises
    ------
    InvalidArgumentError
        With the known names.
    """
    if name not in ARCHITECTURES:
        raise InvalidArgumentError(
            f"unknown architecture {name!r}; known: {', '.join(ARCHITECTURES)}."
        )
    return ARCHITECTURES[name]


def best_available() -> str:
    """Return the network with the highest accuracy on ImageNet whose weights are on this machine.

    Where there are none, it is MobileNetV2, the smallest that can be downloaded.
    """
    best = sorted(ARCHITECTURES.values(), key=lambda table: table.top1, reverse=True)
    found = (table.name for table in best if local_weights(table.published))
    return next(found, MOBILENET_V2.name)


@with_settings
class ImageNetModel(Model, abstract=True):
    """A network that begins as one of `ARCHITECTURES`.

    Parameters
    ----------
    architecture : str
        Name of the table.
    """

    architecture: str = field(default=MOBILENET_V2.name, kw_only=False)

    def feature_maps(self, X: Images, layer: str | None = None) -> NDArray[np.float32]:
        """Return what a vertex makes of images, (n, channels, height, width).

        Parameters
        ----------
        X : images
        layer : str, optional
            A vertex that gives maps; by default the last one, of which pooling makes a vector.
        """
        layer = layer or find_architecture(self.architecture).features
        shape = self.trained.shape(self._layer_index(layer))
        return self.activate(X, layer).reshape(-1, *shape)


@with_settings
class PretrainedNetwork(ImageNetModel):
    """An ImageNet network; `load` makes one.

    Parameters
    ----------
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

    pooling: str = "avg"
    flip: bool = False

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
        weights = parameters(self.java_network) | {"whitened_W": W, "whitened_b": b}
        other = PretrainedNetwork(**self.get_params())
        other._build(find_architecture(self.architecture), weights, self.input_, whitened=size)
        return other

    def _build(
        self, table: Architecture, weights: Weights, shape: InputShape, *, whitened: int = 0
    ) -> None:
        rows = [
            *table.rows,
            *(dense_on_unit_vector(whitened, name="whitened") if whitened else ()),
            Row(POOLINGS[self.pooling], (table.features,)),
            table.head,
            Row(
                Loss(name="probabilities", loss="categorical_cross_entropy", activation="softmax"),
                (table.head.name,),
            ),
        ]
        outputs = ["probabilities", "whitened"] if whitened else ["probabilities"]
        network = JavaGraph.create(graph_settings(rows, outputs, shape))
        fill(network, weights)
        self._adopt(network, shape, table.preprocessing, "whitened" if whitened else "pooled")
        self.history_ = {}

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


def load(
    name: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    *,
    pooling: str = "avg",
    flip: bool = False,
) -> PretrainedNetwork:
    """Return a network with its published weights for ImageNet.

    Parameters
    ----------
    name : str, optional
        One of `ARCHITECTURES`; by default `best_available`, and the result's ``architecture``
        says which that was.
    weights : path, optional
        The network's checkpoint. Without it the file is looked for at ``PYIMGRET_WEIGHTS``, in
        the caches of pyimgret and torch and in installed packages, and otherwise downloaded.
    pooling : {"avg", "gem", "max"}
        How the last map becomes the embedding.
    flip : bool
        Whether to average with the mirror image.

    Raises
    ------
    InvalidArgumentError
        For an unknown name or pooling.
    WeightsNotFoundError, ModelFormatError
    """
    table = find_architecture(best_available() if name is None else name)
    if pooling not in POOLINGS:
        raise InvalidArgumentError(f"unknown pooling {pooling!r}; known: {', '.join(POOLINGS)}.")
    path = find_weights(table.published, weights)
    shape = InputShape("convolutional", table.preprocessing.height, table.preprocessing.width, 3)
    network = PretrainedNetwork(table.name, pooling=pooling, flip=flip)
    try:
        network._build(table, convert(table, read_checkpoint(path), path), shape)
    except DimensionMismatchError as error:
        raise ModelFormatError(f"{path} is no checkpoint of {table.name}: {error}") from error
    return network


def mobilenet_v2(
    weights: str | os.PathLike[str] | None = None, *, pooling: str = "avg", flip: bool = False
) -> PretrainedNetwork:
    """Return MobileNetV2 with torchvision's weights: ``load("mobilenet_v2", ...)``."""
    return load(MOBILENET_V2.name, weights, pooling=pooling, flip=flip)


def dense_on_unit_vector(size: int, *, name: str, activation: str = "identity") -> list[Row]:
    """Return a layer on the embedding at length 1."""
    return [
        Row(L2Normalize(name="normalised"), ("pooled",)),
        Row(Dense(size, name=name, activation=activation), ("normalised",)),
    ]


def graph_settings(
    rows: Sequence[Row],
    outputs: Sequence[str],
    shape: InputShape,
    *,
    given: str = "input",
    optimizer: Mapping[str, Any] = UNTRAINED,
) -> dict[str, Any]:
    """Return the settings of a graph of rows, for `JavaGraph.create`.

    Parameters
    ----------
    rows : sequence of Row
    outputs : sequence of str
        Vertices.
    shape : InputShape
        What the graph takes.
    given : str
        The vertex, not among the rows, whose maps the graph takes.
    optimizer : dict
        How it is to be trained.
    """
    vertices = [
        row.layer.to_dict()
        | {"inputs": ["input" if name == given else name for name in row.inputs]}
        for row in rows
    ]
    return {
        "seed": 0,
        "updater": optimizer,
        "input": shape.to_network(),
        "vertices": vertices,
        "outputs": outputs,
    }


def parameters(network: JavaNetwork) -> Weights:
    """Return a graph's weights by their names."""
    layers = network.describe()["layers"]
    return {key: network.get(key) for layer in layers for key in layer["parameters"]}


def fill(network: JavaNetwork, weights: Weights) -> None:
    """Set the parameters that are named; others stay."""
    for layer in network.describe()["layers"]:
        for key in layer["parameters"]:
            if key in weights:
                network.set(key, weights[key])


def convert(table: Architecture, tensors: Tensors, path: Path) -> Weights:
    """Return a checkpoint's tensors as the graph's parameters, by the graph's names.

    Raises
    ------
    ModelFormatError
        When the checkpoint is another network's.
    """
    # NB: a deeper network of the family may have all that this one needs, and more.
    known = {
        prefix for row in (*table.rows, table.head) for prefix in (row.weights, row.normalisation)
    }
    found = {key.rpartition(".")[0] for key in tensors if not key.startswith(_TRAINING_ONLY)}
    if more := sorted(found - known):
        raise ModelFormatError(f"{path} is no checkpoint of {table.name}: it has {more[0]} too.")
    converted = {}
    try:
        for row in (*table.rows, table.head):
            if row.weights:
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
