"""Convolutional networks that are trained here: with labels, without, and by lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import column_or_1d

from pyimgret.base import with_settings
from pyimgret.choices import choose
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.jvm.network import JavaNetwork
from pyimgret.layers import (
    LSTM,
    BatchNormalization,
    Convolution2D,
    Dense,
    Dropout,
    Layer,
    Output,
    Pooling2D,
)
from pyimgret.models.network import Predictor
from pyimgret.preprocessing.inputs import Images
from pyimgret.training import Targets
from pyimgret.training.targets import class_targets

HEADS = frozenset({"centres", "softmax"})
#: How much a cosine of 1 weighs in the softmax of the head "centres".
_SCALE = 16.0


@with_settings
class Classifier(ClassifierMixin, Predictor, abstract=True):  # type: ignore[misc]
    """What networks that learn classes have in common: the code, the head, binary codes.

    Parameters
    ----------
    code_size : int
        Units of the code.
    head : {"softmax", "centres"}
        The last layer: learned, or the fixed centres of the classes.
    class_weight : dict, optional
        Class to weight in the loss; 1 for those not named.
    """

    code_size: int = 32
    head: str = "softmax"
    class_weight: dict[Any, float] | None = None

    def encode(
        self,
        X: Images,
        *,
        layer: int | str | None = None,
        bits: bool = False,
        batch_size: int = 256,
    ) -> NDArray[Any]:
        """Return the codes of images.

        Parameters
        ----------
        X : images
        layer : int or str, optional
            Another layer than the code, by index or name.
        bits : bool
            Whether to keep the signs alone, eight in a byte: uint8 (n, ceil(size / 8)), to be
            compared by Hamming distance.
        batch_size : int
            Images at a time.
        """
        chosen = self.trained.code_layer if layer is None else layer
        codes = self.activate(X, chosen, batch_size=batch_size)
        return np.packbits(codes > 0, axis=1) if bits else codes

    def predict_proba(self, X: Images, *, batch_size: int = 256) -> NDArray[np.float32]:
        """Return the probabilities of the classes, (n, classes)."""
        return self.activate(X, self.last_layer, batch_size=batch_size)

    def _targets(self, y: object, count: int, like: Targets | None = None) -> Targets:
        self._check_target(y, "y" if like is None else "y_val")
        labels = np.asarray(y)
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = column_or_1d(labels, warn=True)
        if labels.ndim != 1:
            raise InvalidArgumentError(
                f"{type(self).__name__} learns one class for each image: expected targets of the "
                f"shape ({count},), got {labels.shape}."
            )
        return class_targets(labels, count, like)

    def _head(self, targets: Targets) -> list[Layer]:
        fixed = choose("head", self.head, HEADS) == "centres"
        output = Output(
            targets.classes,
            "categorical_cross_entropy",
            "softmax",
            name="classes",
            bias=not fixed,
            frozen=fixed,
            class_weights=self._class_weights(targets),
        )
        return [Dense(self.code_size, name="code", activation="tanh"), output]

    def _class_weights(self, targets: Targets) -> tuple[float, ...] | None:
        if self.class_weight is None or targets.labels is None:
            return None
        classes = targets.labels.tolist()
        unknown = set(self.class_weight) - set(classes)
        if unknown:
            raise InvalidArgumentError(
                f"class_weight names classes that y does not have: {unknown}."
            )
        return tuple(float(self.class_weight.get(c, 1.0)) for c in classes)

    def _initialise(self, network: JavaNetwork) -> None:
        if self.head == "centres":
            last = f"{len(network.describe()['layers']) - 1}_W"
            size, classes = network.shape(last)
            network.set(last, centres(classes, size).T * (_SCALE / size))


@with_settings
class ConvNet(Classifier):
    """A convolutional network that learns classes; its code is the embedding.

    Convolutions and pooling, one dense layer, a code between -1 and 1, and a head. With the
    head "softmax" the last layer is learned. With "centres", each class has a fixed centre of
    +1 and -1 (rows of a Hadamard matrix, as far apart as can be), and training turns the codes
    to the centres of their classes by a softmax over scaled cosines. On MNIST the learned layer
    retrieved a little better, by codes and by their signs.

    Parameters
    ----------
    channels : sequence of int
        Channels of the blocks; each block halves the image.
    dense_size : int
        Units of the dense layer.
    kernel_size : int
        Of the convolutions, in pixels.
    mode : {"truncate", "same"}
        Whether convolutions stay inside the image, or keep its size.
    convolutions : int
        In a block.
    batch_normalization : bool
        After each convolution (Ioffe and Szegedy 2015).
    dropout : float
        Part of the dense layer's output left out in training.
    shift, rotation, zoom : float
        Augmentation: up to so many pixels, degrees, and part of the size (a crop, or its
        opposite), drawn anew each time an image is learned.
    flip : bool
        Mirror half of the images.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document
    recognition. Yuan et al. (2020), Central similarity quantization for efficient image and
    video retrieval. Wang et al. (2017), NormFace: L2 hypersphere embedding.

    Examples
    --------
    >>> ConvNet(channels=(32, 64), kernel_size=3, convolutions=2)
    ConvNet(channels=(32, 64), convolutions=2, kernel_size=3)
    """

    channels: Sequence[int] = field(default=(20, 50), kw_only=False)
    dense_size: int = 500
    kernel_size: int = 5
    mode: str = "truncate"
    convolutions: int = 1
    batch_normalization: bool = False
    dropout: float = 0.5
    shift: float = 0.0
    rotation: float = 0.0
    zoom: float = 0.0
    flip: bool = False
    learning_rate: float = 2e-3

    def _input_kind(self) -> str:
        return "convolutional"

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        del data
        self._check_size(min(shape.height, shape.width))
        layers: list[Layer] = []
        for n_out in self.channels:
            for _ in range(self.convolutions):
                layers += self._convolution(n_out)
            layers.append(Pooling2D())
        layers.append(Dense(self.dense_size, activation="relu", weight_init="relu"))
        if self.dropout:
            layers.append(Dropout(self.dropout))
        return layers + self._head(targets)

    def _check_size(self, side: int) -> None:
        lost = 0 if self.mode == "same" else (self.kernel_size - 1) * self.convolutions
        left = side
        for _ in self.channels:
            left = (left - lost) // 2
            if left < 1:
                raise InvalidArgumentError(
                    f"{len(self.channels)} blocks leave nothing of images with {side} pixels; "
                    'use fewer channels, smaller kernels, or mode="same".'
                )

    def _convolution(self, n_out: int) -> list[Layer]:
        convolution = Convolution2D(
            n_out, kernel_size=self.kernel_size, mode=self.mode, activation="relu"
        )
        return [convolution, BatchNormalization()] if self.batch_normalization else [convolution]

    def _corruption(self) -> dict[str, Any] | None:
        changes = {n: getattr(self, n) for n in ("shift", "rotation", "zoom", "flip")}
        return changes if any(changes.values()) else None


@with_settings
class RowNet(Classifier):
    """A recurrent network that reads an image line by line, and learns classes.

    An LSTM goes down the image; what it holds at the last line becomes the code. Fixed centres
    are the default here: in few epochs they taught it more than a learned last layer did.

    Parameters
    ----------
    hidden_size : int
        Units of the LSTM.

    References
    ----------
    Hochreiter and Schmidhuber (1997), Long short-term memory.

    Examples
    --------
    >>> RowNet(hidden_size=64)
    RowNet(hidden_size=64)
    """

    hidden_size: int = field(default=128, kw_only=False)
    head: str = "centres"
    learning_rate: float = 5e-3

    def _input_kind(self) -> str:
        return "recurrent"

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        del shape, data
        return [LSTM(self.hidden_size), *self._head(targets)]


def centres(classes: int, size: int) -> NDArray[np.float32]:
    """Return +1 and -1, one row a class.

    Rows of a Hadamard matrix (Sylvester 1867) where ``size`` is a power of two that has enough
    of them: any two differ in half of their places. Else random rows, which nearly do.

    Examples
    --------
    >>> centres(3, 4).astype(int).tolist()
    [[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
    """
    if size & (size - 1) or classes >= size:
        random = np.random.default_rng(size)
        return random.choice(np.array([-1, 1], dtype=np.float32), (classes, size))
    hadamard = np.ones((1, 1), dtype=np.float32)
    while len(hadamard) < size:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    # NB: the first row is all ones, and its bits would tell nothing.
    return hadamard[1 : classes + 1].copy()
