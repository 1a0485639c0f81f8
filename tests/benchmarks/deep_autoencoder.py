"""The 2006 paper's experiment: 784-1000-500-250-30 on MNIST, 60,000 digits.

    python -m tests.benchmarks.deep_autoencoder --mnist FOLDER

FOLDER holds the four IDX files. Prints the mean squared error summed over the pixels of a
test digit (the paper: 3.00, PCA of 30 components: 13.9), retrieval on codes, and the time;
``--checkpoint`` keeps the state of every epoch, so that a killed run goes on when it is
started again.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret import PCA, DeepAutoencoder
from pyimgret.datasets import load_idx
from pyimgret.evaluation import retrieval_report

QUERIES = 2000


def main() -> None:
    """Run the experiment."""
    options = _options()
    X, X_test = _images(options.mnist, "train")[: options.count], _images(options.mnist, "t10k")
    y_test = load_idx(_file(options.mnist, "t10k-labels"))
    model = DeepAutoencoder(
        pretraining=options.pretraining,
        rbm_epochs=options.rbm_epochs,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        random_state=0,
        checkpoint=options.checkpoint,
        verbose=options.verbose or None,
    )
    start, cpu = time.perf_counter(), _cpu_seconds()
    model.fit(X)
    seconds, cpu = time.perf_counter() - start, _cpu_seconds() - cpu
    pca = PCA(n_components=30, random_state=0).fit(X)
    result = {
        "model": repr(model),
        "images": len(X),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "epoch_seconds": _rounded(model.history_["seconds"], 1),
        "loss": _rounded(model.history_["loss"], 3),
        "deep_autoencoder": _judge(model, X_test, y_test),
        "pca": _judge(pca, X_test, y_test),
    }
    if options.out:
        model.save(options.out)
    print(json.dumps(result) if options.json else _text(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mnist", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--pretraining", choices=["rbm", "none"], default="rbm")
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--rbm-epochs", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--batch-size", type=int, default=250)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--out", type=Path, help="where the model goes")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _file(folder: Path, name: str) -> Path:
    return next(iter(sorted(folder.glob(f"{name}*"))))


def _images(folder: Path, part: str) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] = load_idx(_file(folder, f"{part}-images"))
    return images


def _judge(model: Any, X: NDArray[np.uint8], y: NDArray[Any]) -> dict[str, float]:
    difference = X / 255 - np.asarray(model.reconstruct(X), dtype=np.float64).reshape(X.shape)
    order = np.random.default_rng(0).permutation(len(X))
    codes, y = model.encode(X)[order], y[order]
    report = retrieval_report(
        codes[QUERIES:], y[QUERIES:], queries=codes[:QUERIES], query_labels=y[:QUERIES]
    )
    return {
        "squared_error": float((difference**2).sum(axis=(1, 2)).mean()),
        "precision_at_10": report.precision[10],
        "map": report.mean_average_precision,
    }


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _rounded(values: list[float], digits: int) -> list[float]:
    return [round(value, digits) for value in values]


def _text(result: dict[str, Any]) -> str:
    lines = [
        f"{result['model']} on {result['images']:,} digits",
        f"{result['seconds']:.0f} s ({result['cpu_seconds']:.0f} s of processor time)",
    ]
    for name in ("deep_autoencoder", "pca"):
        r = result[name]
        lines.append(
            f"{name:18} squared error {r['squared_error']:.3f}, "
            f"P@10 {r['precision_at_10']:.3f}, mAP {r['map']:.3f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
