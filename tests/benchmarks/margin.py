"""Heads of a ConvNet compared in PyTorch: a softmax, NormFace, and CosFace's margin.

    python -m tests.benchmarks.margin --data FOLDER [--only NAME] [--seeds 2]

FOLDER holds MNIST's IDX files. All heads learn the same network, of `ConvNet`'s default shape, on
the same first training digits, moved as in `tests.benchmarks.convnet`; the last 10,000 training
digits are used for evaluation (2,000 queries against 8,000 images), by codes and by their signs,
without the test digits.
PyTorch, because there a loss is three lines: what is better here is worth having on our engine.

References
----------
Wang et al. (2017), NormFace: L2 hypersphere embedding. Wang et al. (2018), CosFace: Large margin
cosine loss.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from tests.benchmarks.convnet import AUGMENTATION, judged_codes, labelled
from tests.benchmarks.torch_networks import lenet_to_features

BATCH = 128
CODE = 32
CLASSES = 10
TOP_RATE = 2e-3
#: Head to the scale of its cosines and the margin; None is a plain layer.
HEADS: dict[str, tuple[float, float] | None] = {
    "softmax": None,
    "NormFace, scale 16": (16.0, 0.0),
    "CosFace, scale 16, margin 0.2": (16.0, 0.2),
    "CosFace, scale 30, margin 0.35": (30.0, 0.35),
}


def main() -> None:
    """Train every head from every seed, and print what its codes find."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", metavar="NAME", help="Heads whose name begins so.")
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    X, y = labelled(options.data, "train", 60_000)
    images = torch.from_numpy(X).float().div(255).unsqueeze(1)
    learned = images[: options.count], torch.from_numpy(y[: options.count])
    for name, margin in HEADS.items():
        for seed in range(options.seeds if name.startswith(options.only) else 0):
            torch.manual_seed(seed)
            network = trained(learned, margin, options.epochs)
            with torch.inference_mode():
                codes = network.eval()(images[50_000:]).numpy()
            print(f"{name}, seed {seed}: {judged_codes(codes, y[50_000:])}", flush=True)


def layers() -> nn.Sequential:
    """Return `ConvNet`'s layers up to the code."""
    return nn.Sequential(
        *lenet_to_features(),
        nn.Dropout(0.5),
        nn.Linear(500, CODE),
        nn.Tanh(),
    )


def trained(
    learned: tuple[Tensor, Tensor], margin: tuple[float, float] | None, epochs: int
) -> nn.Sequential:
    """Train by Adam in one cycle."""
    X, y = learned
    network, head = layers(), nn.Linear(CODE, CLASSES, bias=margin is None)
    parameters = [*network.parameters(), *head.parameters()]
    updater = torch.optim.Adam(parameters, TOP_RATE)
    steps = epochs * -(-len(X) // BATCH)
    cycle = torch.optim.lr_scheduler.OneCycleLR(updater, TOP_RATE, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(BATCH):
            loss = F.cross_entropy(logits(network(moved(X[rows])), head, y[rows], margin), y[rows])
            updater.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            updater.step()
            cycle.step()
    return network


def logits(codes: Tensor, head: nn.Linear, y: Tensor, margin: tuple[float, float] | None) -> Tensor:
    """Return what the softmax takes: for a margin (equation 4 of CosFace), scaled cosines."""
    if margin is None:
        return Tensor(head(codes))
    scale, distance = margin
    cosines = F.normalize(codes) @ F.normalize(head.weight).T
    return scale * (cosines - distance * F.one_hot(y, CLASSES))


def moved(images: Tensor) -> Tensor:
    """Rotate, zoom and shift each image at random, within `AUGMENTATION`."""
    chance = torch.rand(4, len(images)) * 2 - 1
    angle = chance[0] * np.radians(AUGMENTATION["rotation"])
    zoom = 1 + chance[1] * AUGMENTATION["zoom"]
    shift = chance[2:] * AUGMENTATION["shift"] * 2 / images.shape[-1]
    cos, sin = zoom * torch.cos(angle), zoom * torch.sin(angle)
    rows = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], dim=1)
    grid = F.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    result: Any = F.grid_sample(images, grid, align_corners=False)
    return Tensor(result)


if __name__ == "__main__":
    main()
