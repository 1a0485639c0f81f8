"""An ImageNet network with a head of one's own, and as many of its last blocks as are to learn.

What stays as it was published runs over the images once (`cached_features`).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from pyimgret.base import RandomState, seed_of, with_settings
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.jvm.graph import JavaGraph
from pyimgret.jvm.network import JavaNetwork
from pyimgret.layers import Layer, Output
from pyimgret.models.conv import Classifier
from pyimgret.models.parameters import from_json, to_json
from pyimgret.preprocessing import normalize
from pyimgret.preprocessing.inputs import Images
from pyimgret.pretrained.architecture import FEATURES, Row
from pyimgret.pretrained.features import cached_features
from pyimgret.pretrained.network import (
    POOLINGS,
    UNTRAINED,
    ImageNetModel,
    PretrainedNetwork,
    Weights,
    dense_on_unit_vector,
    fill,
    find_architecture,
    graph_settings,
    parameters,
)
from pyimgret.training import History, Targets, TrainingSettings
from pyimgret.training.checkpoints import Progress, TrainingCheckpoint
from pyimgret.training.loop import train
from pyimgret.training.schedules import table as schedule_table
from pyimgret.training.targets import class_targets

__all__ = ["FineTunedNetwork", "cached_features"]

_HEAD = ("code", "classes")
_TUNING_BATCH = 32


class _LastEpoch(TrainingCheckpoint):
    """The weights of a run after its last whole epoch, in memory."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    def restore(self, network: JavaNetwork) -> Progress | None:
        """Begin anew."""

    def save(self, network: JavaNetwork, progress: Progress) -> None:
        """Keep the weights as they are now."""
        del progress
        self.weights = parameters(network)


@with_settings
class FineTunedNetwork(ClassifierMixin, ImageNetModel):  # type: ignore[misc]
    """A pretrained network whose last layers learned classes of one's own.

    Everything up to ``freeze`` stays as it was published, to the bit. First a code and a layer of
    classes, as `ConvNet` has them, are learned on the pooled features; then, when anything lies
    between ``freeze`` and them, all that comes after ``freeze`` is trained with a small rate. The
    order matters: a head of random weights would spoil the features before it has learned (Kumar
    et al. 2022). Batch normalisations stay folded into the convolutions before them: what is
    trained is these convolutions' weights and biases.

    Parameters
    ----------
    code_size : int
        Length of the new embedding.
    head : {"softmax", "centres"}
        As for `ConvNet`.
    freeze : str
        The last block that stays: "features" (all of them), "block16", … "block1", "stem"; or a
        vertex such as "block17_expand".
    epochs : int
        Passes of the head over the features.
    learning_rate : float
        Of the head.
    tuning_epochs : int
        Passes over the images that train all that comes after ``freeze``.
    tuning_rate : float
        Top of the one-cycle schedule of that training, by Adam.
    random_state : int, Generator, RandomState or None
        Makes a run repeatable.

    Attributes
    ----------
    labels_ : ndarray
        The classes.
    history_ : dict of str to list of float
        "loss" of the head, and "tuning_loss".

    References
    ----------
    Yosinski, Clune, Bengio, Lipson (2014), How transferable are features in deep neural
    networks? Kumar, Raghunathan, Jones, Ma, Liang (2022), Fine-tuning can distort pretrained
    features and underperform out-of-distribution.
    """

    code_size: int = 64
    head: str = "softmax"
    freeze: str = FEATURES
    epochs: int = 40
    learning_rate: float = 3e-3
    tuning_epochs: int = 10
    tuning_rate: float = 1e-4
    random_state: RandomState = None

    @property
    def frozen_layer(self) -> str | None:
        """What `cached_features` is to compute: a vertex, or None for the pooled features.

        Raises
        ------
        ValueError
            When the network cannot be divided at ``freeze``.
        """
        table = find_architecture(self.architecture)
        count = table.rows_up_to(self.freeze)
        return None if count == len(table.rows) else table.rows[count - 1].name

    @property
    def classes_(self) -> list[Any]:
        """The classes that were learned."""
        names: list[Any] = self.labels_.tolist()
        return names

    def fit(self, base: PretrainedNetwork, features: NDArray[np.float32], y: object) -> Self:
        """Learn the head, and what comes after ``freeze``.

        Parameters
        ----------
        base : PretrainedNetwork
            The network that gave the features, with the pooling "avg".
        features : ndarray, shape (n, dimension) or (n, height, width, channels)
            What it gave for the images at `frozen_layer` (`cached_features`).
        y : array, shape (n,)
            Their classes.

        Raises
        ------
        InvalidArgumentError
            For features of another network or layer.
        KeyboardInterrupt
            After Ctrl-C; once the head is learned the model is usable, as of the last epoch.
        """
        if (base.architecture, base.pooling) != (self.architecture, "avg"):
            raise InvalidArgumentError(
                f"the features must be those of {self.architecture} with the pooling 'avg', got "
                f"those of {base.architecture} with {base.pooling!r}."
            )
        targets = class_targets(y, len(features))
        seed = seed_of(self.random_state)
        published = parameters(base.java_network)
        rank = 2 if self.frozen_layer is None else 4
        if features.ndim != rank:
            raise InvalidArgumentError(
                f"freeze={self.freeze!r} wants {'vectors' if rank == 2 else 'maps'}, got features "
                f"of shape {features.shape}; give cached_features(..., layer=frozen_layer)."
            )
        if rank == 2:
            self._assemble(base, targets, published | self._learn_head(features, targets, seed))
        else:
            self._learn_tail(base, published, features, targets, seed)
        return self

    def _assemble(self, base: PretrainedNetwork, targets: Targets, weights: Weights) -> None:
        network = JavaGraph.create(self._settings(base.input_, targets.classes))
        fill(network, weights)
        self._adopt(network, base.input_, base.preprocessor_, "code")
        self.labels_ = np.asarray(targets.labels)

    def _learn_head(self, features: NDArray[np.float32], targets: Targets, seed: int) -> Weights:
        # NB: of mean square 1, which is what the layers' first weights are made for.
        scale = np.float32(np.sqrt(features.shape[1]))
        learned = _Head(
            code_size=self.code_size,
            head=self.head,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            random_state=seed,
        ).fit(normalize(features) * scale, targets.values)
        self.history_ = {"loss": learned.history_["loss"]}
        return learned.weights(scale)

    def _learn_tail(
        self,
        base: PretrainedNetwork,
        published: Weights,
        maps: NDArray[np.float32],
        targets: Targets,
        seed: int,
    ) -> None:
        """Learn the head, then all that comes after the maps."""
        # NB: no copy of what is mapped into memory: it may be larger than the memory.
        values = np.ascontiguousarray(maps, dtype=np.float32)
        data = NetworkInput(values, None, InputShape.of("convolutional", values))
        tail = JavaGraph.create(self._settings(data.shape, targets.classes, tuned=len(maps)))
        fill(tail, published)
        names = [layer["name"] for layer in tail.describe()["layers"]]
        last = names.index("pooled")
        pooled = tail.activate(data, last=last, width=tail.width(data, last), batch_size=256)
        fill(tail, self._learn_head(pooled, targets, seed))
        settings = TrainingSettings(_TUNING_BATCH, self.tuning_epochs, seed, verbose=False)
        epoch = _LastEpoch(parameters(tail))
        self._assemble(base, targets, published | epoch.weights)
        history: History = {}
        try:
            train(tail, data, targets, settings, checkpoint=epoch, history=history)
        finally:
            # NB: not what the network holds now: Java may still be at the step that Ctrl-C ended.
            self.history_["tuning_loss"] = history.get("loss", [])
            fill(self._network, epoch.weights)

    def _settings(self, shape: InputShape, classes: int, *, tuned: int = 0) -> dict[str, Any]:
        """Return the whole graph's settings, or those of its end, to be trained on ``tuned``."""
        table = find_architecture(self.architecture)
        after, optimizer = 0, UNTRAINED
        if tuned:
            after = table.rows_up_to(self.freeze)
            iterations = -(-tuned // _TUNING_BATCH) * self.tuning_epochs
            optimizer = {
                "type": "adam",
                "learning_rate": self.tuning_rate,
                "schedule": schedule_table("one_cycle", self.tuning_rate, iterations),
            }
        learned = self.head == "softmax"
        output = Output(
            classes,
            name="classes",
            loss="categorical_cross_entropy",
            activation="softmax",
            bias=learned,
            frozen=not learned,
        )
        rows = [
            *table.rows[after:],
            Row(POOLINGS["avg"], (table.features,)),
            *dense_on_unit_vector(self.code_size, name="code", activation="tanh"),
            Row(output, ("code",)),
        ]
        given = table.rows[after - 1].name if after else "input"
        return graph_settings(rows, ["classes"], shape, given=given, optimizer=optimizer)

    def predict(self, X: Images) -> NDArray[Any]:
        """Return the most probable class of each image."""
        best: NDArray[Any] = self.labels_[self.activate(X, "classes").argmax(axis=1)]
        return best

    def _state(self) -> dict[str, Any]:
        return {"classes": to_json(self.labels_)}

    def _restore_state(self, state: dict[str, Any]) -> None:
        self.labels_ = np.asarray(from_json(state["classes"]))


@with_settings
class _Head(Classifier, abstract=True):
    """The layers that are learned, on vectors."""

    batch_size: int = 64
    verbose: bool | None = False

    def _input_kind(self) -> str:
        return "dense"

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        del shape, data
        return self._head(targets)

    def weights(self, scale: np.float32) -> Weights:
        """Return what was learned by the graph's names, for vectors of length 1."""
        learned = parameters(self.java_network)
        found = {f"{_HEAD[int(key[0])]}{key[1:]}": values for key, values in learned.items()}
        return found | {"code_W": found["code_W"] * scale}
