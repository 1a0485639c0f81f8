"""Training and output beside PyTorch.

``python -m tests.benchmarks.training [--only NAME] [--json]``

Both sides take turns, round by round, in one process and with as many threads; a figure is
the median of 5 rounds, after one that is not counted. ``ratio`` is ours divided by
PyTorch's: above 1 is faster, for ``wall`` by the clock, for ``cpu`` by the processor time
that each side took, which other load disturbs less. ``noise`` is the widest quarter of the
rounds' times over their median. Both sides train on the same images, with batches gathered
from one tensor, and their losses are shown. Needs PyTorch (the extra ``bench``).
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
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret import Autoencoder, Network
from pyimgret.datasets import load_digits
from pyimgret.jvm.network import JavaTrainer
from pyimgret.layers import Convolution2D, Dense, Output, Pooling2D
from pyimgret.preprocessing.inputs import as_input, preprocessor_for
from pyimgret.training import Targets

ROUNDS = 5
SIZES = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
X, LABELS = load_digits()
STOCK = False


class Ours:
    """A fitted model, trained on by the epoch."""

    def __init__(self, model: Any, y: Any, batch: int, *, stock: bool = False) -> None:
        self.model = model
        kind = model._input_kind()
        self._data = as_input(X, preprocessor_for(X), None, kind=kind)
        labels = None if y is None else y.astype(np.int32)
        self._targets = Targets() if labels is None else Targets("classes", labels, np.arange(10))
        settings = {
            "images": self._data.to_dict(),
            "targets": self._targets.to_dict(),
            "seed": 0,
            "batch_size": batch,
            "shuffle": True,
            "stock": stock,
        }
        self._trainer = JavaTrainer.create(
            model.java_network, settings, keep=(self._data, self._targets)
        )
        self._epoch = 0

    def epoch(self) -> float:
        """Train for an epoch; return its loss."""
        result = self._trainer.epoch(self._epoch, 0, lambda _: None)
        self._epoch += 1
        return float(result["loss"])


class Torch:
    """The same network in PyTorch."""

    def __init__(self, net: Any, loss: Any, batch: int, *, flat: bool, labels: bool) -> None:
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.net, self._loss, self._batch, self._torch = net, loss, batch, torch
        shape = (len(X), -1) if flat else (len(X), 1, 28, 28)
        self.x = torch.from_numpy(X).float().div_(255).reshape(shape)
        self._y = torch.from_numpy(LABELS.astype(np.int64)) if labels else self.x
        self._adam = torch.optim.Adam(net.parameters(), lr=1e-3)

    def epoch(self) -> float:
        """Train for an epoch; return its loss."""
        order = self._torch.randperm(len(self.x))
        losses = []
        for rows in order.split(self._batch):
            self._adam.zero_grad(set_to_none=True)
            loss = self._loss(self.net(self.x[rows]), self._y[rows])
            loss.backward()
            self._adam.step()
            losses.append(loss.item())
        return statistics.fmean(losses)

    def output(self, net: Any, batch: int) -> None:
        """Run all digits through a network."""
        with self._torch.inference_mode():
            for x in self.x.split(batch):
                net(x)


def autoencoder(batch: int) -> tuple[Any, Torch]:
    """Return 784-1000-500-250-30 and back, on both sides."""
    import torch

    model = Autoencoder(
        batch_normalization=False,
        output="identity",
        learning_rate=1e-3,
        schedule="constant",
        batch_size=batch,
        epochs=1,
        random_state=0,
    ).fit(X)
    torch.manual_seed(0)
    layers: list[Any] = []
    for number, (n_in, n_out) in enumerate(pairwise(SIZES)):
        layers.append(torch.nn.Linear(n_in, n_out))
        if number not in (3, 7):
            layers.append(torch.nn.ReLU())
    net = torch.nn.Sequential(*layers)
    _initialise(net)
    theirs = Torch(net, torch.nn.functional.mse_loss, batch, flat=True, labels=False)
    theirs.epoch()
    return model, theirs


def lenet(batch: int) -> tuple[Any, Torch]:
    """Return LeNet on both sides."""
    import torch
    from torch import nn

    from tests.benchmarks.torch_networks import lenet_to_features

    model = Network(
        [
            Convolution2D(20, 5, activation="relu", weight_init="relu"),
            Pooling2D(),
            Convolution2D(50, 5, activation="relu", weight_init="relu"),
            Pooling2D(),
            Dense(500, "relu", weight_init="relu"),
            Output(10, "categorical_cross_entropy", "softmax"),
        ],
        input="convolutional",
        batch_size=batch,
        epochs=1,
        random_state=0,
    ).fit(X, LABELS)
    torch.manual_seed(0)
    net = nn.Sequential(
        *lenet_to_features(),
        nn.Linear(500, 10),
    )
    _initialise(net)
    theirs = Torch(net, nn.functional.cross_entropy, batch, flat=False, labels=True)
    theirs.epoch()
    return model, theirs


def _initialise(net: Any) -> None:
    """Draw weights as ours are drawn (He et al. 2015), biases zero."""
    import torch

    for layer in net:
        if hasattr(layer, "weight"):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            torch.nn.init.zeros_(layer.bias)


def fit(make: Callable[[int], tuple[Any, Torch]], batch: int, *, classes: bool) -> dict[str, Any]:
    """Compare epochs; the stock path is Deeplearning4j's own ``fit`` on the same data."""
    model, theirs = make(batch)
    y = LABELS if classes else None
    sides = {"ours": Ours(model, y, batch).epoch, "torch": theirs.epoch}
    if STOCK:
        sides["stock"] = Ours(make(batch)[0], y, batch, stock=True).epoch
    return compared(sides)


def encode() -> dict[str, Any]:
    """Compare the encoding of 5,000 digits, the images being uint8 on our side."""
    model, theirs = autoencoder(256)
    half = theirs.net[:7]
    model.encode(X)
    return compared({"ours": lambda: model.encode(X), "torch": lambda: theirs.output(half, 1024)})


def lenet_output() -> dict[str, Any]:
    """Compare the output of LeNet over 5,000 digits."""
    model, theirs = lenet(128)
    return compared(
        {
            "ours": lambda: model.activate(X, model.last_layer, batch_size=128),
            "torch": lambda: theirs.output(theirs.net, 128),
        }
    )


def compared(sides: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Run the sides in turn; return images a second, ratios, noise and last losses."""
    wall: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    last: dict[str, Any] = {}
    for number in range(ROUNDS + 1):
        for name, side in sides.items():
            start, used = time.perf_counter(), time.process_time()
            result = side()
            if number:
                wall[name].append(time.perf_counter() - start)
                cpu[name].append(time.process_time() - used)
            if isinstance(result, float):
                last[name] = round(result, 5)
    return _figures(wall, cpu) | ({"loss": last} if last else {})


def _figures(wall: dict[str, list[float]], cpu: dict[str, list[float]]) -> dict[str, Any]:
    by_clock = {name: statistics.median(times) for name, times in wall.items()}
    by_cpu = {name: statistics.median(times) for name, times in cpu.items()}
    return {
        "images_a_second": {name: round(len(X) / s) for name, s in by_clock.items()},
        "images_a_cpu_second": {name: round(len(X) / s) for name, s in by_cpu.items()},
        "ratio": {
            "wall": round(by_clock["torch"] / by_clock["ours"], 2),
            "cpu": round(by_cpu["torch"] / by_cpu["ours"], 2),
        },
        "noise": {name: round(_spread(times), 2) for name, times in wall.items()},
    }


def _spread(times: list[float]) -> float:
    low, middle, high = statistics.quantiles(times, n=4)
    return (high - low) / middle


def memory() -> dict[str, Any]:
    """Compare the peak memory of one epoch on 60,000 digits, a fresh process each."""
    peaks = {}
    for side in ("ours", "torch"):
        command = [sys.executable, "-m", "tests.benchmarks.training", "--peak", side]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[side] = int(done.stdout)
    return {"peak_mib": peaks, "part": round(peaks["ours"] / peaks["torch"], 2)}


def peak(side: str) -> int:
    """Train on 60,000 digits in this process; return its largest resident size in MiB."""
    global X
    X = np.tile(X, (12, 1, 1))
    if side == "ours":
        Autoencoder(batch_normalization=False, batch_size=256, epochs=1, random_state=0).fit(X)
    else:
        _torch_alone()
    return _largest_resident_mib()


def _largest_resident_mib() -> int:
    # NB: ru_maxrss would be the parent's where that was larger: exec() hands it on.
    status = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) >> 10


def _torch_alone() -> None:
    import torch

    pairs = pairwise(SIZES)
    layers = [m for a, b in pairs for m in (torch.nn.Linear(a, b), torch.nn.ReLU())]
    net = torch.nn.Sequential(*layers[:-1])
    Torch(net, torch.nn.functional.mse_loss, 256, flat=True, labels=False).epoch()


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "autoencoder-fit-256": lambda: fit(autoencoder, 256, classes=False),
    "autoencoder-fit-1024": lambda: fit(autoencoder, 1024, classes=False),
    "autoencoder-encode": encode,
    "lenet-fit-128": lambda: fit(lenet, 128, classes=True),
    "lenet-output-128": lenet_output,
    "memory": memory,
}


def _choose(digits: int, *, stock: bool) -> None:
    global X, LABELS, STOCK
    chosen = np.random.default_rng(0).permutation(len(X))[:digits]
    X, LABELS, STOCK = X[chosen], LABELS[chosen], stock


def main() -> None:
    """Run the selected parts and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=PARTS, help="Run one part.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    parser.add_argument("--peak", choices=["ours", "torch"], help=argparse.SUPPRESS)
    parser.add_argument("--digits", type=int, default=len(X), help="How many to train on.")
    parser.add_argument("--stock", action="store_true", help="Run Deeplearning4j's fit as well.")
    options = parser.parse_args()
    _choose(options.digits, stock=options.stock)
    if options.peak:
        print(peak(options.peak))
        return
    result: dict[str, Any] = {"load_before": [round(v, 1) for v in os.getloadavg()]}
    for name, part in PARTS.items():
        if options.only in (None, name):
            result[name] = part()
            if not options.json:
                print(f"{name}: {json.dumps(result[name])}", flush=True)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        print(f"load before: {result['load_before']}, after: {os.getloadavg()}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
