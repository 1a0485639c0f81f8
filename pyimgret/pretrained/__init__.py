"""Networks trained on ImageNet: tables, weights, fine-tuning."""

from pyimgret.pretrained.architecture import Architecture
from pyimgret.pretrained.features import cached_features
from pyimgret.pretrained.finetuning import FineTunedNetwork
from pyimgret.pretrained.network import (
    ARCHITECTURES,
    PretrainedNetwork,
    best_available,
    imagenet_classes,
    load,
    mobilenet_v2,
)
from pyimgret.pretrained.weights import find_weights, local_weights

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "FineTunedNetwork",
    "PretrainedNetwork",
    "best_available",
    "cached_features",
    "find_weights",
    "imagenet_classes",
    "load",
    "local_weights",
    "mobilenet_v2",
]
