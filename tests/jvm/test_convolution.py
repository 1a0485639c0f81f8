"""Convolutions are right, and run on oneDNN."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.jvm.network import JavaNetwork
from pyimgret.layers import Convolution2D, Loss

IMAGE = [
    [35, 40, 41, 45, 50],
    [40, 40, 42, 46, 52],
    [42, 46, 50, 55, 55],
    [48, 52, 56, 58, 60],
    [56, 60, 65, 70, 75],
]

GRADIENTS = """
import json, sys
import numpy as np
from pyimgret.layers import *
from pyimgret.models import Network
from pyimgret.jvm.network import JavaNetwork
X = np.random.default_rng(1).random((64, 28, 28), dtype=np.float32)
y = np.arange(64) % 10
layers = [
    Convolution2D(20, kernel_size=5, name="c1"), Pooling2D(), Convolution2D(50, kernel_size=5),
    BatchNormalization(), Activation("relu"), Pooling2D(), Dense(64, activation="relu"),
    Output(10, loss="categorical_cross_entropy", activation="softmax"),
]
net = Network(layers, input="convolutional", optimizer="sgd", learning_rate=1.0, batch_size=64,
              epochs=1, random_state=3, verbose=False).fit(X, y)
helpers = [layer["helper"] for layer in net.java_network.describe()["layers"]]
np.save(sys.argv[1], net.java_network.parameters)
print(json.dumps(helpers))
"""


def test_flipped_kernel_moves_pixels_up() -> None:
    layers = [Convolution2D(1, mode="same", bias=False), Loss()]
    network = JavaNetwork.create(
        {
            "seed": 0,
            "updater": {"type": "sgd"},
            "input": {"kind": "convolutional", "height": 5, "width": 5, "channels": 1},
            "layers": [layer.to_dict() for layer in layers[:1]],
        }
    )
    kernel = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=np.float32)
    network.set("0_W", kernel[None, None])
    image = np.array(IMAGE, dtype=np.float32)[None]
    data = NetworkInput(image, None, InputShape("convolutional", 5, 5))
    out = network.activate(data, last=0, width=25, batch_size=1).reshape(5, 5)
    assert out[2, 2] == 42
    assert np.array_equal(out[1:], image[0, :-1])
    assert not out[0].any()


def run_gradients(path: str, onednn: str) -> list[str | None]:
    environment = os.environ | {"PYIMGRET_ONEDNN": onednn}
    command = [sys.executable, "-c", GRADIENTS, path]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("gradients")
    paths = [str(folder / f"{name}.npy") for name in ("off", "on")]
    helpers = [run_gradients(path, onednn) for path, onednn in zip(paths, "01", strict=True)]
    return helpers, [np.load(path) for path in paths]


@pytest.mark.skipif(
    not (sys.platform == "linux" and os.uname().machine == "x86_64"),
    reason="ND4J has builds with oneDNN for Linux on x86_64",
)
def test_onednn_is_really_used(both) -> None:
    (off, on), _ = both
    assert off[0] is None
    assert "mkldnn" in str(on[0]).lower() or "onednn" in str(on[0]).lower()


def test_gradients_with_onednn_equal_those_without(both) -> None:
    # One step of plain gradient descent at rate 1 moves the weights by the gradient.
    _, (off, on) = both
    assert np.abs(off - on).max() < 2e-4 * np.abs(off).max()
