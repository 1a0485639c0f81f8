"""A graph that Deeplearning4j saved itself encodes, once the code layer and the input are given."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

import pyimgret
from pyimgret import Encoder, Preprocessor
from pyimgret.exceptions import ModelFormatError
from pyimgret.jvm.arrays import InputShape
from pyimgret.jvm.graph import JavaGraph
from pyimgret.layers import Convolution2D, Dense, GlobalPooling, Output
from pyimgret.preprocessing.inputs import as_input

SIZE = Preprocessor("RGB", 9, 8)
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 9, 8, 3), dtype=np.uint8)


def graph(kind: str) -> JavaGraph:
    """Make a small graph that takes images, or vectors."""
    first = (
        [Convolution2D(5, name="maps", activation="tanh"), GlobalPooling(name="code")]
        if kind == "convolutional"
        else [Dense(6, name="hidden", activation="tanh"), Dense(5, name="code")]
    )
    layers = [*first, Output(2, name="out")]
    names = ["input", *(layer.name for layer in layers)]
    return JavaGraph.create(
        {
            "seed": 3,
            "updater": {"type": "sgd", "learning_rate": 0.1},
            "input": InputShape(kind, 9, 8, 3).to_network(),
            "outputs": ["out"],
            "vertices": [
                layer.to_dict() | {"inputs": [before]}
                for layer, before in zip(layers, names, strict=False)
            ],
        }
    )


@pytest.mark.parametrize("kind", ["convolutional", "dense"])
def test_it_encodes_as_graph_does(kind, tmp_path) -> None:
    network = graph(kind)
    network.write(tmp_path / "graph.zip")
    model = pyimgret.load(tmp_path / "graph.zip", code_layer="code", preprocessing=SIZE)
    assert model.input_.kind == kind
    place = [layer["name"] for layer in network.describe()["layers"]].index("code")
    data = as_input(PICTURES, SIZE, None, kind=kind)
    expected = network.activate(data, last=place, width=5, batch_size=2)
    assert np.abs(expected).max() > 0
    assert np.array_equal(model.encode(PICTURES), expected)
    model.save(tmp_path / "saved.zip")
    again = Encoder.load(tmp_path / "saved.zip")
    assert np.allclose(again.encode(PICTURES), Encoder(model).encode(PICTURES))


def test_maps_are_those_of_numpy(tmp_path) -> None:
    network = graph("convolutional")
    network.write(tmp_path / "graph.zip")
    model = pyimgret.load(tmp_path / "graph.zip", code_layer="code", preprocessing=SIZE)
    W, b = network.get("maps_W"), network.get("maps_b")
    X = SIZE.batch(PICTURES).transpose(0, 3, 1, 2)
    windows = np.lib.stride_tricks.sliding_window_view(X, (3, 3), axis=(2, 3))
    maps = np.tanh(np.einsum("ncyxij,ocij->noyx", windows, W) + b.reshape(1, -1, 1, 1))
    assert np.allclose(model.encode(PICTURES), maps.mean(axis=(2, 3)), atol=1e-5)


def test_what_it_does_not_say_must_be_given(tmp_path) -> None:
    graph("dense").write(tmp_path / "graph.zip")
    with pytest.raises(ModelFormatError, match=r"load\(path, code_layer=.*preprocessing="):
        pyimgret.load(tmp_path / "graph.zip")
    with pytest.raises(ValueError, match="there are hidden, code, out"):
        pyimgret.load(tmp_path / "graph.zip", code_layer="none", preprocessing=SIZE)


def test_channels_last_is_refused(tmp_path) -> None:
    graph("convolutional").write(tmp_path / "graph.zip")
    other = tmp_path / "last.zip"
    with zipfile.ZipFile(tmp_path / "graph.zip") as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"NCHW"', b'"NHWC"'))
    with pytest.raises(ModelFormatError, match="channels first"):
        pyimgret.load(other, code_layer="code", preprocessing=SIZE)
