"""A network of any layers, trained by backpropagation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import ClassifierTags

from pyimgret.base import RandomState, seed_of, with_settings
from pyimgret.choices import check_numbers, choose, names
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.jvm.network import JavaNetwork
from pyimgret.layers import Layer
from pyimgret.models.base import Model
from pyimgret.models.parameters import from_json, to_json
from pyimgret.preprocessing import Preprocessor
from pyimgret.preprocessing.inputs import Images, as_input, preprocessor_for
from pyimgret.training import History, Targets, TrainingSettings
from pyimgret.training.checkpoints import Checkpoints, TrainingCheckpoint, fingerprint
from pyimgret.training.loop import train
from pyimgret.training.schedules import table
from pyimgret.training.targets import CLASS_LOSSES, REGRESSION_LOSSES, check_targets, make_targets

OPTIMIZERS = names("adadelta adagrad adam adamax amsgrad nadam nesterovs rmsprop sgd")
INPUTS = names("dense convolutional recurrent")


@with_settings
class TrainableModel(Model, abstract=True):
    """A model whose layers are trained by backpropagation.

    A kind says what its layers are; everything else is here.

    Parameters
    ----------
    optimizer : str
        One of `OPTIMIZERS`.
    learning_rate : float
        The rate, or the top of the schedule.
    schedule : str
        "constant", "one_cycle", "cosine" or "linear".
    batch_size : int
        Images in a training step.
    epochs : int
        Passes over the data.
    patience : int or None
        Ends training after so many epochs without a better validation loss, and goes back to
        the best parameters.
    checkpoint : path or None
        A folder that keeps the state after every epoch: a run that was killed resumes when it
        is started again with the same settings and data, and gives a bit-identical result (on
        the same machine with as many threads).
    preprocessing : Preprocessor or None
        How images become input; uint8 arrays imply their own.
    random_state : int, Generator, RandomState or None
        Makes a run repeatable.
    verbose : bool or None
        Progress bar: yes, no, or on a terminal.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "one_cycle"
    batch_size: int = 128
    epochs: int = 10
    patience: int | None = None
    checkpoint: str | os.PathLike[str] | None = None
    preprocessing: Preprocessor | None = None
    random_state: RandomState = None
    verbose: bool | None = None

    _any_scale = False

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        raise NotImplementedError

    def _code_layer(self) -> int | str:
        return "code"

    def _input_kind(self) -> str:
        return "dense"

    def _corruption(self) -> dict[str, Any] | None:
        return None

    def fit(
        self, X: Images, y: object = None, *, X_val: Images = None, y_val: object = None
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : images
            As `encode` takes them; uint8 images bring their preprocessing with them.
        y : array, optional
            Classes (n,) or target vectors (n, size), for a network with such an output. Floats
            (n,) are targets where the loss is a regression's, and so are any numbers where the
            network has a single output. Without it the network learns to give its input back.
        X_val, y_val : optional
            For the loss after every epoch, by which ``patience`` ends training early.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For settings or data that make no sense, or values far outside of what networks take.
        DimensionMismatchError
            For targets that do not fit the last layer.
        TrainingError
            When the loss is no longer finite; the last checkpoint stays.
        ModelFormatError
            When ``checkpoint`` belongs to a run with other settings or data.
        KeyboardInterrupt
            After Ctrl-C; the model is usable, as of the last whole iteration.
        """
        self._check_settings()
        self._check_target(y, "y")
        data, preprocessor = self._input(X)
        targets = self._targets(y, len(data))
        validation = self._validation(X_val, y_val, preprocessor, data.shape, targets)
        seed = seed_of(self.random_state)
        settings = self._settings(data, targets, seed)
        network = JavaNetwork.create(settings)
        check_targets(network, settings["layers"], data, targets)
        if validation is not None:
            check_targets(network, settings["layers"], *validation, validation=True)
        training = self._training(seed)
        checkpoint = None
        if self.checkpoint is not None:
            decisive = settings | {"training": vars(training) | {"verbose": None}}
            parts = (data, targets, *(validation or ()))
            arrays = [part.values if isinstance(part, Targets) else part for part in parts]
            store = Checkpoints(Path(self.checkpoint), fingerprint(decisive, *arrays))
            checkpoint = TrainingCheckpoint(store)
        self._initialise(network)
        self._adopt(network, data.shape, preprocessor, self._code_layer())
        self._adopt_targets(targets)
        self.history_ = {}
        self._train(data, targets, training, validation, checkpoint)
        return self

    def _input(self, X: Images) -> tuple[NetworkInput, Preprocessor | None]:
        """Return images or vectors to learn from, and how images become input."""
        X = self._checked(X, reset=True)
        preprocessor = self.preprocessing or preprocessor_for(X)
        return as_input(X, preprocessor, None, kind=self._input_kind()), preprocessor

    def _train(
        self,
        data: NetworkInput,
        targets: Targets,
        training: TrainingSettings,
        validation: tuple[NetworkInput, Targets] | None,
        checkpoint: TrainingCheckpoint | None,
    ) -> None:
        """Train the learned network; what happened is added to the history, even after Ctrl-C."""
        history: History = {}
        try:
            train(self._network, data, targets, training, validation, checkpoint, history)
        finally:
            self.history_ |= history

    def _initialise(self, network: JavaNetwork) -> None:
        """Change the weights that training starts from; here they stay as drawn."""

    def _check_settings(self) -> None:
        check_numbers(self, "batch_size", "epochs", least=1, whole=True)
        check_numbers(self, "learning_rate", above=0)
        choose("optimizer", self.optimizer, OPTIMIZERS)
        if self.checkpoint is not None and self.random_state is None:
            raise InvalidArgumentError(
                "checkpoint needs a random_state: a run that goes on must draw what it would have."
            )

    def _settings(self, data: NetworkInput, targets: Targets, seed: int) -> dict[str, Any]:
        iterations = -(-len(data) // self.batch_size) * self.epochs
        updater: dict[str, Any] = {"type": self.optimizer, "learning_rate": self.learning_rate}
        schedule = table(self.schedule, self.learning_rate, iterations)
        if schedule is not None:
            updater["schedule"] = schedule
        return {
            "seed": seed,
            "updater": updater,
            "input": data.shape.to_network(),
            "layers": [layer.to_dict() for layer in self._layers(data.shape, targets, data)],
        }

    def _training(self, seed: int) -> TrainingSettings:
        return TrainingSettings(
            self.batch_size, self.epochs, seed, self._corruption(), self.patience, self.verbose
        )

    def _check_target(self, y: object, name: str) -> None:
        """Refuse a missing target where one is required."""
        if y is None and self.__sklearn_tags__().target_tags.required:
            raise InvalidArgumentError(
                f"{type(self).__name__} learns classes and requires {name} to be passed, but the "
                f"target {name} is None; give {name}, one class for each image."
            )

    def _targets(self, y: object, count: int, like: Targets | None = None) -> Targets:
        """Return what the network is to give; ``like`` what training learns, for validation."""
        del y, count, like
        return Targets()

    def _adopt_targets(self, targets: Targets) -> None:
        """Keep what the learned outputs mean; here they are the input."""

    def _validation(
        self,
        X_val: Images,
        y_val: object,
        preprocessor: Preprocessor | None,
        shape: InputShape,
        learned: Targets,
    ) -> tuple[NetworkInput, Targets] | None:
        if X_val is None:
            if self.patience is not None:
                raise InvalidArgumentError(
                    "patience needs X_val: early stopping compares its losses."
                )
            if y_val is not None:
                raise InvalidArgumentError("y_val is given, but not the images X_val of it.")
            return None
        data = as_input(X_val, preprocessor, shape)
        return data, self._targets(y_val, len(data), learned)


class Predictor(TrainableModel, abstract=True):
    """A model that learns classes or other targets, beside its code.

    Attributes
    ----------
    classes_ : ndarray
        The classes, when ``y`` held classes.
    """

    classes_: NDArray[Any]

    def predict(self, X: Images, *, batch_size: int = 256) -> NDArray[Any]:
        """Return the most probable class of each image, or outputs in the shape of the targets."""
        out = self.activate(X, self.last_layer, batch_size=batch_size)
        classes = getattr(self, "classes_", None)
        if classes is not None:
            found: NDArray[Any] = classes[out.argmax(axis=1)]
            return found
        shape = getattr(self, "_target_shape", None)
        return out if shape is None else out.reshape(len(out), *shape)

    def _adopt_targets(self, targets: Targets) -> None:
        self._target_shape = targets.shape
        if targets.labels is not None:
            self.classes_ = targets.labels
        elif hasattr(self, "classes_"):
            del self.classes_

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


@with_settings
class Network(Predictor):
    """A network of the layers that you list.

    Parameters
    ----------
    layers : sequence of Layer
        The last one is an `Output`, a `Loss` or a `ConvolutionLoss`.
    input : str
        "dense" (an image is a vector), "convolutional", or "recurrent" (an image is a
        sequence of its lines).
    code_layer : int or str
        Whose output is the code; by default the one before the last.

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

    layers: Sequence[Layer] = field(kw_only=False)
    input: str = "dense"
    code_layer: int | str = -2
    schedule: str = "constant"

    def score(self, X: Images, y: object = None) -> float:
        """Return the accuracy for classes, and R² for a regression, as scikit-learn does.

        Parameters
        ----------
        X : images
        y : array
            Classes (n,), or targets as training had them.

        Raises
        ------
        ValueError
            Without ``y``, and for a network that learned neither.
        """
        from sklearn.metrics import accuracy_score, r2_score

        self._check_fitted()
        if y is None:
            raise InvalidArgumentError("score compares predict(X) with y; give y.")
        if hasattr(self, "classes_"):
            return float(accuracy_score(y, self.predict(X)))
        loss = getattr(self.layers[-1], "loss", None) if self.layers else None
        if getattr(self, "_target_shape", None) is None or loss not in REGRESSION_LOSSES:
            raise InvalidArgumentError(
                "Only a network that learned classes, or targets by one of the losses "
                f"{', '.join(sorted(REGRESSION_LOSSES))}, has a score. Compare predict(X), or "
                "reconstruct(X) where it learned to give its input back, by a measure of your own."
            )
        truth, predicted = np.asarray(y), self.predict(X)
        return float(r2_score(truth.reshape(len(truth), -1), predicted.reshape(len(predicted), -1)))

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        del shape, targets, data
        return self._checked_layers()

    def _checked_layers(self) -> list[Layer]:
        if self.layers is None:
            raise InvalidArgumentError(
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
        return choose("input", self.input, INPUTS)

    def _targets(self, y: object, count: int, like: Targets | None = None) -> Targets:
        return make_targets(y, count, self._checked_layers(), like)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.layers and getattr(self.layers[-1], "loss", None) in CLASS_LOSSES:
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags
