"""GoogLeNet as torchvision has it: batch normalisation, and 3 x 3 in place of 5 x 5.

The auxiliary classifiers, which only training needs, are left out.

References
----------
Szegedy et al. (2015), Going Deeper with Convolutions. Names of the weights: torchvision's
``googlenet``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pyimgret.layers import Pooling2D
from pyimgret.preprocessing import Preprocessor
from pyimgret.pretrained.architecture import (
    Architecture,
    Merge,
    Row,
    classes,
    convolution,
)
from pyimgret.pretrained.weights import Published

#: Table 1 of the paper: channels of 1 x 1; of 3 x 3 and of its reduction before; of 5 x 5,
#: likewise; of the projection after pooling. A name alone pools to half the size.
_INCEPTIONS: Final = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "pool3": (3,),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "pool4": (2,),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _convolution(
    name: str, before: str, n_out: int, prefix: str, *, size: int = 1, stride: int = 1
) -> Row:
    return convolution(
        name, before, n_out, f"{prefix}.conv", f"{prefix}.bn", size=size, stride=stride
    )


def _pool(name: str, before: str, size: int, stride: int = 2) -> Row:
    # NB: "same" is torchvision's ceil_mode where the size is even; what it adds is never largest.
    layer = Pooling2D(name=name, kernel_size=size, stride=stride, mode="same")
    return Row(layer, (before,))


def _rows() -> Iterator[Row]:
    yield _convolution("stem_convolution1", "input", 64, "conv1", size=7, stride=2)
    yield _pool("stem_pooling1", "stem_convolution1", 3)
    yield _convolution("stem_convolution2", "stem_pooling1", 64, "conv2")
    yield _convolution("stem_convolution3", "stem_convolution2", 192, "conv3", size=3)
    yield _pool("stem_pooling2", "stem_convolution3", 3)
    before = "stem_pooling2"
    for key, sizes in _INCEPTIONS.items():
        if len(sizes) == 1:
            yield _pool(key, before, *sizes)
            before = key
            continue
        name = f"inception{key}"
        one, three_reduced, three, five_reduced, five, projected = sizes
        yield _convolution(f"{name}_1x1", before, one, f"{name}.branch1")
        yield _convolution(f"{name}_3x3reduced", before, three_reduced, f"{name}.branch2.0")
        yield _convolution(f"{name}_3x3", f"{name}_3x3reduced", three, f"{name}.branch2.1", size=3)
        yield _convolution(f"{name}_5x5reduced", before, five_reduced, f"{name}.branch3.0")
        yield _convolution(f"{name}_5x5", f"{name}_5x5reduced", five, f"{name}.branch3.1", size=3)
        yield _pool(f"{name}_pooling", before, 3, stride=1)
        yield _convolution(f"{name}_projected", f"{name}_pooling", projected, f"{name}.branch4.1")
        branches = tuple(f"{name}_{branch}" for branch in ("1x1", "3x3", "5x5", "projected"))
        before = f"{name}_merged"
        yield Row(Merge(name=before), branches)


GOOGLENET: Final = Architecture(
    name="googlenet",
    rows=tuple(_rows()),
    head=classes("fc"),
    published=Published(
        "googlenet-1378be20.pth",
        "1378be20a8e875cf1568b8a71654e704449655e34711a959a38b04fb34905cef",
    ),
    # NB: the weights are TensorFlow's; torchvision's transform_input undoes its usual scaling.
    preprocessing=Preprocessor("RGB", 224, 224, "crop", 256, "bilinear", (0.5,), (0.5,)),
    epsilon=1e-3,
    parameters=6_624_904,
    dimension=1024,
    top1=69.78,
)
