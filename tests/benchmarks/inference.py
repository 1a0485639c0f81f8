"""Networks' outputs beside ONNX Runtime and OpenVINO.

    python -m tests.benchmarks.inference [--only NAME ...] [--rounds N] [--models DIR] [--json]

Each side is a process of its own with as many threads as there are cores. They take turns, round
by round, and are stopped (SIGSTOP) between their turns, because a peer's waiting threads spin. A
figure is the median of the rounds' medians, after a round that is not counted, in rows a second.
The peers run the same networks as PyTorch exports them: OpenVINO in its latency mode for one row,
in the better of its two modes for more; ONNX Runtime as one session, and for more than one row
also as one session a core. ``ratio`` is ours divided by the faster peer's. Ours is
`TensorEncoder` in a JVM, embeddings of length 1 included. ``OPENBLAS_CORETYPE`` and
``OPENBLAS_L2_SIZE`` are unset. ``--beside N`` keeps N other processes busy meanwhile, and
``--models`` keeps the networks for another run. Needs the extra ``bench`` and MobileNetV2's
weights.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret import Autoencoder, Network
from pyimgret.datasets import load_digits
from pyimgret.jvm.jars import jar_folder
from pyimgret.layers import Convolution2D, Dense, Output, Pooling2D
from pyimgret.pretrained import mobilenet_v2

CORES = len(os.sched_getaffinity(0))
SECONDS = 0.6
#: Name to network, rows at a time.
CASES = {
    "MobileNetV2, one image": ("mobilenet", 1),
    "MobileNetV2, batch 16": ("mobilenet", 16),
    "dense encoder, one vector": ("dense", 1),
    "dense encoder, batch 4096": ("dense", 4096),
    "LeNet output, batch 128": ("lenet", 128),
}
SHAPES = {"mobilenet": (3, 224, 224), "dense": (784,), "lenet": (1, 28, 28)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=["onnxruntime", "openvino"])
    parser.add_argument("--models", type=Path)
    options = parser.parse_args()
    if options.side:
        serve(PEERS[options.side], options.models)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.models or Path(temporary)
        results = measure(folder, options.only, options.rounds, options.beside)
    if options.json:
        print(json.dumps(results, indent=1))
        return
    for name, figures in results.items():
        print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()))


def measure(
    folder: Path, names: list[str], rounds: int, beside: int
) -> dict[str, dict[str, float]]:
    """Let the sides take turns; return rows a second and ours over the faster peer's."""
    for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(variable, None)
    spin = [sys.executable, "-c", "while True: pass"]
    results = {}
    if not (folder / "lenet.onnx").exists():
        make_models(folder)
    sides = {name: Side(command) for name, command in commands(folder).items()}
    others = [subprocess.Popen(spin) for _ in range(beside)]
    try:
        for name in names:
            results[name] = _compared(sides, *CASES[name], rounds)
    finally:
        for process in [*others, *(side.process for side in sides.values())]:
            process.kill()
            process.wait()
    return results


def _compared(sides: dict[str, Side], network: str, rows: int, rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            median = side.run(network, rows)
            if number:
                times[name].append(median)
    speeds = {name: rows / statistics.median(values) for name, values in times.items()}
    peers = max(speed for name, speed in speeds.items() if name != "ours")
    return {**speeds, "ratio": speeds["ours"] / peers, "load": os.getloadavg()[0]}


class Side:
    """A process that measures when it is asked, and is stopped otherwise."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
        )
        self._line()
        self.process.send_signal(signal.SIGSTOP)

    def run(self, network: str, rows: int) -> float:
        """Return the median of the times of a call, in seconds."""
        self.process.send_signal(signal.SIGCONT)
        assert self.process.stdin is not None
        self.process.stdin.write(f"{network} {rows} {SECONDS}\n")
        times = [float(word) for word in self._line().split()]
        self.process.send_signal(signal.SIGSTOP)
        return statistics.median(times)

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} has ended")
        return line


def commands(folder: Path) -> dict[str, list[str]]:
    """Give the command line of each side."""
    jars = str(jar_folder() / "*")
    subprocess.run(
        ["javac", "-cp", jars, "-d", folder, Path(__file__).with_name("JavaInference.java")],
        check=True,
    )
    java = [
        "java",
        "-Xmx2g",
        "-Dorg.bytedeco.javacpp.maxphysicalbytes=0",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        "-cp",
        f"{jars}:{folder}",
        "JavaInference",
        *(f"{name}={folder / name}.zip" for name in SHAPES),
    ]
    python = [sys.executable, "-m", "tests.benchmarks.inference", "--models", str(folder)]
    return {"ours": java} | {peer: [*python, "--side", peer] for peer in PEERS}


def make_models(folder: Path) -> None:
    """Write the three networks, ours and as ONNX."""
    import torch
    from torch import nn
    from torchvision.models import mobilenet_v2 as torchvision_network

    from tests.benchmarks.torch_networks import lenet_to_features

    x, y = load_digits()
    mobilenet_v2().save(folder / "mobilenet.zip")
    Autoencoder(batch_normalization=False, epochs=1, random_state=0).fit(x).save(
        folder / "dense.zip"
    )
    Network(
        [
            Convolution2D(20, 5, activation="relu"),
            Pooling2D(),
            Convolution2D(50, 5, activation="relu"),
            Pooling2D(),
            Dense(500, "relu"),
            Output(10, "categorical_cross_entropy", "softmax"),
        ],
        input="convolutional",
        epochs=1,
        random_state=0,
        code_layer=5,
    ).fit(x, y).save(folder / "lenet.zip")
    networks = {
        "mobilenet": nn.Sequential(
            torchvision_network().features, nn.AdaptiveAvgPool2d(1), nn.Flatten()
        ),
        "dense": nn.Sequential(
            nn.Linear(784, 1000),
            nn.ReLU(),
            nn.Linear(1000, 500),
            nn.ReLU(),
            nn.Linear(500, 250),
            nn.ReLU(),
            nn.Linear(250, 30),
        ),
        "lenet": nn.Sequential(
            *lenet_to_features(),
            nn.Linear(500, 10),
            nn.Softmax(1),
        ),
    }
    for name, network in networks.items():
        torch.onnx.export(
            network.eval(),
            torch.zeros(1, *SHAPES[name]),
            folder / f"{name}.onnx",
            input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
            dynamo=False,
        )


def serve(make: Callable[[Path, int, Any], list[Callable[[], Any]]], folder: Path) -> None:
    """Measure what is asked for, line by line; of several ways, the faster."""
    print("ready", flush=True)
    ways: dict[tuple[str, int], list[Callable[[], Any]]] = {}
    for line in sys.stdin:
        network, rows, seconds = line.split()
        key = network, int(rows)
        if key not in ways:
            x = np.random.default_rng(0).random((key[1], *SHAPES[network]), dtype=np.float32)
            ways[key] = make(folder / f"{network}.onnx", key[1], x)
        found = [_times(way, float(seconds) / len(ways[key])) for way in ways[key]]
        print(*min(found, key=statistics.median), flush=True)


def _times(call: Callable[[], Any], seconds: float) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def onnxruntime(model: Path, rows: int, x: Any) -> list[Callable[[], Any]]:
    """Give one session on all cores and, for several rows, one on each core."""
    import onnxruntime as ort

    def session(threads: int) -> Any:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    whole = session(CORES)
    ways: list[Callable[[], Any]] = [lambda: whole.run(None, {"x": x})]
    if rows > 1:
        each, pool = [session(1) for _ in range(CORES)], ThreadPoolExecutor(CORES)
        parts = np.array_split(x, CORES)
        ways.append(lambda: list(pool.map(lambda s, p: s.run(None, {"x": p}), each, parts)))
    return ways


def openvino(model: Path, rows: int, x: Any) -> list[Callable[[], Any]]:
    """Give the latency mode and, for several rows, the throughput mode."""
    import openvino as ov

    core = ov.Core()

    def request(size: int, **settings: Any) -> Any:
        network = core.read_model(model)
        network.reshape([size, *x.shape[1:]])
        settings |= {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": CORES}
        return core.compile_model(network, "CPU", settings)

    latency = request(rows, PERFORMANCE_HINT="LATENCY").create_infer_request()
    ways: list[Callable[[], Any]] = [lambda: latency.infer({0: x}, share_inputs=True)]
    if rows > 1:
        size = 1 if rows <= 16 else rows // (4 * CORES)
        compiled = request(size, PERFORMANCE_HINT="THROUGHPUT", NUM_STREAMS=CORES)
        queue = ov.AsyncInferQueue(compiled, CORES)
        parts = np.array_split(x, rows // size)

        def stream() -> None:
            for part in parts:
                queue.start_async({0: part}, share_inputs=True)
            queue.wait_all()

        ways.append(stream)
    return ways


PEERS = {"onnxruntime": onnxruntime, "openvino": openvino}

if __name__ == "__main__":
    main()
