"""A network as a table: each row a vertex, and where the checkpoint keeps its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pyimgret.exceptions import InvalidArgumentError
from pyimgret.layers import Convolution2D, Dense, DepthwiseConvolution2D, Layer
from pyimgret.preprocessing import Preprocessor
from pyimgret.pretrained.weights import Published

#: The layer that ``freeze`` and `Architecture.rows_up_to` call the last map of every network.
FEATURES: Final = "features"


@dataclass(frozen=True)
class Add(Layer):
    """The sum of maps of one shape."""


@dataclass(frozen=True)
class Merge(Layer):
    """The channels of several maps, in order."""


@dataclass(frozen=True)
class L2Normalize(Layer):
    """A vector scaled to length 1."""


@dataclass(frozen=True)
class Row:
    """One vertex.

    Attributes
    ----------
    layer : Layer
        Named like the vertex.
    inputs : tuple of str
        Names of vertices; "input" is the image.
    weights : str
        Prefix of ``weight`` (and ``bias``) in the checkpoint; empty for a layer without weights.
    normalisation : str
        Prefix of the batch normalisation that follows, and is folded in.
    """

    layer: Layer
    inputs: tuple[str, ...]
    weights: str = ""
    normalisation: str = ""

    @property
    def name(self) -> str:
        """Name of the vertex."""
        return self.layer.name or ""

    @property
    def block(self) -> str:
        """The block it belongs to: its name up to the first underscore."""
        return self.name.partition("_")[0]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A published network.

    Attributes
    ----------
    name : str
    rows : tuple of Row
        In the order they run; the last one is the map of features.
    head : Row
        From the pooled features to the logits of the classes.
    published : Published
        The weights.
    preprocessing : Preprocessor
        How it was trained to see images.
    epsilon : float
        Of its batch normalisations.
    parameters : int
        Published number of weights, those of the batch normalisations included.
    dimension : int
        Length of an embedding: channels of the last map.
    top1 : float
        Published accuracy on ImageNet's validation set, in percent.
    source : str
        Where that was published.
    """

    name: str
    rows: tuple[Row, ...]
    head: Row
    published: Published
    preprocessing: Preprocessor
    epsilon: float = 1e-5
    parameters: int
    dimension: int
    top1: float
    source: str = "https://docs.pytorch.org/vision/stable/models.html"

    @property
    def features(self) -> str:
        """Name of the vertex with the last map."""
        return self.rows[-1].name

    @property
    def blocks(self) -> list[str]:
        """Names of the blocks in their order."""
        return list(dict.fromkeys(row.block for row in self.rows))

    def rows_up_to(self, name: str) -> int:
        """Return how many rows run up to the end of a block, or up to a vertex.

        Raises
        ------
        InvalidArgumentError
            When there is none of that name, or when a later row looks back beyond it.
        """
        if name == FEATURES:
            return len(self.rows)
        ends = [n for n, row in enumerate(self.rows, 1) if name in (row.name, row.block)]
        known = ", ".join(dict.fromkeys([*self.blocks, FEATURES]))
        if not ends:
            raise InvalidArgumentError(
                f"{self.name} has no layer {name!r}; known: {known}, and their parts such as "
                f"{self.rows[-2].name}."
            )
        count = ends[-1]
        before = {row.name for row in self.rows[: count - 1]} | {"input"}
        beyond = [row.name for row in self.rows[count:] if before & set(row.inputs)]
        if beyond:
            raise InvalidArgumentError(
                f"{beyond[0]} looks back beyond {name!r}, so {self.name} cannot be divided there; "
                f"choose the end of a block: {known}."
            )
        return count


def convolution(
    name: str,
    before: str,
    n_out: int | None,
    weights: str,
    normalisation: str,
    *,
    size: int = 1,
    stride: int = 1,
    mode: str = "truncate",
    activation: str = "relu",
) -> Row:
    """Return a convolution with its batch normalisation, padded to keep the size at stride 1.

    Parameters
    ----------
    n_out : int or None
        Output channels; None filters each channel by itself.
    mode : {"truncate", "same"}
        Whether the padding is the same on all sides (PyTorch), or what the stride needs, the odd
        pixel at the end (TensorFlow).
    """
    settings: dict[str, Any] = {
        "name": name,
        "kernel_size": size,
        "stride": stride,
        "mode": mode,
        "padding": 0 if mode == "same" else size // 2,
        "activation": activation,
    }
    layer: Layer = DepthwiseConvolution2D(**settings)
    if n_out is not None:
        layer = Convolution2D(n_out, **settings)
    return Row(layer, (before,), weights, normalisation)


def classes(weights: str) -> Row:
    """Return the layer of ImageNet's 1,000 classes."""
    return Row(Dense(1000, name="logits"), ("pooled",), weights)


#: How torchvision's networks see images.
TORCHVISION: Final = Preprocessor(
    "RGB", 224, 224, "crop", 256, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
)
