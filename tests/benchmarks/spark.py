"""Spark on loopback: one worker against two, and the memory that a million vectors take.

``python -m tests.benchmarks.spark [--rows N] [--photos N] [--vectors N] [--json]``

Each worker is one core and one thread, and the first run takes one of the two. Encoding is
timed without start-up (Java, ND4J and the model in each executor): from the first rows that
come out to the last file; the time with the executors' start is reported beside it. Training
is the sum of the epochs but the first. Photos are JPEGs cut from the two that scikit-learn
carries, for MobileNetV2 (``PYIMGRET_WEIGHTS``, or its package). Memory is the peak resident
size, by /proc, of the driver and of each executor.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from pyimgret import spark
from pyimgret.datasets import load_digits
from pyimgret.models import Autoencoder
from pyimgret.pretrained import mobilenet_v2
from tests.spark.cluster import Cluster, children

MIB = 1 << 20


class PeakMemory:
    """Watches the resident memory of the driver and the executors of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.peaks: dict[str, dict[int, int]] = {"driver": {}, "executor": {}}
        self._cluster = cluster
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        daemons = {p.process.pid for p in [self._cluster.master, *self._cluster.workers]}
        while not self._stop.wait(0.2):
            for pid in children(os.getpid()):
                if pid not in daemons:
                    self._note("driver", pid)
            for worker in self._cluster.workers:
                for pid in worker.executors():
                    self._note("executor", pid)

    def _note(self, kind: str, pid: int) -> None:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return
        size = pages * os.sysconf("SC_PAGE_SIZE") // MIB
        self.peaks[kind][pid] = max(size, self.peaks[kind].get(pid, 0))

    def largest(self) -> dict[str, int]:
        """Return the largest peak of each kind in MiB."""
        return {kind: max(found.values(), default=0) for kind, found in self.peaks.items()}


def _options(master: str, cores: int) -> spark.SparkOptions:
    return spark.SparkOptions(
        master=master,
        executor_memory="1g",
        driver_memory="1g",
        off_heap=1024,
        max_cores=cores,
        jars="local",
        conf={"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"},
    )


def _write_digits(path: Path, rows: int) -> Path:
    """Write shifted digits, block by block."""
    images = load_digits().images
    out = np.lib.format.open_memmap(path, "w+", np.uint8, (rows, 28, 28))
    for start in range(0, rows, len(images)):
        block = out[start : start + len(images)]
        shift = start // len(images)
        block[:] = np.roll(images, (shift % 5 - 2, shift // 5 % 5 - 2), (1, 2))[: len(block)]
    out.flush()
    return path


def _write_photos(folder: Path, count: int) -> Path:
    """Write JPEGs of 400 x 300, cut from anywhere of two photographs."""
    folder.mkdir()
    photos = load_sample_images().images
    random = np.random.default_rng(0)
    for number in range(count):
        photo = photos[number % 2]
        y, x = random.integers(0, (photo.shape[0] - 300, photo.shape[1] - 400))
        cut = Image.fromarray(photo[y : y + 300, x : x + 400])
        cut.save(folder / f"{number}.jpg", quality=90)
    return folder


def encoding(folder: Path, rows: int) -> dict[str, Any]:
    """Encode digits with one worker and with two."""
    data = spark.Arrays(_write_digits(folder / "digits.npy", rows))
    model = Autoencoder(epochs=1, random_state=0).fit(load_digits().images)
    model.save(folder / "ae.zip")
    return {"rows": rows} | _encode(folder, "ae", data, max(500, rows // 40))


def photos(folder: Path, count: int) -> dict[str, Any]:
    """Encode photos with one worker and with two."""
    data = spark.Images(_write_photos(folder / "photos", count))
    mobilenet_v2().save(folder / "mobilenet.zip")
    return {"photos": count} | _encode(folder, "mobilenet", data, max(32, count // 40), batch=16)


def _encode(
    folder: Path, model: str, data: spark.Arrays | spark.Images, part: int, batch: int = 256
) -> dict[str, Any]:
    """Encode the same by one worker and by two; rates are a second, once rows come out."""
    seconds, rates = {}, {}
    with Cluster(_new(folder, f"cluster of {model}"), 2) as cluster:
        for workers in (1, 2):
            clock = Clock()
            report = spark.encode(
                folder / f"{model}.zip",
                data,
                folder / f"{model} by {workers}",
                options=_options(cluster.url, workers),
                part_rows=part,
                batch_size=batch,
                progress=clock,
            )
            seconds[workers] = report.seconds
            rates[workers] = clock.rate(report)
    return {
        "seconds": seconds,
        "rows_a_second": rates,
        "speed_up": rates[2] / rates[1],
        "speed_up_with_start": seconds[1] / seconds[2],
    }


class Clock:
    """Hears when the first rows of a job are done, by when its executors have started."""

    def __init__(self) -> None:
        self._started = 0.0
        self._first = (0.0, 0)

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] == "started":
            self._started = time.perf_counter()
        elif event["event"] == "rows" and event["done"] and not self._first[1]:
            self._first = (time.perf_counter(), event["done"])

    def rate(self, report: spark.EncodingReport) -> float:
        """Return the rows a second after the first ones."""
        when, rows = self._first
        return (report.images - rows) / (report.seconds - (when - self._started))


def training(folder: Path, rows: int, epochs: int) -> dict[str, Any]:
    """Train with one worker and with two; twice the workers take half as many rounds."""
    data = spark.Arrays(_write_digits(folder / "train.npy", rows))
    seconds, losses = {}, {}
    with Cluster(_new(folder, "train"), 2) as cluster:
        for workers in (1, 2):
            model = Autoencoder(epochs=epochs, batch_size=128, random_state=0)
            spark.train(
                model,
                data,
                workers=workers,
                averaging_frequency=10,
                options=_options(cluster.url, workers),
            )
            seconds[workers] = sum(model.history_["seconds"][1:])
            losses[workers] = model.history_["loss"][-1]
    return {
        "rows": rows,
        "epochs": epochs,
        "seconds": seconds,
        "loss": losses,
        "speed_up": seconds[1] / seconds[2],
    }


def memory(folder: Path, rows: int) -> dict[str, Any]:
    """Encode very many vectors and watch the memory."""
    path = folder / "vectors.npy"
    vectors = np.lib.format.open_memmap(path, "w+", np.float32, (rows, 128))
    random = np.random.default_rng(0)
    for start in range(0, rows, 50_000):
        block = vectors[start : start + 50_000]
        block[:] = random.standard_normal(block.shape, dtype=np.float32)
    vectors.flush()
    model = Autoencoder((64,), 30, epochs=1, random_state=0).fit(np.array(vectors[:1000]))
    model.save(folder / "vectors.zip")
    with Cluster(_new(folder, "memory"), 2) as cluster, PeakMemory(cluster) as peak:
        report = spark.encode(
            folder / "vectors.zip",
            spark.Arrays(path),
            folder / "v",
            options=_options(cluster.url, 2),
        )
    return {
        "vectors": report.embeddings,
        "seconds": report.seconds,
        "input_mib": path.stat().st_size // MIB,
        "peak_resident_mib": peak.largest(),
    }


def _new(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000, help="digits to encode")
    parser.add_argument("--photos", type=int, default=6_000, help="photos to encode")
    parser.add_argument("--train-rows", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["encoding", "photos", "training", "memory"])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="pyimgret-spark-benchmark-") as name:
        folder = Path(name)
        parts = {
            "encoding": lambda: encoding(folder, given.rows),
            "photos": lambda: photos(folder, given.photos),
            "training": lambda: training(folder, given.train_rows, given.epochs),
            "memory": lambda: memory(folder, given.vectors),
        }
        wanted = [given.only] if given.only else list(parts)
        result: dict[str, Any] = {part: parts[part]() for part in wanted}
    result["total_seconds"] = time.perf_counter() - start
    result["load_average"] = os.getloadavg()[1]
    print(json.dumps(result, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
