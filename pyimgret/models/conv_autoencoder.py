"""A convolutional autoencoder: down by strides, up by repetition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from pyimgret.base import with_settings
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.layers import Convolution2D, ConvolutionLoss, Layer, Upsampling2D
from pyimgret.models.base import Reconstructing
from pyimgret.models.network import TrainableModel
from pyimgret.training import Targets


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
        if data.within_unit_interval:
            return [last, ConvolutionLoss(loss="binary_cross_entropy", activation="sigmoid")]
        return [last, ConvolutionLoss(loss="mean_squared_error")]


def _convolution(n_out: int, *, stride: int = 1) -> Convolution2D:
    return Convolution2D(n_out, stride=stride, mode="same", activation="relu")
