"""What every trained model has: a network in Java, a code layer, and a file it fits into."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from pyimgret.base import Estimator
from pyimgret.exceptions import DimensionMismatchError, NotFittedError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.jvm.network import JavaNetwork
from pyimgret.models.parameters import from_json, to_json
from pyimgret.preprocessing import Preprocessor
from pyimgret.preprocessing.inputs import Images
from pyimgret.trained import FORMAT, TrainedNetwork
from pyimgret.version import __version__

#: Settings in the files of pyimgret 0.1 that have another name today.
RENAMED = {"updater": "optimizer"}


class Model(Estimator):
    """A network that encodes.

    Attributes
    ----------
    embedding_size_ : int
        Length of a code.
    code_layer_ : int
        The layer whose output is the code.
    preprocessor_ : Preprocessor or None
        How images become input; None for a model of vectors.
    input_ : InputShape
        What the network takes.
    history_ : dict of str to list of float
        What happened in training, epoch by epoch.
    """

    #: Kinds of model by the name that their file keeps.
    kinds: ClassVar[dict[str, type[Model]]] = {}
    #: Whether float vectors of any size make sense, as they do for a linear map.
    _any_scale: ClassVar[bool] = True

    embedding_size_: int
    code_layer_: int
    preprocessor_: Preprocessor | None
    input_: InputShape
    history_: dict[str, list[float]]
    _network: JavaNetwork
    _trained: TrainedNetwork

    def __init_subclass__(cls, *, abstract: bool = False, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if not abstract:
            Model.kinds[cls.__name__] = cls

    @property
    def trained(self) -> TrainedNetwork:
        """The network and what it takes."""
        self._check_fitted()
        return self._trained

    @property
    def java_network(self) -> JavaNetwork:
        """The network in Java; see "Script Deeplearning4j" in pyimgret/README.md."""
        return self.trained.java_network

    @property
    def preprocessor(self) -> Preprocessor | None:
        """How images become input."""
        return self.trained.preprocessor

    @property
    def embedding_size(self) -> int:
        """Length of a code."""
        return self.trained.embedding_size

    @property
    def last_layer(self) -> int:
        """Index of the output layer."""
        return self.trained.layer_index(-1)

    def encode(self, X: Images, *, batch_size: int = 256) -> NDArray[np.float32]:
        """Return the codes of images, (n, embedding_size), as the code layer gives them.

        `Encoder` makes unit vectors of them, which is what cosine similarity wants.

        Parameters
        ----------
        X : images
            uint8 (n, h, w) or (n, h, w, 3); float arrays that are scaled already; vectors
            (n, features); or a list of paths, bytes and PIL images.

        Raises
        ------
        NotFittedError, DimensionMismatchError, ImageDecodeError
        """
        return self.trained.activate(self._checked_input(X), self.code_layer_, batch_size)

    def transform(self, X: Images) -> NDArray[np.float32]:
        """Return the codes: `encode`, under the name that a Pipeline calls."""
        return self.encode(X)

    def activate(
        self, X: Images, layer: int | str, *, batch_size: int = 256
    ) -> NDArray[np.float32]:
        """Return the output of any layer, by index or name, flattened to (n, values)."""
        index = self._layer_index(layer)
        return self.trained.activate(self._checked_input(X), index, batch_size)

    def reconstruct(self, X: Images, *, batch_size: int = 256) -> NDArray[np.float32]:
        """Return what the network makes of its own code, in the shape of its scaled input.

        Raises
        ------
        DimensionMismatchError
            For a network that gives something else, such as classes.
        """
        data, last = self._checked_input(X), self.last_layer
        if (width := self.trained.width(last)) != data.shape.size:
            raise DimensionMismatchError(
                f"This {type(self).__name__} does not give its input back: images have "
                f"{data.shape.size} values, its last layer gives {width}. An autoencoder, PCA or "
                "SVD reconstructs."
            )
        out = _channels_last(self.trained.activate(data, last, batch_size), data.shape)
        return out.reshape(data.values.shape)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as a Deeplearning4j zip, all of it or nothing.

        Parameters
        ----------
        path : path
            An existing file is replaced at once when the new one is complete.
        """
        self.trained.save(Path(path), self.describe())

    def describe(self) -> dict[str, Any]:
        """Return what ``pyimgret.json`` says of the model.

        Raises
        ------
        TypeError
            When a constructor parameter is nothing that a file can hold.
        """
        return {
            "format": FORMAT,
            "library": f"pyimgret {__version__}",
            "kind": type(self).__name__,
            "network": self.java_network.kind,
            "parameters": {
                name: self._parameter(name, value)
                for name, value in self.get_params(deep=False).items()
            },
            "embedding_size": self.embedding_size_,
            **self.trained.definition(),
            "training": {"history": getattr(self, "history_", {})},
            "scores": getattr(self, "scores_", {}),
            "state": self._state(),
        }

    def _parameter(self, name: str, value: object) -> Any:
        try:
            return to_json(value)
        except TypeError as error:
            raise TypeError(
                f"{type(self).__name__}.{name} cannot be saved: {error} Replace it by "
                f"set_params({name}=...) and save again; the trained network stays as it is."
            ) from error

    def _checked_input(self, X: Images) -> NetworkInput:
        self._check_fitted()
        return self._trained.as_input(self._checked(X, reset=False))

    def _layer_index(self, layer: int | str) -> int:
        return self.trained.layer_index(layer)

    def _check_fitted(self) -> None:
        if not hasattr(self, "_network"):
            raise NotFittedError(
                f"This {type(self).__name__} is not trained; call fit(X), or pyimgret.load(path)."
            )

    def _adopt(
        self,
        network: JavaNetwork,
        shape: InputShape,
        preprocessor: Preprocessor | None,
        code_layer: int | str,
    ) -> None:
        """Take a network as the learned one."""
        self._take(TrainedNetwork(network, shape, preprocessor, code_layer, self._any_scale))

    def _take(self, trained: TrainedNetwork) -> None:
        self._trained, self._network = trained, trained.java_network
        self.input_, self.preprocessor_ = trained.input, trained.preprocessor
        self.code_layer_, self.embedding_size_ = trained.code_layer, trained.embedding_size
        self.n_features_in_ = trained.input.size

    # What a file keeps beside the network; a kind that has more adds to both.

    def _state(self) -> dict[str, Any]:
        return {}

    def _restore_state(self, state: dict[str, Any]) -> None:
        del state

    def _restore_parameters(self, parameters: dict[str, Any]) -> None:
        """Take the constructor's arguments; what an older file does not say is the default."""
        stored = {RENAMED.get(name, name): value for name, value in parameters.items()}
        for name, parameter in inspect.signature(type(self)).parameters.items():
            default = None if parameter.default is parameter.empty else parameter.default
            setattr(self, name, from_json(stored[name]) if name in stored else default)


class Reconstructing(Model, abstract=True):
    """A model that gives its input back."""

    def inverse_transform(self, X: Images, *, batch_size: int = 256) -> NDArray[np.float32]:
        """Return the vectors, or images, that codes stand for: (n, values), scaled as the input.

        Parameters
        ----------
        X : array of shape (n, embedding_size)
            Codes, as `transform` returns them.
        batch_size : int
            Codes that the network sees at a time.
        """
        self._check_fitted()
        codes = check_array(X, dtype=np.float32, order="C", estimator=self, input_name="X")
        if codes.shape[1] != self.embedding_size_:
            raise DimensionMismatchError(
                f"X has {codes.shape[1]} features, but codes of this {type(self).__name__} have "
                f"{self.embedding_size_}."
            )
        out = self._decoded(codes, batch_size)
        return _channels_last(out, self.input_).reshape(len(codes), -1)

    def _code_shape(self) -> InputShape:
        return InputShape("dense", 1, self.embedding_size_)

    def _decoded(self, codes: NDArray[np.float32], batch_size: int) -> NDArray[np.float32]:
        shape = self._code_shape()
        data = NetworkInput(_channels_last(codes, shape), None, shape)
        layers = {"first": self.code_layer_ + 1, "last": self.last_layer}
        width = self.n_features_in_
        return self._network.activate(data, **layers, width=width, batch_size=batch_size)

    def score(self, X: Images, y: object = None) -> float:
        """Return the mean squared error of the reconstruction, negative: larger is better.

        Parameters
        ----------
        X : images
        y : ignored
        """
        del y
        return -float(np.mean((self._checked_input(X).scaled() - self.reconstruct(X)) ** 2))


def _channels_last(values: NDArray[np.float32], shape: InputShape) -> NDArray[np.float32]:
    """Return maps of a network, (n, channels * height * width), in the order of its input."""
    if shape.kind != "convolutional" or shape.channels == 1:
        return values
    maps = values.reshape(len(values), shape.channels, shape.height, shape.width)
    return np.ascontiguousarray(maps.transpose(0, 2, 3, 1))
