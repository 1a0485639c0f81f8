"""How long one image takes to encode while a network trains in the same process.

``python -m tests.benchmarks.encode_beside_fit``

A dense autoencoder, then a convolutional network, is fitted by the main thread; meanwhile
another thread encodes 200 images one by one, with a model of the same kind and with one of
the other kind. Prints JSON: for each pair the median and the worst time in milliseconds, the
same without a fit beside it, and the load of the machine.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pyimgret import Autoencoder, ConvNet
from pyimgret.datasets import load_digits
from tests.benchmarks.other_work import OtherWork

CALLS = 200
#: Seconds between two calls, so that the fit has something to be disturbed in.
PAUSE = 0.01
#: Seconds of the fit before the first call.
WARM_UP = 3.0

X, LABELS = load_digits()


def autoencoder(epochs: int) -> Autoencoder:
    """Return a dense autoencoder, 784-1000-500-250-30 and back, not fitted."""
    return Autoencoder(epochs=epochs, random_state=0, verbose=False)


def convnet(epochs: int) -> ConvNet:
    """Return a convolutional network of LeNet's size, not fitted."""
    return ConvNet(epochs=epochs, random_state=0, verbose=False)


KINDS: dict[str, Callable[[int], Any]] = {"autoencoder": autoencoder, "convnet": convnet}


def latencies(model: Any) -> dict[str, float]:
    """Encode one image after the other; return the median and the worst time."""
    milliseconds = []
    for number in range(CALLS):
        image = X[number : number + 1]
        start = time.perf_counter()
        code = model.encode(image)
        milliseconds.append(1000 * (time.perf_counter() - start))
        assert np.isfinite(code).all()
        time.sleep(PAUSE)
    return {
        "median_ms": statistics.median(milliseconds),
        "p99_ms": sorted(milliseconds)[-CALLS // 100 - 1],
        "worst_ms": max(milliseconds),
    }


def beside(fitted: Any, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Fit a model, and measure meanwhile; the fit ends by Ctrl-C when that is done."""
    result: dict[str, Any] = {}

    def work() -> None:
        try:
            while not hasattr(fitted, "code_layer_"):
                time.sleep(0.01)
            time.sleep(WARM_UP)
            result.update(measure())
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        fitted.fit(X, LABELS)
        raise RuntimeError("the fit was over before the encoding was; give it more epochs")
    except KeyboardInterrupt:
        thread.join()
    return result


def main() -> None:
    """Measure all pairs and print JSON."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    watch = OtherWork()
    encoders = {name: make(1).fit(X[:2000], LABELS[:2000]) for name, make in KINDS.items()}
    for model in encoders.values():
        latencies(model)  # the JVM compiles what runs often
    result: dict[str, Any] = {"idle": {n: latencies(m) for n, m in encoders.items()}}
    result["beside_fit_of"] = {
        name: beside(make(10_000), lambda: {n: latencies(m) for n, m in encoders.items()})
        for name, make in KINDS.items()
    }
    print(json.dumps(result | {"conditions": watch.so_far()}, indent=1))


if __name__ == "__main__":
    main()
