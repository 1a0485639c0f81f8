"""A convolutional autoencoder: down by strides, up by repetition."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pyimgret.exceptions import InvalidArgumentError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.layers import Convolution2D, ConvolutionLoss, Layer, Upsampling2D
from pyimgret.models.network import TrainableModel
from pyimgret.preprocessing import Preprocessor
from pyimgret.training import Targets


class ConvAutoencoder(TrainableModel):
    """An autoencoder of convolutions; its code is a small map, which keeps where things are.

    Each block halves the picture, the code is a map of a few channels, and each block of the
    decoder repeats the pixels and convolves.

    Parameters
    ----------
    channels : sequence of int
        Channels of the blocks; sides must be divisible by 2 to their number.
    code_channels : int
        Of the code: its length is ``code_channels * height * width / 4 ** len(channels)``.
    updater, learning_rate, schedule, batch_size, epochs, patience, checkpoint, preprocessing, \
random_state, verbose
        As for `Network`.

    References
    ----------
    Masci, Meier, Cireşan, Schmidhuber (2011), Stacked convolutional auto-encoders. Odena,
    Dumoulin, Olah (2016), Deconvolution and checkerboard artifacts.

    Examples
    --------
    >>> ConvAutoencoder(channels=(8,), code_channels=4)
    ConvAutoencoder(channels=(8,), code_channels=4)
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32),
        *,
        code_channels: int = 2,
        updater: str = "adam",
        learning_rate: float = 3e-3,
        schedule: str = "one_cycle",
        batch_size: int = 128,
        epochs: int = 10,
        patience: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        preprocessing: Preprocessor | None = None,
        random_state: int | None = None,
        verbose: bool | None = None,
    ) -> None:
        self.channels = channels
        self.code_channels = code_channels
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

    def _input_kind(self) -> str:
        return "convolutional"

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
