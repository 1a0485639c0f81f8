"""Fine-tuning an ImageNet network on half of a folder of photos, evaluated on the other half.

    python -m tests.benchmarks.finetune --images DIR [--pretrained NAME] [--freeze BLOCK …]
        [--head centres] [--validate]

The folders below DIR are the classes. Of each, every second image in the order of names is
used for training, the others for evaluation: accuracy, and P@1, P@10 and mAP of each of them
against the rest.
``--validate`` divides the first half again, and leaves the second alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.datasets import ImageFile, ImageFolder
from pyimgret.evaluation import retrieval_report
from pyimgret.pretrained import (
    ARCHITECTURES,
    FineTunedNetwork,
    PretrainedNetwork,
    cached_features,
    load,
)

Figures = dict[str, float]


def main() -> None:
    """Fine-tune from each block on, and evaluate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pretrained", choices=ARCHITECTURES, default="mobilenet_v2")
    parser.add_argument("--freeze", nargs="+", default=["features", "block16", "block15"])
    parser.add_argument("--head", nargs="+", default=["softmax"], choices=["softmax", "centres"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    learned, judging = _halves(options.images, options.validate)
    network = load(options.pretrained)
    with tempfile.TemporaryDirectory() as cache:
        results = {"as published": _judge(_features(network, judging, cache), judging)}
        for freeze in options.freeze:
            for head in options.head:
                for seed in range(options.seeds):
                    model = FineTunedNetwork(
                        network.architecture, freeze=freeze, head=head, random_state=seed
                    )
                    name = f"freeze {freeze}, {head}, seed {seed}"
                    results[name] = _tune(model, network, learned, judging, cache)
    if options.json:
        print(json.dumps(results, indent=1))
        return
    print(f"{len(learned)} training images, {len(judging)} test images")
    for name, figures in results.items():
        print(name, ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))


def _halves(images: Path, validate: bool) -> tuple[list[ImageFile], list[ImageFile]]:
    files = [file for file in ImageFolder(images).files if file.label]
    first, second = _halve(files)
    return _halve(first) if validate else (first, second)


def _halve(files: list[ImageFile]) -> tuple[list[ImageFile], list[ImageFile]]:
    """Divide each class, by turns."""
    halves: tuple[list[ImageFile], list[ImageFile]] = ([], [])
    for label in sorted({file.label for file in files}):
        for place, file in enumerate(file for file in files if file.label == label):
            halves[place % 2].append(file)
    return halves


def _labels(files: list[ImageFile]) -> NDArray[Any]:
    return np.array([file.label for file in files])


def _features(
    network: PretrainedNetwork, files: list[ImageFile], cache: str, layer: str | None = None
) -> NDArray[np.float32]:
    return cached_features(network, [file.path for file in files], Path(cache), layer=layer)


def _tune(
    model: FineTunedNetwork,
    network: PretrainedNetwork,
    learned: list[ImageFile],
    judging: list[ImageFile],
    cache: str,
) -> Figures:
    features = _features(network, learned, cache, model.frozen_layer)
    start = time.perf_counter()
    model.fit(network, features, _labels(learned))
    seconds = time.perf_counter() - start
    paths = [file.path for file in judging]
    figures = {"accuracy": model.score(paths, _labels(judging))}
    return figures | _judge(model.encode(paths), judging) | {"seconds": seconds}


def _judge(embeddings: NDArray[np.float32], files: list[ImageFile]) -> Figures:
    report = retrieval_report(embeddings, _labels(files))
    return {
        "P@1": report.precision[1],
        "P@10": report.precision[10],
        "mAP": report.mean_average_precision,
    }


if __name__ == "__main__":
    main()
