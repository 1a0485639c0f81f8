"""Networks trained on ImageNet: tables, weights, fine-tuning."""

from pyimgret.pretrained.features import cached_features
from pyimgret.pretrained.finetuning import FineTunedNetwork
from pyimgret.pretrained.network import (
    ARCHITECTURES,
    PretrainedNetwork,
    from_table,
    head_settings,
    imagenet_classes,
    mobilenet_v2,
)
from pyimgret.pretrained.weights import find_weights

__all__ = [
    "ARCHITECTURES",
    "FineTunedNetwork",
    "PretrainedNetwork",
    "cached_features",
    "find_weights",
    "from_table",
    "head_settings",
    "imagenet_classes",
    "mobilenet_v2",
]
