"""Autoencoders: networks that learn a short code by giving their input back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from numbers import Integral
from typing import Any

import numpy as np

from pyimgret.base import with_settings
from pyimgret.choices import check_numbers, choose
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.jvm.network import JavaNetwork
from pyimgret.layers import (
    Activation,
    BatchNormalization,
    Convolution2D,
    ConvolutionLoss,
    Dense,
    Layer,
    Output,
    Upsampling2D,
)
from pyimgret.models.base import Reconstructing
from pyimgret.models.network import TrainableModel
from pyimgret.training import Targets

#: Of the usual size, that weights before a batch normalisation start with.
SMALL = np.float32(0.1)
#: Activation functions of the last layer, and their losses.
_LOSSES = {"sigmoid": "binary_cross_entropy", "identity": "mean_squared_error"}


@with_settings
class DenseStack(TrainableModel, Reconstructing, abstract=True):
    """Dense layers that go down to a code and, mirrored, up again.

    Parameters
    ----------
    hidden_sizes : sequence of int
        Units of the layers before the code; the decoder has them in reverse.
    code_size : int
        Length of the code.
    l2 : float
        Penalty on the weights.
    """

    hidden_sizes: Sequence[int] = field(default=(1000, 500, 250), kw_only=False)
    code_size: int = field(default=30, kw_only=False)
    l2: float = 0.0

    def _check_settings(self) -> None:
        super()._check_settings()
        sizes = [*self.hidden_sizes, self.code_size]
        if not all(isinstance(size, Integral) and size >= 1 for size in sizes):
            raise InvalidArgumentError(
                f"hidden_sizes and code_size must be whole numbers from 1, got {sizes}."
            )

    def _stack(self, size: int, activation: str, output: str, *, normalized: bool) -> list[Layer]:
        """Return all layers for inputs of a size; hidden ones and the code normalised or not."""
        layers: list[Layer] = []
        for number, units in enumerate(self.hidden_sizes):
            layers += self._block(units, activation, f"encoder_{number}", normalized)
        if normalized:
            layers.append(Dense(self.code_size, bias=False, l2=self.l2, name="code_weights"))
            layers.append(BatchNormalization(name="code"))
        else:
            layers.append(Dense(self.code_size, l2=self.l2, name="code"))
        for number, units in enumerate(reversed(self.hidden_sizes)):
            layers += self._block(units, activation, f"decoder_{number}", normalized)
        return [*layers, Output(size, _LOSSES[output], output, name="output")]

    def _block(self, size: int, activation: str, name: str, normalized: bool) -> list[Layer]:
        """Return one hidden layer; with batch normalisation between weights and activation."""
        init = "relu" if "relu" in activation else "xavier"
        if not normalized:
            return [Dense(size, activation, weight_init=init, l2=self.l2, name=name)]
        return [
            Dense(size, weight_init=init, bias=False, l2=self.l2, name=f"{name}_weights"),
            BatchNormalization(name=f"{name}_normalization"),
            Activation(activation, name=name),
        ]


@with_settings
class Autoencoder(DenseStack):
    """A network that squeezes an image through a short code and gives it back.

    Dense layers go down to the code and, mirrored, up again. Training makes the difference
    between image and reconstruction small; the code is the embedding.

    Parameters
    ----------
    activation : str
        Of the hidden layers.
    batch_normalization : bool
        Normalise every hidden layer and the code (Ioffe and Szegedy 2015). A normalised code
        weighs all its dimensions alike, which is what cosine similarity wants.
    output : str
        "sigmoid" with cross-entropy, for images in [0, 1]; "identity" with the mean squared
        error, for anything; "auto" chooses by the data.

    References
    ----------
    Rumelhart, Hinton and Williams (1986), Learning internal representations by error
    propagation. Hinton and Salakhutdinov (2006), Reducing the dimensionality of data with
    neural networks.

    Examples
    --------
    >>> Autoencoder(hidden_sizes=(256,), code_size=16, epochs=5)
    Autoencoder(code_size=16, epochs=5, hidden_sizes=(256,))
    """

    activation: str = field(default="relu", kw_only=False)
    batch_normalization: bool = True
    output: str = "auto"
    learning_rate: float = 3e-3
    epochs: int = 30

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        del targets
        output = choose("output", self.output, ("auto", *_LOSSES))
        if output == "auto":
            output = "sigmoid" if data.within_unit_interval else "identity"
        return self._stack(shape.size, self.activation, output, normalized=self.batch_normalization)

    def _initialise(self, network: JavaNetwork) -> None:
        """Let the weights before a batch normalisation start small.

        Normalised, their size does not matter, and so what is learned soon outweighs what was
        drawn: the first layer shows strokes instead of noise, and codes match better.
        """
        for number, layer in enumerate(network.describe()["layers"]):
            if layer["name"].endswith("_weights"):
                network.set(f"{number}_W", network.get(f"{number}_W") * SMALL)


@with_settings
class DenoisingAutoencoder(Autoencoder):
    """An autoencoder that gives back the clean image of one that was made worse.

    Every epoch makes every image worse afresh. What the code then keeps is what survives
    the damage, so that codes of the same thing, shifted or turned, lie close together.

    Parameters
    ----------
    masking : float
        Part of the pixels that become background.
    noise : float
        Standard deviation of Gaussian noise, in units of the scaled input.
    shift : float
        Most pixels that an image moves by, in each direction.
    rotation : float
        Most degrees that it turns by.
    zoom : float
        Most part of its size that it grows or shrinks by.

    References
    ----------
    Vincent et al. (2008), Extracting and composing robust features with denoising
    autoencoders.

    Examples
    --------
    >>> DenoisingAutoencoder(code_size=16, masking=0.3)
    DenoisingAutoencoder(code_size=16, masking=0.3)
    """

    masking: float = 0.2
    noise: float = 0.0
    shift: float = 2.0
    rotation: float = 15.0
    zoom: float = 0.15

    def _check_settings(self) -> None:
        super()._check_settings()
        check_numbers(self, "masking", least=0, below=1)
        check_numbers(self, "noise", "shift", "rotation", "zoom", least=0)

    def _corruption(self) -> dict[str, Any]:
        changes = {n: getattr(self, n) for n in ("masking", "shift", "rotation", "zoom")}
        return changes | {"gaussian": self.noise}


@with_settings
class ConvAutoencoder(TrainableModel, Reconstructing):
    """An autoencoder of convolutions; its code is a small map, which keeps where things are.

    Each block halves the image, the code is a map of a few channels, and each block of the
    decoder repeats the pixels and convolves.

    Parameters
    ----------
    channels : sequence of int
        Channels of the blocks; sides must be divisible by 2 to their number.
    code_channels : int
        Of the code: its length is ``code_channels * height * width / 4 ** len(channels)``.

    References
    ----------
    Masci, Meier, Cireşan, Schmidhuber (2011), Stacked convolutional auto-encoders. Odena,
    Dumoulin, Olah (2016), Deconvolution and checkerboard artifacts.

    Examples
    --------
    >>> ConvAutoencoder(channels=(8,), code_channels=4)
    ConvAutoencoder(channels=(8,), code_channels=4)
    """

    channels: Sequence[int] = field(default=(16, 32), kw_only=False)
    code_channels: int = 2
    learning_rate: float = 3e-3

    def _input_kind(self) -> str:
        return "convolutional"

    def _code_shape(self) -> InputShape:
        step = 2 ** len(self.channels)
        height, width = self.input_.height // step, self.input_.width // step
        return InputShape("convolutional", height, width, self.code_channels)

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        del targets
        step = 2 ** len(self.channels)
        if shape.height % step or shape.width % step:
            raise InvalidArgumentError(
                f"{shape.height} x {shape.width} pixels cannot be halved {len(self.channels)} "
                f"times; choose sides that are multiples of {step}, or other channels."
            )
        down = [_convolution(n_out, stride=2) for n_out in self.channels]
        code = Convolution2D(self.code_channels, name="code", mode="same")
        up: list[Layer] = []
        for n_out in reversed(self.channels):
            up += [_convolution(n_out), Upsampling2D()]
        return [*down, code, *up, *self._output(shape.channels, data)]

    def _output(self, channels: int, data: NetworkInput) -> list[Layer]:
        last = Convolution2D(channels, mode="same", weight_init="xavier")
        activation = "sigmoid" if data.within_unit_interval else "identity"
        return [last, ConvolutionLoss(loss=_LOSSES[activation], activation=activation)]


def _convolution(n_out: int, *, stride: int = 1) -> Convolution2D:
    return Convolution2D(n_out, stride=stride, mode="same", activation="relu")
