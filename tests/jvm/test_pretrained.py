"""MobileNetV2 on Deeplearning4j is torchvision's, to the fourth digit and after a round trip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import pyimgret
from pyimgret import Encoder
from pyimgret.cli import main
from pyimgret.exceptions import ModelFormatError, WeightsNotFoundError
from pyimgret.explain import explain
from pyimgret.preprocessing import normalize
from pyimgret.pretrained import FineTunedNetwork, cached_features, find_weights, mobilenet_v2
from pyimgret.pretrained.inverted_residuals import MOBILENET_V2
from tests.pictures import made_pictures
from tests.plain_dl4j import plain_codes

GOLDEN = Path(__file__).parent.parent / "golden" / "mobilenet_v2.npz"

pytestmark = pytest.mark.usefixtures("imagenet_weights")


@pytest.fixture(scope="module")
def network():
    return mobilenet_v2()


@pytest.fixture(scope="module")
def photos():
    return made_pictures(4)


def test_logits_are_torchvisions(network, photos) -> None:
    expected = np.load(GOLDEN)["logits"]
    assert np.abs(network.logits(photos) - expected).max() <= 1e-3


def test_embeddings_are_torchvisions(network, photos) -> None:
    expected = np.load(GOLDEN)["embeddings"]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    cosines = (Encoder(network).encode(photos) * expected).sum(axis=1)
    assert cosines.min() >= 0.9999


def test_deeplearning4j_alone_restores_it(network, photos, tmp_path) -> None:
    network.save(tmp_path / "net.zip")
    encoder = Encoder(network)
    tensors = np.stack([encoder.preprocessor(photo) for photo in photos])
    codes = plain_codes(tmp_path / "net.zip", "pooled", "CONVOLUTIONAL,224,224,3", tensors)
    assert np.abs(normalize(codes) - encoder.encode_tensors(tensors)).max() <= 1e-5


def test_wrong_stride_would_be_seen(network, photos) -> None:
    expected = np.load(GOLDEN)["logits"]
    moved = np.roll(photos, 1, axis=2)
    assert np.abs(network.logits(moved) - expected).max() > 1e-2


def test_maps_pool_to_embedding(network, photos) -> None:
    maps = network.feature_maps(photos[:2])
    assert maps.shape == (2, 1280, 7, 7)
    assert np.allclose(maps.mean(axis=(2, 3)), network.encode(photos[:2]), atol=1e-5)


def test_gem_is_generalised_mean(network, photos) -> None:
    maps = network.feature_maps(photos[:2]).astype(np.float64)
    gem = np.cbrt((maps**3).mean(axis=(2, 3)))
    gem /= np.linalg.norm(gem, axis=1, keepdims=True)
    other = Encoder(mobilenet_v2(pooling="gem")).encode(photos[:2])
    assert np.allclose(other, gem, atol=1e-5)


def test_mirrored_image_has_same_embedding_when_flips_are_averaged(photos) -> None:
    network = mobilenet_v2(flip=True)
    straight = network.encode(photos[:1])
    assert np.allclose(network.encode(photos[:1, :, ::-1]), straight, atol=1e-4)


def test_saved_network_encodes_same(network, photos, tmp_path) -> None:
    network.save(tmp_path / "model.zip")
    again = pyimgret.load(tmp_path / "model.zip")
    assert again.preprocessor == MOBILENET_V2.preprocessing
    assert np.array_equal(again.encode(photos[:1]), network.encode(photos[:1]))
    assert Encoder(again).model_checksum == Encoder(network).model_checksum


def test_batch_does_not_change_embedding(network, photos) -> None:
    whole = network.encode(photos)
    assert np.allclose(network.encode(photos, batch_size=1), whole, atol=1e-4)


def test_classes_come_with_probabilities_that_fall(network, photos) -> None:
    [best] = network.classify(photos[:1], k=5)
    assert len(best) == 5
    assert [p for _, p in best] == sorted((p for _, p in best), reverse=True)
    assert {name for name, _ in best} <= set(network.classes_)


def test_whitening_decorrelates_what_it_was_made_from(network) -> None:
    X = made_pictures(24, seed=3)
    white = network.whitened(network.encode(X), 6, shrinkage=0.0)
    codes = white.encode(X)
    assert codes.shape == (24, 6)
    assert np.allclose(np.cov(codes.T, bias=True), np.eye(6), atol=0.02)


def test_whitening_survives_file(network, tmp_path) -> None:
    X = made_pictures(8, seed=3)
    white = network.whitened(network.encode(X), 4)
    white.save(tmp_path / "white.zip")
    assert np.array_equal(pyimgret.load(tmp_path / "white.zip").encode(X[:2]), white.encode(X[:2]))


def test_another_networks_checkpoint_is_refused(tmp_path) -> None:
    with pytest.raises(ModelFormatError, match=r"not a readable checkpoint|not a checkpoint"):
        mobilenet_v2(__file__)
    with pytest.raises(WeightsNotFoundError, match=r"no weights at .*missing\.pth"):
        mobilenet_v2(tmp_path / "missing.pth")


def test_whole_folder_of_weights_can_be_named(tmp_path, monkeypatch) -> None:
    source = find_weights(MOBILENET_V2.published)
    (tmp_path / source.name).symlink_to(source)
    monkeypatch.setenv("PYIMGRET_WEIGHTS", str(tmp_path))
    assert find_weights(MOBILENET_V2.published) == tmp_path / source.name


@pytest.fixture
def folder(tmp_path):
    for number, photo in enumerate(made_pictures(6, side=64, seed=5)):
        place = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(place)
    (tmp_path / "photos" / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    return tmp_path / "photos"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_photos_are_indexed_and_found_in_one_line(folder, tmp_path) -> None:
    out = run("index", "add", "--index", tmp_path / "idx", "--pretrained", "mobilenet_v2", folder)
    assert "added 6" in out
    found = run("search", "--index", tmp_path / "idx", folder / "a" / "0.png", "-k", 1, "--json")
    assert json.loads(found)["matches"][0]["key"] == "a/0.png"


def test_evaluate_takes_each_improvement(folder) -> None:
    plain = ["evaluate", "--images", folder, "--pretrained", "mobilenet_v2", "--json"]
    for more in ([], ["--flip", "--whiten", 3, "--augment-database", 1], ["--pooling", "gem"]):
        report = json.loads(run(*plain, *more))
        assert report["n_queries"] == 6
        assert [entry["key"] for entry in report["failed"]] == ["a/broken.jpg"]


def test_classify_names_five_classes(folder) -> None:
    [document] = json.loads(run("classify", "--json", folder / "a" / "0.png"))
    assert len(document["classes"]) == 5


def test_options_of_network_need_network(folder, tmp_path) -> None:
    result = CliRunner().invoke(
        main, ["index", "add", "--index", str(tmp_path / "i"), "--flip", str(folder)]
    )
    assert result.exit_code == 2
    assert "--flip does nothing without --pretrained" in result.output


@pytest.mark.parametrize("quarter", range(4))
def test_what_is_alike_is_found_in_its_quarter(network, quarter) -> None:
    encoder = Encoder(network)
    thing = made_pictures(1, side=112, seed=1)[0]
    scene = np.full((224, 224, 3), 128, np.uint8)
    y, x = (112 * part for part in divmod(quarter, 2))
    scene[y : y + 112, x : x + 112] = thing
    whole = np.asarray(Image.fromarray(thing).resize((224, 224)))
    found = explain(encoder, scene, whole)
    a, b = encoder.encode([scene, whole])
    assert found.exact
    assert abs(found.score - float(a @ b)) < 1e-5
    assert abs(found.query.sum() - float(a @ b)) < 1e-5
    hot = np.repeat(np.repeat(found.heat[0], 32, axis=0), 32, axis=1)
    assert hot[y : y + 112, x : x + 112].sum() >= 0.8 * hot.sum()


def test_search_draws_explanation(folder, tmp_path) -> None:
    run("index", "add", "--index", tmp_path / "idx", "--pretrained", "mobilenet_v2", folder)
    query = folder / "a" / "0.png"
    run("search", "--index", tmp_path / "idx", query, "--explain", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as drawing:
        assert drawing.width > 500
        assert len(np.unique(np.asarray(drawing.convert("L")))) > 50


def test_head_of_ones_own_is_learned_on_cached_features(network, tmp_path) -> None:
    files, y = [], []
    for number, photo in enumerate(made_pictures(12, seed=9)):
        dark = number % 2
        path = tmp_path / f"{number}.png"
        Image.fromarray(photo // (6 if dark else 1)).save(path)
        files.append(path)
        y.append("dark" if dark else "light")
    features = cached_features(network, files, tmp_path / "cache")
    assert np.array_equal(cached_features(network, files, tmp_path / "cache"), features)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    tuned = FineTunedNetwork(code_size=8, random_state=0).fit(network, features, y)
    assert tuned.score(files, y) == 1.0
    tuned.save(tmp_path / "my.zip")
    again = pyimgret.load(tmp_path / "my.zip")
    assert isinstance(again, FineTunedNetwork)
    assert again.predict(files[:2]).tolist() == ["light", "dark"]
    assert again.embedding_size == 8


def test_train_takes_pretrained_network(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("pyimgret.files.cache.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("PYIMGRET_WEIGHTS", str(find_weights(MOBILENET_V2.published)))
    out = tmp_path / "my.zip"
    text = run("train", "--pretrained", "mobilenet_v2", "--images", folder, "--out", out, "--json")
    summary = json.loads(text)
    assert summary["classes"] == 2
    assert [entry["key"] for entry in summary["failed"]] == ["a/broken.jpg"]
    assert pyimgret.load(out).classes_ == ["a", "b"]
