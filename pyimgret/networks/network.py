"""A network of any layers, trained by backpropagation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import InvalidArgumentError
from pyimgret.layers import Layer
from pyimgret.networks._checkpoints import Checkpoints, TrainingCheckpoint, fingerprint
from pyimgret.networks._estimator import seed_of
from pyimgret.networks._input import InputShape, NetworkInput, as_input, preprocessor_for
from pyimgret.networks._java import JavaNetwork
from pyimgret.networks._parameters import from_json, to_json
from pyimgret.networks._schedules import table
from pyimgret.networks._training import History, Targets, TrainingSettings, train
from pyimgret.networks.base import Images, Model
from pyimgret.preprocessing import Preprocessor

UPDATERS = frozenset(
    {
        "adadelta",
        "adagrad",
        "adam",
        "adamax",
        "amsgrad",
        "nadam",
        "nesterovs",
        "rmsprop",
        "sgd",
    }
)
INPUTS = ("dense", "convolutional", "recurrent")


class TrainableModel(Model):
    """A model whose layers are trained by backpropagation.

    A kind says what its layers are; everything else is here.
    """

    updater: str
    learning_rate: float
    schedule: str
    batch_size: int
    epochs: int
    patience: int | None
    preprocessing: Preprocessor | None
    random_state: int | None
    verbose: bool | None

    checkpoint: str | os.PathLike[str] | None

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        raise NotImplementedError

    def _code_layer(self) -> int | str:
        return "code"

    def _input_kind(self) -> str:
        return "dense"

    def _corruption(self) -> dict[str, Any] | None:
        return None

    def fit(
        self,
        X: Images,
        y: object = None,
        *,
        X_val: Images = None,
        y_val: object = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : images
            As `encode` takes them; uint8 pictures bring their preprocessing with them.
        y : array, optional
            Classes (n,) or target vectors (n, size), for a network with such an output.
        X_val, y_val : optional
            To judge by after every epoch, and to end early by when ``patience`` is set.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For settings or data that make no sense.
        TrainingError
            When the loss is no longer finite; the last checkpoint stays.
        ModelFormatError
            When ``checkpoint`` belongs to a run with other settings or data.
        KeyboardInterrupt
            After Ctrl-C; the model is usable, as of the last whole iteration.
        """
        self._check_settings()
        preprocessor = self.preprocessing or preprocessor_for(X)
        data = as_input(X, preprocessor, None, kind=self._input_kind())
        targets = self._targets(y, len(data), first=True)
        validation = self._validation(X_val, y_val, preprocessor, data.shape)
        seed = seed_of(self.random_state)
        settings = self._settings(data, targets, seed)
        training = self._training(seed)
        kept = self._kept(settings, training, (data, targets), validation)
        network = JavaNetwork.create(settings)
        self._initialise(network)
        self._adopt(network, data.shape, preprocessor, self._code_layer())
        history = History()
        try:
            train(network, data, targets, training, validation, kept, history)
        finally:
            self.history_ = history.to_dict()
        return self

    def _initialise(self, network: JavaNetwork) -> None:
        """Change the weights that training starts from; here they stay as drawn."""

    def _check_settings(self) -> None:
        for name in ("batch_size", "epochs"):
            if getattr(self, name) < 1:
                raise InvalidArgumentError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.learning_rate <= 0:
            raise InvalidArgumentError(f"learning_rate must be above 0, got {self.learning_rate}.")
        if self.updater not in UPDATERS:
            raise InvalidArgumentError(
                f"unknown updater {self.updater!r}; known: {', '.join(sorted(UPDATERS))}."
            )
        if self.checkpoint is not None and self.random_state is None:
            raise InvalidArgumentError(
                "checkpoint needs a random_state: a run that goes on must draw what it would have."
            )

    def _settings(self, data: NetworkInput, targets: Targets, seed: int) -> dict[str, Any]:
        iterations = -(-len(data) // self.batch_size) * self.epochs
        updater: dict[str, Any] = {"type": self.updater, "learning_rate": self.learning_rate}
        schedule = table(self.schedule, self.learning_rate, iterations)
        if schedule is not None:
            updater["schedule"] = schedule
        layers = self._layers(data.shape, targets, data)
        return {
            "seed": seed, "updater": updater, "input": data.shape.to_network(),
            "layers": [layer.to_dict() for layer in layers],
        }  # fmt: skip

    def _training(self, seed: int) -> TrainingSettings:
        return TrainingSettings(
            batch_size=self.batch_size, epochs=self.epochs, seed=seed, patience=self.patience,
            corruption=self._corruption(), verbose=self.verbose,
        )  # fmt: skip

    def _kept(
        self,
        settings: dict[str, Any],
        training: TrainingSettings,
        data: tuple[NetworkInput, Targets],
        validation: tuple[NetworkInput, Targets] | None,
    ) -> TrainingCheckpoint | None:
        """Return where the run is kept."""
        if self.checkpoint is None:
            return None
        decisive = settings | {"training": vars(training) | {"verbose": None}}
        arrays = [
            p if isinstance(p, NetworkInput) else p.values for p in (*data, *(validation or ()))
        ]
        return TrainingCheckpoint(
            Checkpoints(Path(self.checkpoint), fingerprint(decisive, *arrays))
        )

    def _targets(self, y: object, count: int, *, first: bool) -> Targets:
        """Return what is to be answered; ``first`` when it is what training learns from."""
        del y, count, first
        return Targets()

    def _validation(
        self, X_val: Images, y_val: object, preprocessor: Preprocessor | None, shape: InputShape
    ) -> tuple[NetworkInput, Targets] | None:
        if X_val is None:
            if self.patience is not None:
                raise InvalidArgumentError(
                    "patience needs X_val: what is early stopping to be judged by?"
                )
            return None
        data = as_input(X_val, preprocessor, shape)
        return data, self._targets(y_val, len(data), first=False)


class Network(TrainableModel):
    """A network of the layers that you list.

    Parameters
    ----------
    layers : sequence of Layer
        The last one is an `Output`, a `Loss` or a `ConvolutionLoss`.
    input : str
        "dense" (a picture is a vector), "convolutional", or "recurrent" (a picture is a
        sequence of its lines).
    code_layer : int or str
        Whose output is the code; by default the one before the last.
    updater : str
        One of `UPDATERS`.
    learning_rate : float
        The rate, or the top of the schedule.
    schedule : str
        "constant", "one_cycle", "cosine" or "linear".
    batch_size, epochs : int
        Images an iteration; rounds through the data.
    patience : int or None
        Ends training after so many epochs without a better validation loss, and goes back to
        the best.
    checkpoint : path or None
        A folder that keeps the state after every epoch: a run that was killed goes on from
        there when it is started again with the same settings and data, and ends with the same
        bits as one that was not (on the same machine with as many threads).
    preprocessing : Preprocessor or None
        How pictures become input; uint8 arrays imply their own.
    random_state : int or None
        Makes a run repeatable.
    verbose : bool or None
        Progress bar: yes, no, or on a terminal.

    Attributes
    ----------
    classes_ : ndarray
        The classes, when ``y`` held classes.

    Examples
    --------
    >>> from pyimgret.layers import Dense, Output
    >>> net = Network([Dense(32, activation="relu"), Output(784, activation="sigmoid")])
    >>> net.epochs
    10
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        input: str = "dense",  # noqa: A002
        code_layer: int | str = -2,
        updater: str = "adam",
        learning_rate: float = 1e-3,
        schedule: str = "constant",
        batch_size: int = 128,
        epochs: int = 10,
        patience: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        preprocessing: Preprocessor | None = None,
        random_state: int | None = None,
        verbose: bool | None = None,
    ) -> None:
        self.layers = layers
        self.input = input
        self.code_layer = code_layer
        self.updater = updater
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.checkpoint = checkpoint
        self.preprocessing = preprocessing
        self.random_state = random_state
        self.verbose = verbose

    def predict(self, X: Images, *, batch_size: int = 256) -> NDArray[Any]:
        """Return the most probable class of each image, or the output of a network without."""
        out = self.activate(X, self.last_layer, batch_size=batch_size)
        classes = getattr(self, "classes_", None)
        return out if classes is None else np.asarray(classes)[out.argmax(axis=1)]

    def score(self, X: Images, y: object) -> float:
        """Return the part of the images whose class is found."""
        return float(np.mean(self.predict(X) == np.asarray(y)))

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        del shape, targets, data
        return self._checked_layers()

    def _checked_layers(self) -> list[Layer]:
        if self.layers is None:
            raise ValueError(
                "layers is None: pyimgret 0.1 wrote the file of this network, and did not keep "
                "them. To train it anew give them by set_params(layers=[...])."
            )
        layers = list(self.layers)
        if len(layers) < 2 or not all(isinstance(layer, Layer) for layer in layers):
            raise InvalidArgumentError("layers must list at least two layers of pyimgret.layers.")
        return layers

    def _code_layer(self) -> int | str:
        return self.code_layer

    def _input_kind(self) -> str:
        if self.input not in INPUTS:
            raise InvalidArgumentError(f"unknown input {self.input!r}; known: {', '.join(INPUTS)}.")
        return self.input

    def _targets(self, y: object, count: int, *, first: bool) -> Targets:
        if y is None:
            return Targets()
        values = np.asarray(y)
        if len(values) != count:
            raise InvalidArgumentError(f"y holds {len(values)} targets for {count} images.")
        if values.ndim == 1:
            return self._class_targets(values, first=first)
        return Targets("vectors", np.ascontiguousarray(values, dtype=np.float32))

    def _class_targets(self, y: NDArray[Any], *, first: bool) -> Targets:
        if first:
            self.classes_ = np.unique(y)
        numbers = np.searchsorted(self.classes_, y)
        known = self.classes_[np.minimum(numbers, len(self.classes_) - 1)] == y
        if not known.all():
            raise InvalidArgumentError(
                f"y holds classes that training does not know: {set(y[~known])}."
            )
        return Targets("classes", numbers.astype(np.int32), len(self.classes_))

    def _state(self) -> dict[str, Any]:
        state = {"target_shape": to_json(getattr(self, "_target_shape", None))}
        if hasattr(self, "classes_"):
            state["classes"] = to_json(self.classes_)
        return state

    def _restore_state(self, state: dict[str, Any]) -> None:
        self._target_shape = from_json(state.get("target_shape"))
        if "classes" in state:
            # NB: files of version 0.1 hold a plain list.
            self.classes_ = np.asarray(from_json(state["classes"]))
