"""ConvNet on MNIST or Fashion-MNIST: accuracy, retrieval by codes and by their signs.

    python -m tests.benchmarks.convnet --data FOLDER [--larger] [--head centres] [--rows]

FOLDER holds the four IDX files. 2,000 of the 10,000 test images are the queries, the other
8,000 the database. ``--rows`` trains `RowNet`, the LSTM over lines, instead. ``--validate`` leaves
the test images alone: the last 10,000 training images are used for validation.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret import ConvNet, RowNet
from pyimgret.datasets import load_idx
from pyimgret.evaluation import nearest_neighbours, retrieval_report

Labelled = tuple[NDArray[np.uint8], NDArray[Any]]

QUERIES = 2000
#: How images are moved while they are learned: digits have no mirror images.
AUGMENTATION: dict[str, Any] = {"shift": 2.0, "rotation": 10.0, "zoom": 0.1}
#: Clothes lie in the middle of their images: moving them by two pixels cost 4 points of
#: accuracy in 6 epochs on 12,000 of the training images (evaluated on 10,000 others).
LARGER: dict[str, Any] = {
    "channels": (32, 64),
    "kernel_size": 3,
    "convolutions": 2,
    "mode": "same",
    "batch_normalization": True,
    "dense_size": 256,
    "dropout": 0.25,
    "flip": True,
}


def main() -> None:
    """Train once and evaluate."""
    options = _options()
    (X, y), (X_test, y_test) = _split(options)
    model = _model(options)
    start = time.perf_counter()
    model.fit(X, y)
    result: dict[str, Any] = {
        "model": repr(model),
        "images": len(X),
        "fit_seconds": time.perf_counter() - start,
        "accuracy": model.score(X_test, y_test),
    }
    codes = model.encode(X_test)
    result["pixels"] = _judge(X_test.reshape(len(X_test), -1).astype(np.float32), y_test)
    result |= judged_codes(codes, y_test)
    result["kNN accuracy"] = _knn(model.encode(X), y, codes, y_test)
    if options.out:
        model.save(options.out)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        for name, value in result.items():
            print(f"{name}: {value}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--larger", action="store_true")
    parser.add_argument("--rows", action="store_true")
    parser.add_argument("--head", choices=["softmax", "centres"])
    parser.add_argument("--no-augmentation", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _model(options: argparse.Namespace) -> ConvNet | RowNet:
    settings: dict[str, Any] = {"epochs": options.epochs, "random_state": 0}
    if options.head:
        settings["head"] = options.head
    if options.rows:
        return RowNet(**settings)
    moved = {} if options.no_augmentation else AUGMENTATION
    return ConvNet(**settings, **(LARGER if options.larger else moved))


def _split(options: argparse.Namespace) -> tuple[Labelled, Labelled]:
    """Return what is learned and what judges."""
    X, y = labelled(options.data, "train", 60_000)
    if options.validate:
        count = min(options.count, 50_000)
        return (X[:count], y[:count]), (X[50_000:], y[50_000:])
    return (X[: options.count], y[: options.count]), labelled(options.data, "t10k", 10_000)


def labelled(folder: Path, part: str, count: int) -> Labelled:
    """Return the first images of a part, "train" or "t10k", with their classes."""
    images, labels = (
        load_idx(next(folder.glob(f"{part}-{kind}-idx{ranks}-ubyte*")))
        for kind, ranks in (("images", 3), ("labels", 1))
    )
    return images[:count], labels[:count].astype(np.int64)


def judged_codes(codes: NDArray[np.float32], y: NDArray[Any]) -> dict[str, dict[str, float]]:
    """Judge codes, and their signs."""
    signs = np.where(codes > 0, np.float32(1), np.float32(-1))
    return {"codes": _judge(codes, y), f"codes of {codes.shape[1]} bits": _judge(signs, y)}


def _judge(vectors: NDArray[np.float32], y: NDArray[Any]) -> dict[str, float]:
    report = retrieval_report(
        vectors[QUERIES:], y[QUERIES:], queries=vectors[:QUERIES], query_labels=y[:QUERIES]
    )
    return {"P@10": report.precision[10], "mAP": report.mean_average_precision}


def _knn(
    database: NDArray[np.float32], y: NDArray[Any], queries: NDArray[np.float32], truth: Any
) -> float:
    positions, _ = nearest_neighbours(database, queries, k=10)
    votes = np.array([np.bincount(row, minlength=10) for row in y[positions]])
    return float((votes.argmax(axis=1) == truth).mean())


if __name__ == "__main__":
    main()
