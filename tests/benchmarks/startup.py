"""What our start-up options give: LeNet's output with them and without, and the first embedding.

Run as ``python -m tests.benchmarks.startup [--torch] [--json]``. Every figure comes from fresh
processes, the two sides in turn; medians of five. With ``--torch`` the first embedding is taken
from PyTorch as well: an encoder of the same sizes, restored from its file of weights.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5

LENET = """
import time, types
import numpy as np
import pyimgret
from pyimgret.layers import Convolution2D, Dense, Output, Pooling2D
from pyimgret.jvm.arrays import InputShape
from pyimgret.jvm.network import JavaNetwork

layers = [
    Convolution2D(20, kernel_size=5, activation="relu"), Pooling2D(),
    Convolution2D(50, kernel_size=5, activation="relu"), Pooling2D(),
    Dense(500, activation="relu"),
    Output(10, loss="categorical_cross_entropy", activation="softmax"),
]
shape = InputShape("convolutional", 28, 28)
network = JavaNetwork.create({
    "seed": 1, "updater": {"type": "sgd"}, "input": shape.to_network(),
    "layers": [layer.to_dict() for layer in layers],
})


def output(java):
    # Deeplearning4j's own output: an Encoder would run such a network on our engine.
    lenet = java.network(types.SimpleNamespace(java_network=network))
    images = java.autoclass("org.nd4j.linalg.factory.Nd4j").ones(128, 1, 28, 28)
    times = []
    for _ in range(40):
        start = time.perf_counter()
        lenet.output(images).close()
        times.append(time.perf_counter() - start)
    return times


times = pyimgret.with_java(output)
print(1000 * float(np.median(times[10:])))
"""

FIRST = """
import sys, time
start = time.perf_counter()
import numpy as np
import pyimgret
encoder = pyimgret.Encoder.load(sys.argv[1])
encoder.encode(np.zeros((1, 28, 28), np.uint8))
print(time.perf_counter() - start)
"""

TORCH = """
import sys, time
start = time.perf_counter()
import numpy as np
import torch
from torch import nn
net = nn.Sequential(
    nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 250), nn.ReLU(), nn.Linear(250, 30)
)
if len(sys.argv) > 2:
    torch.save(net.state_dict(), sys.argv[1])
net.load_state_dict(torch.load(sys.argv[1], weights_only=True))
x = torch.from_numpy(np.zeros((1, 28, 28), np.uint8)).float().div_(255).reshape(1, -1)
with torch.inference_mode():
    net(x).numpy()
print(time.perf_counter() - start)
"""

MAKE = """
import sys
import numpy as np
import pyimgret
X = (np.random.default_rng(0).random((200, 28, 28)) * 255).astype(np.uint8)
model = pyimgret.Autoencoder((500, 250), 30, epochs=1, random_state=0, verbose=False)
model.fit(X).save(sys.argv[1])
"""


def run(script: str, *arguments: str, **changes: str) -> str:
    """Run a script in a fresh interpreter; return the last line that it prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | changes
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=600
    )
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def measure(*, torch: bool) -> dict[str, Any]:
    """Return both figures with their single measurements."""
    # The lock that Deeplearning4j closes by default; both sides wait passively, which favours it.
    defaults = {"PYIMGRET_ONEDNN": "0"}
    pairs = [(float(run(LENET)), float(run(LENET, **defaults))) for _ in range(ROUNDS)]
    return {
        "load_before": os.getloadavg()[0],
        "lenet_output_ms": {
            "our_options": statistics.median(ours for ours, _ in pairs),
            "deeplearning4j_defaults": statistics.median(theirs for _, theirs in pairs),
            "ratio": statistics.median(theirs / ours for ours, theirs in pairs),
            "pairs": pairs,
        },
        "start_to_first_embedding_s": first_embedding(torch=torch),
    }


def first_embedding(*, torch: bool) -> dict[str, Any]:
    """Return the medians and the single times of ours, and of PyTorch where it is asked for."""
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        model, weights = str(Path(folder) / "ae.zip"), str(Path(folder) / "weights.pt")
        run(MAKE, model)
        if torch:
            run(TORCH, weights, "make")
        for _ in range(ROUNDS):
            ours.append(float(run(FIRST, model)))
            if torch:
                theirs.append(float(run(TORCH, weights)))
    peer = {"torch": statistics.median(theirs), "all_torch": theirs} if torch else {}
    return {"median": statistics.median(ours), "all": ours, **peer}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", action="store_true", help="Start PyTorch beside it.")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    figures = measure(torch=arguments.torch)
    if arguments.json:
        print(json.dumps(figures | {"seconds": time.perf_counter() - begin}, indent=1))
        return
    lenet, first = figures["lenet_output_ms"], figures["start_to_first_embedding_s"]
    print(f"load before: {figures['load_before']:.1f}")
    print(
        f"LeNet output, batch 128: {lenet['our_options']:.1f} ms with our options, "
        f"{lenet['deeplearning4j_defaults']:.1f} ms with the defaults: {lenet['ratio']:.1f} times"
    )
    print(f"process start to first embedding: {first['median']:.2f} s")
    if arguments.torch:
        print(f"the same in PyTorch: {first['torch']:.2f} s")


if __name__ == "__main__":
    main()
