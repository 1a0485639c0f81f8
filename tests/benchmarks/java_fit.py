"""``fit`` from Python beside the same loop in pure Java: ``python -m tests.benchmarks.java_fit``.

    python -m tests.benchmarks.java_fit [--epochs 4] [--rounds 15] [--digits 5000]

An autoencoder 784-1000-500-250-30 learns the digits of `load_digits` (again and again, where
``--digits`` is more than there are), batch 256, Adam. The sides take turns, each round a whole
training from a new network on, after two rounds that are not counted:

- ``python``: `Autoencoder.fit`, this process;
- ``java``: the same network and `org.pyimgret.nn.Trainer` in a JVM that Python has no part in,
  with the same options;
- ``stock``: Deeplearning4j's own ``MultiLayerNetwork.fit`` in that JVM, every third round.

``python_of_java`` is the speed of ``python`` divided by that of ``java``: 1 is as fast. Even an
idle machine lets equal trainings differ by a tenth, mostly from one half minute to the next. So
each training in Python is compared with its neighbour in Java, the first of the two is the one
and the other by turns, and the median of these ratios is given; ``middle_half`` is the range of
the half of them around it. ``other_estimates`` are the ratios of the medians, the sums and the
fastest: where they disagree with the first by more than a hundredth or two, none of them is to be
believed to the hundredth. ``an_epoch`` and ``beside_epochs`` divide a training into what grows
with the work and what does not: making the network, reading its weights and the like.
Prints JSON. The last epoch's loss is the same number for ``python`` and ``java``, because order
and weights follow from the seed.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret import Autoencoder
from pyimgret.datasets import load_digits
from pyimgret.jvm import current_settings
from pyimgret.jvm.jars import jar_folder
from pyimgret.preprocessing.inputs import as_input, preprocessor_for
from pyimgret.training import Targets

WARM = 2
PAUSE = 0.3
#: Of one training: seconds, the last epoch's loss, and the seconds of each epoch.
Run = tuple[float, float, list[float]]


def main() -> None:
    """Let the sides take turns and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--digits", type=int, default=5000)
    options = parser.parse_args()
    images = np.resize(load_digits()[0], (options.digits, 28, 28))
    model = Autoencoder(
        batch_normalization=False,
        output="identity",
        schedule="constant",
        batch_size=256,
        epochs=options.epochs,
        random_state=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        java = JavaSide(Path(folder), model, images)
        print(json.dumps(compared(model, images, java, options.rounds), indent=2))
        java.close()


def compared(model: Autoencoder, images: np.ndarray, java: JavaSide, rounds: int) -> dict[str, Any]:
    """Run the sides in turn; return seconds, ratios and losses."""
    load = [round(value, 1) for value in os.getloadavg()]
    sides: dict[str, Callable[[], Run]] = {
        "python": lambda: python_fit(model, images),
        "java": lambda: java.fit("trainer"),
        "stock": lambda: java.fit("stock"),
    }
    done = [_round(sides, number) for number in range(WARM + rounds)][WARM:]
    runs = {name: [one[name] for one in done if name in one] for name in sides}
    seconds = {name: [run[0] for run in those] for name, those in runs.items()}
    ratios = [j / p for j, p in zip(seconds["java"], seconds["python"], strict=True)]
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "epochs": model.epochs,
        "images": len(images),
        "load_before": load,
        "python_of_java": round(statistics.median(ratios), 3),
        "middle_half": [round(q, 3) for q in statistics.quantiles(ratios, n=4)[::2]],
        "other_estimates": _estimates(seconds["python"], seconds["java"]),
        "python_of_stock": round(medians["stock"] / medians["python"], 3),
        "seconds": {name: round(value, 3) for name, value in medians.items()},
        **_parts({name: runs[name] for name in ("python", "java")}),
        "loss": {name: those[-1][1] for name, those in runs.items()},
        "rounds": {name: [round(t, 3) for t in times] for name, times in seconds.items()},
    }


def _estimates(python: list[float], java: list[float]) -> dict[str, float]:
    """Compare the sides as wholes."""
    ways: dict[str, Callable[[list[float]], float]] = {
        "medians": statistics.median,
        "sums": sum,
        "fastest": min,
    }
    return {name: round(way(java) / way(python), 3) for name, way in ways.items()}


def _parts(runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Divide the trainings into epochs and the rest; medians in seconds."""
    return {
        "an_epoch": {
            name: round(statistics.median(t for run in those for t in run[2]), 4)
            for name, those in runs.items()
        },
        "beside_epochs": {
            name: round(statistics.median(run[0] - sum(run[2]) for run in those), 4)
            for name, those in runs.items()
        },
    }


def _round(sides: dict[str, Callable[[], Run]], number: int) -> dict[str, Run]:
    """Run each side once, the first two in turning order, after a breath for the JVMs' cleaning."""
    python, java, stock = sides
    order = [python, java] if number % 2 else [java, python]
    done = {}
    for name in [*order, *([stock] if number == 0 or number % 3 == WARM else [])]:
        time.sleep(PAUSE)
        done[name] = sides[name]()
    return done


def python_fit(model: Autoencoder, images: np.ndarray) -> Run:
    """Fit; return what it took."""
    start = time.perf_counter()
    model.fit(images)
    seconds = time.perf_counter() - start
    return seconds, model.history_["loss"][-1], model.history_["seconds"]


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
            [
                java,
                *settings.jvm_options(),
                "-cp",
                f"{folder}{os.pathsep}{jars}",
                "JavaFit",
                folder / "settings.json",
                folder / "pixels",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **settings.environment()},
        )

    def fit(self, how: str) -> Run:
        """Train in Java; return what it took."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{how}\n")
        self._process.stdin.flush()
        seconds, loss, *epochs = map(float, self._process.stdout.readline().split())
        return seconds, loss, epochs

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
            "images": described,
            "targets": Targets().to_dict(),
            "seed": seed,
            "batch_size": model.batch_size,
            "shuffle": True,
        },
        "epochs": model.epochs,
    }


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
