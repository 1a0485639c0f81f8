"""One epoch of CD-1, 784 to 1000 units, batches of 100, beside PyTorch and scikit-learn.

    python -m tests.benchmarks.rbm_epoch --mnist FOLDER [--count 5000] [--torch-python PYTHON]

FOLDER holds MNIST's IDX files. PyTorch runs in a process of its own (``--torch-python`` names
the interpreter that has it) and is asked in turn with ours, five rounds, so that a busy machine
disturbs all alike; times are medians, and a ratio above 1 says that ours is faster. The
reconstruction errors after the same number of epochs show that both do the same work.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS = 5
TORCH = """
import json, sys, time
import numpy as np, torch

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
X = torch.from_numpy(np.load(sys.argv[2]))
W = 0.01 * torch.randn(784, 1000)
mean = X.mean(0).clamp(0.01, 0.99)
b, c = torch.log(mean / (1 - mean)), torch.zeros(1000)
mW, mb, mc = torch.zeros_like(W), torch.zeros_like(b), torch.zeros_like(c)


@torch.no_grad()
def epoch(momentum=0.5, rate=0.1, decay=2e-4):
    error = 0.0
    order = torch.randperm(len(X))
    for i in range(0, len(X), 100):
        v = X[order[i : i + 100]]
        n = len(v)
        p = torch.addmm(c, v, W).sigmoid_()
        h = torch.bernoulli(p)
        w = torch.addmm(b, h, W.t()).sigmoid_()
        q = torch.addmm(c, w, W).sigmoid_()
        mW.addmm_(v.t(), p, beta=momentum, alpha=rate / n).addmm_(w.t(), q, alpha=-rate / n)
        mW.sub_(W, alpha=rate * decay)
        mb.mul_(momentum).add_((v - w).sum(0), alpha=rate / n)
        mc.mul_(momentum).add_((p - q).sum(0), alpha=rate / n)
        W.add_(mW), b.add_(mb), c.add_(mc)
        error += ((v - w) ** 2).mean().item()
    return error / (len(X) / 100)


for line in sys.stdin:
    start, cpu = time.perf_counter(), time.process_time()
    error = epoch()
    print(json.dumps([time.perf_counter() - start, time.process_time() - cpu, error]), flush=True)
"""


class Torch:
    """The same loop in PyTorch, an epoch a request."""

    def __init__(self, python: str, threads: int, data: Path) -> None:
        self._process = subprocess.Popen(
            [python, "-c", TORCH, str(threads), str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self) -> list[float]:
        """Run an epoch; return its seconds, processor seconds and error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        answer: list[float] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def main() -> None:
    """Measure, and print a table or JSON."""
    options = _options()
    os.environ["PYIMGRET_THREADS"] = str(options.threads)
    X = _digits(options.mnist, options.count)
    path = Path(options.scratch) / "rbm_epoch_digits.npy"
    np.save(path, X)
    torch = Torch(options.torch_python, options.threads, path)
    runs: dict[str, Callable[[], list[float]]] = {"pyimgret": _ours(X), "torch": torch}
    if not options.without_sklearn:
        runs["scikit-learn"] = _sklearn(X)
    seconds: dict[str, list[list[float]]] = {name: [] for name in runs}
    for number in range(ROUNDS + 1):
        for name, run in runs.items():
            time.sleep(options.rest)
            answer = run()
            if number:  # the first round warms caches, compilers and threads
                seconds[name].append(answer)
    torch.close()
    path.unlink()
    result = _summary(seconds, options)
    print(json.dumps(result) if options.json else _text(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mnist", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--without-sklearn", action="store_true")
    parser.add_argument("--scratch", default=".", help="a folder for a file of the digits")
    parser.add_argument("--rest", type=float, default=0.0, help="seconds before each run")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _digits(folder: Path, count: int) -> Any:
    from pyimgret.datasets import load_idx

    images = load_idx(next(iter(sorted(folder.glob("train-images*")))))[:count]
    return images.reshape(len(images), -1) / np.float32(255)


def _ours(X: Any) -> Callable[[], list[float]]:
    from pyimgret import RBM

    rbm = RBM(1000, momentum=0.5, random_state=0, verbose=False)

    def epoch() -> list[float]:
        start, cpu = time.perf_counter(), time.process_time()
        rbm.partial_fit(X)
        return [time.perf_counter() - start, time.process_time() - cpu, rbm.history_["error"][-1]]

    return epoch


def _sklearn(X: Any) -> Callable[[], list[float]]:
    from sklearn.neural_network import BernoulliRBM

    rbm = BernoulliRBM(1000, learning_rate=0.1, batch_size=100, n_iter=1, random_state=0)

    def epoch() -> list[float]:
        start, cpu = time.perf_counter(), time.process_time()
        rbm.fit(X)
        return [time.perf_counter() - start, time.process_time() - cpu, float("nan")]

    return epoch


def _summary(answers: dict[str, list[list[float]]], options: argparse.Namespace) -> dict[str, Any]:
    rows = {
        name: {
            "seconds": statistics.median(a[0] for a in got),
            "spread": max(a[0] for a in got) / min(a[0] for a in got),
            "cpu_seconds": statistics.median(a[1] for a in got),
            "error": got[-1][2],
        }
        for name, got in answers.items()
    }
    ours = rows["pyimgret"]["seconds"]
    ratios = {name: row["seconds"] / ours for name, row in rows.items() if name != "pyimgret"}
    return {
        "count": options.count,
        "threads": options.threads,
        "load": os.getloadavg()[0],
        "rows": rows,
        "times_as_fast_as": ratios,
    }


def _text(result: dict[str, Any]) -> str:
    lines = [f"{result['count']:,} digits, {result['threads']} threads, load {result['load']:.1f}"]
    for name, row in result["rows"].items():
        lines.append(
            f"{name:13} {row['seconds']:7.3f} s (slowest / fastest {row['spread']:.2f}), "
            f"{row['cpu_seconds']:.3f} s of processor time, error {row['error']:.4f}"
        )
    ratios = result["times_as_fast_as"].items()
    return "\n".join([*lines, *(f"{ratio:.2f} times as fast as {name}" for name, ratio in ratios)])


if __name__ == "__main__":
    main()
