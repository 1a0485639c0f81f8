"""Fine-tuning: what is frozen stays to the bit, the rest learns, and one plain file holds both."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import pyimgret
from pyimgret import Encoder
from pyimgret.cli import main
from pyimgret.exceptions import ImageDecodeError, InvalidArgumentError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.jvm.graph import JavaGraph
from pyimgret.pretrained import (
    ARCHITECTURES,
    FineTunedNetwork,
    PretrainedNetwork,
    cached_features,
    find_weights,
    finetuning,
    mobilenet_v2,
)
from pyimgret.pretrained.inverted_residuals import MOBILENET_V2
from pyimgret.training.loop import train
from tests.pictures import made_pictures
from tests.plain_dl4j import plain_codes

pytestmark = pytest.mark.usefixtures("imagenet_weights")

SETTINGS = {"code_size": 8, "epochs": 5, "tuning_epochs": 3, "random_state": 0}
BLOCK = "block16"
CUT = MOBILENET_V2.rows_up_to(BLOCK)


@pytest.fixture(scope="module")
def base():
    return mobilenet_v2()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    files = []
    for number, photo in enumerate(made_pictures(16, seed=9)):
        files.append(folder / f"{number:02}.png")
        Image.fromarray(photo // (6 if number % 2 else 1)).save(files[-1])
    return files, np.array(["light", "dark"] * 8)


@pytest.fixture(scope="module")
def frozen(base, photos, tmp_path_factory):
    layer = FineTunedNetwork(freeze=BLOCK).frozen_layer
    return cached_features(base, photos[0], tmp_path_factory.mktemp("cache"), layer=layer)


@pytest.fixture(scope="module")
def tuned(base, frozen, photos):
    return FineTunedNetwork(freeze=BLOCK, **SETTINGS).fit(base, frozen, photos[1])


def parameters(model) -> dict[str, np.ndarray]:
    network = model.java_network
    layers = network.describe()["layers"]
    return {key: network.get(key) for layer in layers for key in layer["parameters"]}


def test_what_is_frozen_stays_to_bit_and_rest_learns(base, tuned) -> None:
    published, learned = parameters(base), parameters(tuned)
    for number, row in enumerate(MOBILENET_V2.rows):
        for key in (f"{row.name}_W", f"{row.name}_b"):
            if row.weights:
                assert np.array_equal(published[key], learned[key]) == (number < CUT), key


def test_tuning_makes_loss_smaller(tuned) -> None:
    assert len(tuned.history_["tuning_loss"]) == 3
    assert tuned.history_["tuning_loss"][-1] < tuned.history_["loss"][-1]


def test_saved_graph_is_frozen_part_and_then_tuned_one(tuned, frozen, photos, tmp_path) -> None:
    tuned.save(tmp_path / "my.zip")
    again = pyimgret.load(tmp_path / "my.zip")
    shape = InputShape.of("convolutional", frozen)
    tail = JavaGraph.create(tuned._settings(shape, 2, tuned=1))
    for key, values in parameters(tuned).items():
        if any(key in layer["parameters"] for layer in tail.describe()["layers"]):
            tail.set(key, values)
    data = NetworkInput(frozen, None, shape)
    names = [layer["name"] for layer in tail.describe()["layers"]]
    for name, width in (("code", 8), ("classes", 2)):
        parts = tail.activate(data, last=names.index(name), width=width, batch_size=5)
        assert np.abs(again.activate(photos[0], name) - parts).max() <= 1e-5
    assert again.predict(photos[0]).tolist() == tuned.predict(photos[0]).tolist()
    assert again.freeze == BLOCK


def test_deeplearning4j_alone_restores_it(tuned, photos, tmp_path) -> None:
    tuned.save(tmp_path / "my.zip")
    tensors = np.stack([tuned.preprocessor(file) for file in photos[0][:3]])
    codes = plain_codes(tmp_path / "my.zip", "code", "CONVOLUTIONAL,224,224,3", tensors)
    assert np.abs(codes - tuned.encode(photos[0][:3])).max() <= 1e-5


def test_two_runs_with_one_random_state_are_equal(base, tuned, frozen, photos) -> None:
    again = FineTunedNetwork(freeze=BLOCK, **SETTINGS).fit(base, frozen, photos[1])
    other = FineTunedNetwork(freeze=BLOCK, **SETTINGS | {"random_state": 1})
    other.fit(base, frozen, photos[1])
    assert np.array_equal(again.java_network.parameters, tuned.java_network.parameters)
    assert not np.array_equal(other.java_network.parameters, tuned.java_network.parameters)


def test_fixed_centres_stay_while_rest_is_tuned(base, frozen, photos) -> None:
    model = FineTunedNetwork(freeze=BLOCK, **SETTINGS | {"head": "centres"})
    model.fit(base, frozen, photos[1])
    W = model.java_network.get("classes_W")
    assert np.allclose(np.abs(W), 16 / 8)
    assert "classes_b" not in parameters(model)
    assert not np.array_equal(parameters(base)["features_W"], parameters(model)["features_W"])
    assert model.score(*photos) == 1.0


def test_maps_are_those_of_network_in_order_of_images(base, photos) -> None:
    pixels = np.stack([base.preprocessor.pixels(file) for file in photos[0][:2]])
    last = base.feature_maps(pixels, "features").transpose(0, 2, 3, 1)
    assert last.shape == (2, 7, 7, 1280)
    assert np.allclose(last.mean(axis=(1, 2)), base.encode(pixels), atol=1e-5)


def test_cache_is_mapped_and_depends_on_layer_files_and_weights(
    base, photos, tmp_path, monkeypatch
) -> None:
    files = photos[0][:3]

    def stored(network=base, layer="block16_add"):
        return cached_features(network, files, tmp_path, layer=layer)

    first = stored()
    assert isinstance(first, np.memmap)
    assert not first.flags.writeable
    monkeypatch.setattr("pyimgret.pretrained.features._compute", None)  # nothing is computed again
    assert np.array_equal(stored(), first)
    monkeypatch.undo()
    assert stored(layer="block15_add").shape == first.shape
    assert not np.array_equal(stored(layer="block15_add"), first)
    other = mobilenet_v2()
    other.java_network.set("stem_b", other.java_network.get("stem_b") + np.float32(1))
    assert not np.array_equal(stored(other), first)
    assert len(list(tmp_path.iterdir())) == 3
    os.utime(files[0], ns=(1, 1))
    assert np.array_equal(stored(), first)
    assert len(list(tmp_path.iterdir())) == 4


def test_cache_that_cannot_be_finished_leaves_nothing(base, photos, tmp_path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    with pytest.raises(ImageDecodeError):
        cached_features(base, [*photos[0][:2], bad], tmp_path / "cache", layer="block16_add")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("freeze", ["block18", "pooled", "input"])
def test_unknown_block_is_refused_with_those_there_are(freeze) -> None:
    with pytest.raises(ValueError, match=r"no layer .*; known: stem, block1, .*, features"):
        _ = FineTunedNetwork(freeze=freeze).frozen_layer


def test_network_is_not_divided_inside_shortcut() -> None:
    with pytest.raises(ValueError, match="block16_add looks back beyond 'block16_expand'"):
        _ = FineTunedNetwork(freeze="block16_expand").frozen_layer


def test_features_of_another_layer_are_refused(base, frozen, photos) -> None:
    with pytest.raises(ValueError, match="freeze='features' wants vectors"):
        FineTunedNetwork(**SETTINGS).fit(base, frozen, photos[1])


@pytest.mark.parametrize("other", [{"architecture": "resnet18"}, {"pooling": "gem"}])
def test_features_of_another_network_are_refused(base, frozen, photos, other) -> None:
    got = PretrainedNetwork(**base.get_params() | other)
    with pytest.raises(
        InvalidArgumentError, match=r"must be those of mobilenet_v2 with .*'avg', got"
    ):
        FineTunedNetwork(freeze=BLOCK).fit(got, frozen, photos[1])


def test_ctrl_c_while_tuning_leaves_model_that_encodes(base, frozen, photos, monkeypatch):
    def stopping(tail, data, targets, settings, **options):
        train(tail, data, targets, dataclasses.replace(settings, epochs=1), **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(finetuning, "train", stopping)
    model = FineTunedNetwork(freeze=BLOCK, **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        model.fit(base, frozen, photos[1])
    assert (len(model.history_["loss"]), len(model.history_["tuning_loss"])) == (5, 1)
    assert Encoder(model).encode(photos[0][:2]).shape == (2, 8)


def test_command_tunes_and_its_file_embeds(photos, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("pyimgret.files.cache.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("PYIMGRET_WEIGHTS", str(find_weights(MOBILENET_V2.published)))
    for file, label in zip(*photos, strict=True):
        place = tmp_path / "photos" / label / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)
    out = tmp_path / "my.zip"
    arguments = ["train", "--pretrained", "mobilenet_v2", "--images", str(tmp_path / "photos")]
    arguments += ["--freeze", "block17_expand", "--epochs", "3", "--seed", "0", "--json"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["freeze"] == "block17_expand"
    model = pyimgret.load(out)
    assert model.freeze == "block17_expand"
    assert Encoder(model).encode(photos[0][:2]).shape == (2, 30)


def test_freeze_needs_network(tmp_path) -> None:
    out = str(tmp_path / "ae.zip")
    result = CliRunner().invoke(main, ["train", "--digits", "--freeze", "stem", "--out", out])
    assert result.exit_code == 2
    assert "--freeze does nothing without --pretrained" in result.output


@pytest.mark.parametrize(
    ("name", "freeze"),
    [("efficientnet_lite0", "block15"), ("googlenet", "inception5a"), ("resnet18", "block7")],
)
def test_every_family_is_divided_and_tuned(name, freeze) -> None:
    table = ARCHITECTURES[name]
    base = PretrainedNetwork(name)
    side = table.preprocessing.height
    base._build(table, {}, InputShape("convolutional", side, side, 3))
    pixels = made_pictures(4, side=side)
    model = FineTunedNetwork(name, freeze=freeze, **SETTINGS | {"tuning_epochs": 1})
    features = base.feature_maps(pixels, model.frozen_layer).transpose(0, 2, 3, 1)
    model.fit(base, features, ["a", "b", "a", "b"])
    published, learned = parameters(base), parameters(model)
    cut = table.rows_up_to(freeze)
    for number, row in enumerate(table.rows):
        if row.weights:
            assert np.array_equal(published[f"{row.name}_W"], learned[f"{row.name}_W"]) == (
                number < cut
            ), row.name
    assert model.encode(pixels).shape == (4, 8)
