"""Layers of a network, as settings: what is written here, a stock Deeplearning4j layer does.

A layer is a small immutable record; `Network` hands the list of them to Java as JSON. Names
are those of the field; where Deeplearning4j counts otherwise (its dropout is the part that is
*kept*), the meaning here is the usual one and is said.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from pyimgret.choices import check_numbers, choose, names
from pyimgret.exceptions import InvalidArgumentError

ACTIVATIONS = names(
    "cube elu gelu hardsigmoid hardtanh identity leakyrelu mish rationaltanh rectifiedtanh "
    "relu relu6 rrelu selu sigmoid softmax softplus softsign swish tanh thresholdedrelu"
)
LOSSES = names(
    "binary_cross_entropy categorical_cross_entropy cosine_proximity hinge kullback_leibler "
    "mean_absolute_error mean_squared_error poisson sparse_categorical_cross_entropy "
    "squared_error"
)
WEIGHT_INITS = names(
    "identity lecun_normal lecun_uniform normal ones relu relu_uniform sigmoid_uniform "
    "uniform var_scaling_normal_fan_avg var_scaling_normal_fan_in var_scaling_normal_fan_out "
    "var_scaling_uniform_fan_avg var_scaling_uniform_fan_in var_scaling_uniform_fan_out "
    "xavier xavier_fan_in xavier_legacy xavier_uniform zero"
)
POOLINGS = names("avg max sum pnorm")
MODES = names("same truncate")

Size = int | tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What all layers have.

    Attributes
    ----------
    name : str or None
        To find the layer by; its place in the list does as well.
    """

    name: str | None = None

    #: Which fields hold a name out of a set.
    _choices: ClassVar[dict[str, tuple[str, frozenset[str]]]] = {
        "activation": ("activation", ACTIVATIONS),
        "weight_init": ("weight initialisation", WEIGHT_INITS),
        "loss": ("loss", LOSSES),
        "pooling": ("pooling", POOLINGS),
        "mode": ("convolution mode", MODES),
    }

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in self._choices and value is not None:
                choose(self._choices[field.name][0], value, self._choices[field.name][1])
            if field.name == "n_out":
                check_numbers(self, "n_out", least=1, whole=True)
            if field.name in {"dropout", "rate"} and not 0 <= value < 1:
                raise InvalidArgumentError(
                    f"{field.name} is the part left out, 0 <= {field.name} < 1; got {value}."
                )
            if field.name in {"l1", "l2"}:
                check_numbers(self, field.name, least=0)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON knows them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"type": type(self).__name__} | {k: v for k, v in values.items() if v is not None}


@dataclass(frozen=True)
class Dense(Layer):
    """A fully connected layer: ``activation(x W + b)``, W of shape (n_in, n_out).

    Attributes
    ----------
    n_out : int
        Units.
    activation : str
        One of `ACTIVATIONS`.
    weight_init : str
        One of `WEIGHT_INITS`; "relu" is He et al. (2015), "xavier" Glorot and Bengio (2010).
    bias : bool
        Whether there is a b.
    dropout : float
        Part of the layer's *inputs* that is left out in training (Srivastava et al. 2014).
    l1, l2 : float
        Penalties on W.

    Examples
    --------
    >>> Dense(30, activation="tanh").n_out
    30
    >>> Dense(30, activation="tan")
    Traceback (most recent call last):
        ...
    pyimgret.exceptions.InvalidArgumentError: unknown activation 'tan'; known: cube, ...
    """

    n_out: int
    activation: str = "identity"
    weight_init: str = "xavier"
    bias: bool = True
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0


@dataclass(frozen=True)
class Convolution2D(Layer):
    """A convolution over (channels, height, width).

    Attributes
    ----------
    n_out : int
        Output channels.
    kernel_size, stride, padding : int or (int, int)
        (height, width), in pixels.
    mode : str
        "truncate" uses ``padding``; "same" pads so that stride 1 keeps the size.
    """

    n_out: int
    kernel_size: Size = 3
    stride: Size = 1
    padding: Size = 0
    mode: str = "truncate"
    activation: str = "identity"
    weight_init: str = "relu"
    bias: bool = True
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0


@dataclass(frozen=True)
class Deconvolution2D(Convolution2D):
    """A transposed convolution: brings the image up again (Zeiler et al. 2010)."""

    kernel_size: Size = 2
    stride: Size = 2


@dataclass(frozen=True)
class DepthwiseConvolution2D(Layer):
    """A convolution of each channel by itself, ``multiplier`` outputs a channel."""

    multiplier: int = 1
    kernel_size: Size = 3
    stride: Size = 1
    padding: Size = 0
    mode: str = "truncate"
    activation: str = "identity"
    weight_init: str = "relu"
    bias: bool = True
    l1: float = 0.0
    l2: float = 0.0


@dataclass(frozen=True)
class Pooling2D(Layer):
    """The largest, or the mean, of each window."""

    pooling: str = "max"
    kernel_size: Size = 2
    stride: Size = 2
    padding: Size = 0
    mode: str = "truncate"


@dataclass(frozen=True)
class Upsampling2D(Layer):
    """Repeats each pixel ``size`` times in both directions."""

    size: int = 2


@dataclass(frozen=True)
class GlobalPooling(Layer):
    """One number a channel (or a feature of a sequence): mean, largest or sum over all places.

    Attributes
    ----------
    pooling : str
        One of `POOLINGS`. "pnorm" is the generalised mean (GeM) of Radenović et al. (2018), but
        for a factor that is the same for all channels.
    power : int
        Of "pnorm".
    """

    pooling: str = "avg"
    power: int = 2


@dataclass(frozen=True)
class BatchNormalization(Layer):
    """Normalises by the batch in training, by running averages afterwards (Ioffe, Szegedy 2015).

    Attributes
    ----------
    decay : float
        What part of a running average stays at each step.
    epsilon : float
        Added to the variance.
    """

    decay: float = 0.9
    epsilon: float = 1e-5


@dataclass(frozen=True)
class Activation(Layer):
    """An activation function as a layer of its own, as after batch normalisation."""

    activation: str = "relu"


@dataclass(frozen=True)
class Dropout(Layer):
    """Leaves out a part of its inputs in training (Srivastava et al. 2014)."""

    rate: float = 0.5


@dataclass(frozen=True)
class LSTM(Layer):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) over the lines of an image.

    Attributes
    ----------
    return_sequences : bool
        The outputs of all steps, or (by default) of the last one.
    """

    n_out: int
    activation: str = "tanh"
    weight_init: str = "xavier"
    return_sequences: bool = False
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0


@dataclass(frozen=True)
class Output(Layer):
    """The last layer: fully connected, with the loss that training makes small.

    Attributes
    ----------
    loss : str
        One of `LOSSES`.
    class_weights : tuple of float or None
        One for each class, for "categorical_cross_entropy".
    frozen : bool
        Whether its weights stay as they are.
    """

    n_out: int
    loss: str = "mean_squared_error"
    activation: str = "identity"
    weight_init: str = "xavier"
    bias: bool = True
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    class_weights: tuple[float, ...] | None = None
    frozen: bool = False


@dataclass(frozen=True)
class Loss(Layer):
    """A last layer without weights: a loss on what comes in."""

    loss: str = "mean_squared_error"
    activation: str = "identity"


@dataclass(frozen=True)
class ConvolutionLoss(Loss):
    """A last layer without weights for images: a loss on every pixel."""
