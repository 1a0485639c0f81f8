"""ResNet-18 and ResNet-50, as torchvision has them: the stride is in the 3 x 3 convolution.

References
----------
He, Zhang, Ren, Sun (2016), Deep Residual Learning for Image Recognition. Names of the weights:
torchvision's ``resnet``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pyimgret.layers import Activation, Pooling2D
from pyimgret.pretrained.architecture import (
    TORCHVISION,
    Add,
    Architecture,
    Row,
    classes,
    convolution,
)
from pyimgret.pretrained.weights import Published


def _rows(repetitions: Sequence[int], kernels: Sequence[int], widening: int) -> Iterator[Row]:
    """Yield "stem", then the blocks "block1", "block2", …; channels double with each stage."""
    yield convolution("stem_convolution", "input", 64, "conv1", "bn1", size=7, stride=2)
    before, channels, number = "stem_pooling", 64, 0
    yield Row(Pooling2D(name=before, kernel_size=3, stride=2, padding=1), ("stem_convolution",))
    for stage, count in enumerate(repetitions):
        width = 64 << stage
        for repetition in range(count):
            number += 1
            name, prefix = f"block{number}", f"layer{stage + 1}.{repetition}"
            stride = 2 if stage and not repetition else 1
            last = before
            for k, size in enumerate(kernels, 1):
                end = k == len(kernels)
                yield convolution(
                    f"{name}_convolution{k}",
                    last,
                    width * widening if end else width,
                    f"{prefix}.conv{k}",
                    f"{prefix}.bn{k}",
                    size=size,
                    stride=stride if k == kernels.index(3) + 1 else 1,
                    activation="identity" if end else "relu",
                )
                last = f"{name}_convolution{k}"
            if stride != 1 or channels != width * widening:
                yield convolution(
                    f"{name}_shortcut",
                    before,
                    width * widening,
                    f"{prefix}.downsample.0",
                    f"{prefix}.downsample.1",
                    stride=stride,
                    activation="identity",
                )
                before = f"{name}_shortcut"
            yield Row(Add(name=f"{name}_add"), (last, before))
            before, channels = f"{name}_output", width * widening
            yield Row(Activation("relu", name=before), (f"{name}_add",))


RESNET18: Final = Architecture(
    name="resnet18",
    rows=tuple(_rows((2, 2, 2, 2), (3, 3), 1)),
    head=classes("fc"),
    published=Published(
        "resnet18-f37072fd.pth",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
    preprocessing=TORCHVISION,
    parameters=11_689_512,
    dimension=512,
    top1=69.76,
)

RESNET50: Final = Architecture(
    name="resnet50",
    rows=tuple(_rows((3, 4, 6, 3), (1, 3, 1), 4)),
    head=classes("fc"),
    published=Published(
        "resnet50-0676ba61.pth",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
    preprocessing=TORCHVISION,
    parameters=25_557_032,
    dimension=2048,
    top1=76.13,
)
