"""Searches by image a second over HTTP: ``python -m tests.benchmarks.service [--json]``.

16 clients on the machine of the server. ``digits``: an autoencoder over 60,000 items, beside
a bare Flask and Waitress app that multiplies by a matrix. ``mobilenet``: MobileNetV2 over
10,000 items, beside the same service without micro-batches. ``cpu_ms`` is the server's
processor time a request, which other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.benchmarks import load

ROUNDS = 5
CLIENTS = 16


def digits(folder: Path) -> tuple[Path, list[bytes]]:
    """Make an index of 60,000 digits (5,000, each moved about), and the queries."""
    from pyimgret import Autoencoder, Encoder, Index
    from pyimgret.datasets import load_digits

    images, _ = load_digits()
    model = Autoencoder((1000, 500, 250), code_size=30, epochs=1, random_state=0)
    encoder = Encoder(model.fit(images[:2000]))
    rng = np.random.default_rng(0)
    vectors = [
        encoder.encode(np.roll(images, rng.integers(-3, 4, 2), axis=(1, 2))) for _ in range(12)
    ]
    index = Index.create(folder / "digits", encoder)
    index.add(np.concatenate(vectors), keys=[f"digits/{n}.png" for n in range(60_000)])
    np.save(folder / "vectors.npy", np.concatenate(vectors))
    return folder / "digits", [_png(image) for image in images[:500]]


def mobilenet(folder: Path) -> tuple[Path, list[bytes]]:
    """Make an index of 10,000 vectors under MobileNetV2, and photo-like queries."""
    from pyimgret import Encoder, Index
    from pyimgret.pretrained import mobilenet_v2

    rng = np.random.default_rng(0)
    encoder = Encoder(mobilenet_v2())
    vectors = rng.standard_normal((10_000, encoder.embedding_size)).astype(np.float32)
    index = Index.create(folder / "mobilenet", encoder)
    index.add(vectors, keys=[f"photos/{n}.jpg" for n in range(10_000)])
    coarse = rng.integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    photos = [Image.fromarray(c).resize((320, 240), Image.Resampling.BICUBIC) for c in coarse]
    return folder / "mobilenet", [_png(photo, "JPEG") for photo in photos]


def _png(image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind)
    return buffer.getvalue()


class Place(NamedTuple):
    """Where a server listens, and its process."""

    address: tuple[str, int]
    process: int

    def cpu_seconds(self) -> float:
        """Return the processor time that the server has used."""
        parts = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server(*arguments: str, port: int) -> Iterator[Place]:
    """Run a server as a process of its own until the block ends."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
    )
    try:
        _wait(port)
        yield Place(("127.0.0.1", port), process.pid)
    finally:
        process.terminate()
        process.wait(60)


def _wait(port: int) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
            return
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise TimeoutError(f"nothing answers on port {port}")


def ours(index: Path, port: int, *options: str) -> contextlib.AbstractContextManager:
    """Serve an index with ``pyimgret serve``."""
    code = "from pyimgret.cli import main; main()"
    arguments = ("-c", code, "serve", "--index", str(index), "--port", str(port), *options)
    return server(*arguments, port=port)


def measure(
    places: dict[str, Place], queries: list[bytes], seconds: float
) -> dict[str, dict[str, float]]:
    """Return the medians of the rounds, the servers taking turns."""
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in places}
    for number in range(ROUNDS + 1):
        for name, place in places.items():
            requests = [load.upload(place.address, query) for query in queries]
            before = place.cpu_seconds()
            found = load.run(place.address, requests, clients=CLIENTS, seconds=seconds)
            used = place.cpu_seconds() - before
            found["cpu_ms"] = 1000 * used / (found["per_second"] * seconds)
            if number:  # NB: the first round warms both up
                rounds[name].append(found)
    return {
        name: {f: statistics.median(one[f] for one in found) for f in found[0]}
        for name, found in rounds.items()
    }


def run_digits(folder: Path, seconds: float) -> dict[str, object]:
    """Compare the service with the bare application."""
    index, queries = digits(folder)
    bare = ("-m", "tests.benchmarks.bare_app", str(folder / "vectors.npy"), "8791")
    with ours(index, 8790) as service, server(*bare, port=8791) as peer:
        found = measure({"service": service, "bare app": peer}, queries, seconds)
    return _with_ratio(found, "service", "bare app")


def run_mobilenet(folder: Path, seconds: float) -> dict[str, object]:
    """Compare the service with itself, one image at a time."""
    index, queries = mobilenet(folder)
    alone = ("--batch-size", "1", "--batch-wait", "0")
    with ours(index, 8792) as service, ours(index, 8793, *alone) as peer:
        found = measure({"service": service, "without batches": peer}, queries, seconds)
    return _with_ratio(found, "service", "without batches")


def _with_ratio(found: dict[str, dict[str, float]], one: str, other: str) -> dict[str, object]:
    return {**found, "ratio": found[one]["per_second"] / found[other]["per_second"]}


PARTS: dict[str, Callable[[Path, float], dict[str, object]]] = {
    "digits": run_digits,
    "mobilenet": run_mobilenet,
}


def main() -> None:
    """Run the selected parts and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=5.0, help="of a round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {name: PARTS[name](Path(folder), options.seconds) for name in options.parts}
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, result in found.items():
        print(f"{name}: ratio {result.pop('ratio'):.2f}")
        for server_name, figures in result.items():
            print("  ", server_name, {f: round(v, 1) for f, v in figures.items()})


if __name__ == "__main__":
    main()
