"""Networks in PyTorch that several benchmarks compare with; needs the extra ``bench``."""

from __future__ import annotations

from torch import nn


def lenet_to_features() -> list[nn.Module]:
    """Return LeNet's layers, for 28x28 images, up to its 500 features."""
    return [
        nn.Conv2d(1, 20, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 500),
        nn.ReLU(),
    ]
