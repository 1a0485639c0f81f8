"""``fit`` from Python beside the same loop in pure Java: ``python -m tests.benchmarks.java_fit``.

An autoencoder 784-1000-500-250-30 learns the digits of `load_digits`, batch
256, Adam. Three sides take turns, five counted rounds after two that are not, each round a
whole training from a new network on:

- ``python``: `Autoencoder.fit`, this process;
- ``java``: the same network and `org.pyimgret.nn.Trainer` in a JVM that Python has no part in,
  with the same options;
- ``stock``: Deeplearning4j's own ``MultiLayerNetwork.fit`` in that JVM.

``python_of_java`` is the speed of ``python`` divided by that of ``java``: 1 is as fast.
Prints JSON: medians, every round, and the last epoch's loss, which is the same number for
``python`` and ``java`` because order and weights follow from the seed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret import Autoencoder
from pyimgret._jvm.jars import jar_folder
from pyimgret._jvm.settings import current_settings
from pyimgret.datasets import load_digits
from pyimgret.networks._input import as_input, preprocessor_for
from pyimgret.networks._training import Targets

ROUNDS, WARM = 5, 2
PAUSE = 1.0


def main() -> None:
    """Let the sides take turns and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    images = load_digits()[0]
    model = Autoencoder(
        batch_normalization=False, output="identity", schedule="constant",
        batch_size=256, epochs=options.epochs, random_state=0,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        java = JavaSide(Path(folder), model, images)
        print(json.dumps(compared(model, images, java), indent=2))
        java.close()


def compared(model: Autoencoder, images: np.ndarray, java: JavaSide) -> dict[str, Any]:
    """Run the sides in turn; return seconds and losses."""
    load = [round(value, 1) for value in os.getloadavg()]
    sides = {
        "python": lambda: python_fit(model, images),
        "java": lambda: java.fit("trainer"),
        "stock": lambda: java.fit("stock"),
    }
    rounds = [_round(sides, number) for number in range(WARM + ROUNDS)][WARM:]
    seconds = {name: [round(one[name][0], 3) for one in rounds] for name in sides}
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "epochs": model.epochs, "images": len(images), "load_before": load,
        "seconds": medians, "rounds": seconds,
        "loss": {name: rounds[-1][name][1] for name in sides},
        "python_of_java": round(medians["java"] / medians["python"], 3),
        "python_of_stock": round(medians["stock"] / medians["python"], 3),
    }  # fmt: skip


def _round(sides: dict[str, Any], number: int) -> dict[str, tuple[float, float]]:
    """Run each side once, the first two in turning order, after a breath for the JVMs' cleaning."""
    python, java, stock = sides
    order = [python, java, stock] if number % 2 else [java, python, stock]
    done = {}
    for name in order:
        time.sleep(PAUSE)
        done[name] = sides[name]()
    return done


def python_fit(model: Autoencoder, images: np.ndarray) -> tuple[float, float]:
    """Fit; return the seconds and the last loss."""
    start = time.perf_counter()
    model.fit(images)
    return time.perf_counter() - start, model.history_["loss"][-1]


class JavaSide:
    """The other JVM: compiled from JavaFit.java, told what to train line by line."""

    def __init__(self, folder: Path, model: Autoencoder, images: np.ndarray) -> None:
        (folder / "pixels").write_bytes(images.tobytes())
        (folder / "settings.json").write_text(json.dumps(_settings(model, images)))
        jars, java = f"{jar_folder()}/*", shutil.which("java") or "java"
        source = Path(__file__).with_name("JavaFit.java")
        command = ["javac", "-proc:none", "-cp", jars, "-d", folder, source]
        subprocess.run(command, check=True)
        settings = current_settings()
        self._process = subprocess.Popen(
            [java, *settings.jvm_options(), "-cp", f"{folder}{os.pathsep}{jars}", "JavaFit",
             folder / "settings.json", folder / "pixels"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, **settings.environment()},
        )  # fmt: skip

    def fit(self, how: str) -> tuple[float, float]:
        """Train in Java; return the seconds and the last loss."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{how}\n")
        self._process.stdin.flush()
        seconds, loss = self._process.stdout.readline().split()
        return float(seconds), float(loss)

    def close(self) -> None:
        """End the JVM."""
        self._process.communicate()


def _settings(model: Autoencoder, images: np.ndarray) -> dict[str, Any]:
    """Return what `Autoencoder.fit` hands to Java, without the addresses."""
    seed = 0
    data = as_input(images, preprocessor_for(images), None, kind=model._input_kind())
    described = {**data.to_dict(), "address": 0, "table": 0}
    return {
        "network": model._settings(data, Targets(), seed),
        "training": {
            "images": described, "targets": Targets().to_dict(), "seed": seed,
            "batch_size": model.batch_size, "shuffle": True,
        },
        "epochs": model.epochs,
    }  # fmt: skip


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
