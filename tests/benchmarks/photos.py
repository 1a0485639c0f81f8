"""MobileNetV2 beside PyTorch: its output alone, a folder of JPEGs to embeddings, their matches.

    python -m tests.benchmarks.photos [--images DIR] [--json]
    python -m tests.benchmarks.photos --images DIR --matches [--json]

``--matches`` evaluates the embeddings of both sides instead: P@1, P@10 and mAP of each image of
DIR against all others, the folders being the classes. PyTorch's are those of torchvision's
network on what torchvision's own transforms make of the files.

Without it, speeds: both sides take turns in one process, with as many threads; a figure is the
median of 5 rounds after one that is not counted, in images a second by the clock. ``ratio`` is
ours divided by PyTorch's; ``cpu`` is the same by processor time, which other load disturbs less.
The folder is DIR (its first 96 files), or 96 JPEGs that are made. Needs PyTorch (the extra
``bench``), torchvision and MobileNetV2's weights.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pyimgret import Encoder
from pyimgret.cli.embed import encode_all
from pyimgret.cli.sources import ImageSource
from pyimgret.datasets import ImageFiles, ImageFolder
from pyimgret.evaluation import retrieval_report
from pyimgret.preprocessing import normalize
from pyimgret.pretrained import find_weights, mobilenet_v2
from pyimgret.pretrained.inverted_residuals import MOBILENET_V2
from pyimgret.pretrained.torch_checkpoint import read_checkpoint
from tests.pictures import made_pictures

ROUNDS = 5
BATCH = 16
FILES = 96


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--matches", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.matches and options.images is None:
        parser.error("--matches judges the class folders of --images DIR.")
    ours, theirs = Encoder(mobilenet_v2()), torch_network()
    if options.matches:
        results = matches(ours, theirs, options.images)
    else:
        with tempfile.TemporaryDirectory() as made:
            files = jpegs(options.images, Path(made))
            results = {
                f"output, batch {BATCH}": output(ours, theirs),
                f"{len(files)} JPEGs to embeddings": folder(ours, theirs, files),
            }
    if options.json:
        print(json.dumps(results, indent=1))
        return
    for name, figures in results.items():
        print(name, ", ".join(f"{k} {v:.3g}" for k, v in figures.items()))


def torch_network() -> Any:
    """Return MobileNetV2's convolutions as modules, from the same table and checkpoint."""
    import torch
    from torchvision.models import mobilenet_v2 as torchvision_network

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    network = torchvision_network()
    tensors = read_checkpoint(find_weights(MOBILENET_V2.published))
    network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in tensors.items()})
    return network.eval()


def jpegs(given: Path | None, made: Path) -> list[Path]:
    """Return JPEG files."""
    if given is not None:
        return [file.path for file in ImageFolder(given).files[:FILES]]
    for number in range(FILES):
        image = Image.fromarray(made_pictures(1, side=400, seed=number)[0])
        image.save(made / f"{number:03}.jpg", quality=90)
    return sorted(made.iterdir())


def output(ours: Encoder, theirs: Any) -> dict[str, float]:
    """Compare the pooled output on tensors in memory."""
    import torch

    pixels = made_pictures(BATCH * 4)
    tensors = ours.preprocessor.batch(pixels)  # type: ignore[union-attr]
    batches = torch.from_numpy(tensors).permute(0, 3, 1, 2).contiguous().split(BATCH)

    def run() -> None:
        with torch.inference_mode():
            for batch in batches:
                theirs.features(batch).mean((2, 3))

    return compared(len(pixels), {"ours": lambda: ours.encode_tensors(tensors), "torch": run})


def folder(ours: Encoder, theirs: Any, files: list[Path]) -> dict[str, float]:
    """Compare decoding, resizing and embedding; each side in its usual way."""
    images = ImageSource(ImageFiles([os.fspath(file) for file in files]))
    return compared(
        len(files),
        {
            "ours": lambda: encode_all(ours, images),
            "torch": lambda: torch_embeddings(theirs, files),
        },
    )


def matches(ours: Encoder, theirs: Any, images: Path) -> dict[str, dict[str, float]]:
    """Evaluate both sides' embeddings, each image against all others."""
    folder = ImageFolder(images)
    paths = {file.key: file.path for file in folder.files}
    keys, labels, vectors = encode_all(ours, ImageSource(folder))
    sides = {"ours": vectors, "torch": torch_embeddings(theirs, [paths[key] for key in keys])}
    results = {}
    for name, embeddings in sides.items():
        report = retrieval_report(embeddings, labels)
        results[name] = {
            "P@1": report.precision[1],
            "P@10": report.precision[10],
            "mAP": report.mean_average_precision,
        }
    unit = [normalize(embeddings) for embeddings in sides.values()]
    results["both"] = {"least cosine": float((unit[0] * unit[1]).sum(axis=1).min())}
    return results


def torch_embeddings(network: Any, files: list[Path]) -> NDArray[np.float32]:
    """Return the pooled features of files by torchvision's transforms and network."""
    import torch
    from torchvision import transforms

    prepared = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    parts = []
    with torch.inference_mode():
        for start in range(0, len(files), BATCH):
            images = [Image.open(f).convert("RGB") for f in files[start : start + BATCH]]
            batch = torch.stack([prepared(image) for image in images])
            parts.append(network.features(batch).mean((2, 3)).numpy())
    return np.concatenate(parts)


def compared(count: int, sides: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Run the sides in turn; return images a second, and the ratios."""
    wall: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(ROUNDS + 1):
        for name, side in sides.items():
            start, used = time.perf_counter(), time.process_time()
            side()
            if number:
                wall[name].append(time.perf_counter() - start)
                cpu[name].append(time.process_time() - used)
    seconds = {name: statistics.median(times) for name, times in wall.items()}
    used_seconds = {name: statistics.median(times) for name, times in cpu.items()}
    return {
        **{name: count / value for name, value in seconds.items()},
        "ratio": seconds["torch"] / seconds["ours"],
        "cpu": used_seconds["torch"] / used_seconds["ours"],
    }


if __name__ == "__main__":
    main()
