"""Every network is the reference implementation's, by its logits and features in golden files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from pyimgret import Encoder, with_java
from pyimgret.exceptions import ModelFormatError
from pyimgret.jvm.arrays import InputShape
from pyimgret.preprocessing import normalize
from pyimgret.pretrained import ARCHITECTURES, PretrainedNetwork, load
from pyimgret.pretrained.network import convert
from tests.golden.make_logits import FILE, STEP, drawn, images
from tests.plain_dl4j import plain_codes

GOLDEN = np.load(FILE)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request, published_weights):
    table = ARCHITECTURES[request.param]
    shapes = json.loads(str(GOLDEN[f"{table.name}_shapes"]))
    if not shapes:
        return load(table.name, published_weights(table.name))
    shape = InputShape("convolutional", table.preprocessing.height, table.preprocessing.width, 3)
    model = PretrainedNetwork(table.name)
    model._build(table, convert(table, drawn(shapes), Path("drawn")), shape)
    return model


def test_logits_and_features_are_those_of_the_reference(network) -> None:
    table = ARCHITECTURES[network.architecture]
    pixels = images(table)
    logits, features = network.logits(pixels), network.encode(pixels)
    expected = GOLDEN[f"{table.name}_logits"], GOLDEN[f"{table.name}_features"]
    assert np.abs(logits[:, ::STEP] - expected[0]).max() <= 1e-4
    for ours, theirs in zip((logits, features), expected, strict=True):
        cosines = (normalize(ours[:, ::STEP]) * normalize(theirs)).sum(axis=1)
        assert cosines.min() >= 0.9999
    assert features.shape[1] == table.dimension


def test_the_engine_runs_all_of_it(network) -> None:
    side = network.input_.height

    def compile_network(java) -> None:
        shape = java.autoclass("org.pyimgret.engine.Shape").maps(side, side, 3)
        precision = java.autoclass("org.pyimgret.engine.Precision").FLOAT32
        engine = java.autoclass("org.pyimgret.engine.InferenceNetwork")
        engine.of(java.network(network), "probabilities", shape, precision).close()

    with_java(compile_network)  # an UnsupportedLayerException if Deeplearning4j had to run it


@pytest.mark.parametrize("network", ["efficientnet_lite2", "googlenet", "resnet18"], indirect=True)
def test_deeplearning4j_alone_restores_it(network, tmp_path) -> None:
    table = ARCHITECTURES[network.architecture]
    network.save(tmp_path / "net.zip")
    tensors = table.preprocessing.batch(images(table)[::2])
    shape = f"CONVOLUTIONAL,{network.input_.height},{network.input_.width},3"
    codes = plain_codes(tmp_path / "net.zip", "pooled", shape, tensors)
    assert np.abs(normalize(codes) - normalize(network.encode(tensors))).max() <= 1e-5


@pytest.mark.parametrize("network", ["efficientnet_lite2", "googlenet", "resnet18"], indirect=True)
def test_the_java_encoder_gives_the_same_embeddings(network, tmp_path) -> None:
    network.save(tmp_path / "net.zip")
    photo = tmp_path / "photo.png"
    Image.fromarray(load_sample_images().images[0]).save(photo)

    def encode(java) -> list[float]:
        path = [
            java.autoclass("java.io.File")(str(p)).toPath() for p in (tmp_path / "net.zip", photo)
        ]
        encoder = java.autoclass("org.pyimgret.encoder.ImageEncoder").load(path[0])
        try:
            return list(encoder.encode(path[1]))
        finally:
            encoder.close()

    assert np.abs(np.array(with_java(encode)) - Encoder(network).encode([photo])[0]).max() <= 1e-5


def test_the_published_number_of_weights_is_the_graphs(network) -> None:
    table = ARCHITECTURES[network.architecture]
    layers = {
        layer["name"]: layer["parameters"] for layer in network.java_network.describe()["layers"]
    }
    # NB: of a normalisation's two weights a channel, one is left: the bias.
    folded = sum(layers[r.name][f"{r.name}_b"][-1] for r in table.rows if r.normalisation)
    assert network.java_network.describe()["count"] + folded == table.parameters


def test_a_checkpoint_of_another_size_is_refused(published_weights) -> None:
    wider = published_weights("efficientnet_lite2")
    with pytest.raises(ModelFormatError, match=r"is no checkpoint of efficientnet_lite1: block5_"):
        load("efficientnet_lite1", wider)
    with pytest.raises(ModelFormatError, match=r"lite0: it has _blocks.16._bn0 too"):
        load("efficientnet_lite0", wider)
