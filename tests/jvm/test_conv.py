"""Networks of convolutions and of lines learn classes, and their codes find alike digits."""

from __future__ import annotations

import numpy as np
import pytest

import pyimgret
from pyimgret import ConvAutoencoder, ConvNet, RowNet
from pyimgret.evaluation import retrieval_report

FAST = {"epochs": 4, "batch_size": 50, "random_state": 0, "verbose": False}


@pytest.fixture(scope="module")
def data(shuffled_digits):
    images, labels = shuffled_digits
    return images[:1500], labels[:1500], images[2000:2600], labels[2000:2600]


@pytest.fixture(scope="module")
def network(data):
    X, y, _, _ = data
    return ConvNet(
        (8, 16),
        dense_size=64,
        dropout=0.2,
        head="centres",
        shift=1,
        rotation=5,
        **FAST | {"epochs": 8},
    ).fit(X, y)


def test_classes_of_new_digits_are_found(network, data) -> None:
    _, _, X, y = data
    assert network.score(X, y) > 0.9
    assert np.allclose(network.predict_proba(X).sum(axis=1), 1, atol=1e-5)


def test_codes_and_their_signs_find_better_than_pixels(network, data) -> None:
    _, _, X, y = data
    pixels = retrieval_report(X.reshape(len(X), -1), y).mean_average_precision
    codes = retrieval_report(network.encode(X), y).mean_average_precision
    bits = np.unpackbits(network.encode(X, bits=True), axis=1)
    assert bits.shape == (len(X), 32)
    signs = retrieval_report(bits * 2.0 - 1.0, y).mean_average_precision
    assert codes > pixels + 0.2
    assert signs > pixels + 0.2


def test_centres_stay_where_they_were(network) -> None:
    last = network.last_layer
    W = network.java_network.get(f"{last}_W")
    assert np.allclose(np.abs(W), 16 / 32)
    assert np.allclose((W.T @ W) / (W**2).sum(axis=0), np.eye(10), atol=1e-6)


def test_any_layer_encodes_by_name(network, data) -> None:
    _, _, X, _ = data
    assert np.array_equal(network.encode(X[:3], layer="code"), network.encode(X[:3]))
    assert network.encode(X[:3], layer=0).shape == (3, 24 * 24 * 8)


def test_saved_network_predicts_same(network, data, tmp_path) -> None:
    _, _, X, _ = data
    network.save(tmp_path / "net.zip")
    again = pyimgret.load(tmp_path / "net.zip")
    assert isinstance(again, ConvNet)
    assert np.array_equal(again.predict(X), network.predict(X))


def test_learned_head_with_batch_normalisation(data) -> None:
    X, y, X_test, y_test = data
    settings = FAST | {"batch_normalization": True, "kernel_size": 3}
    network = ConvNet((8,), dense_size=32, dropout=0.0, **settings).fit(X, y)
    assert network.score(X_test, y_test) > 0.8


def test_heavy_class_is_named_more_often(data) -> None:
    X, y, X_test, _ = data
    settings = FAST | {"epochs": 1, "dropout": 0.0}
    plain = ConvNet((4,), dense_size=16, **settings).fit(X, y)
    heavy = ConvNet((4,), dense_size=16, class_weight={8: 20.0}, **settings).fit(X, y)
    assert (heavy.predict(X_test) == 8).sum() > (plain.predict(X_test) == 8).sum()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "cosine"}, "known: centres, softmax"),
        ({"class_weight": {"x": 1.0}}, "does not have"),
        ({"channels": (2, 2, 2)}, "leave nothing"),
    ],
)
def test_settings_that_are_invalid(data, settings, message) -> None:
    X, y, _, _ = data
    with pytest.raises(ValueError, match=message):
        ConvNet(**{"channels": (2,)} | FAST | settings).fit(X, y)


def test_classes_are_needed(data) -> None:
    with pytest.raises(ValueError, match="learns classes"):
        ConvNet(**FAST).fit(data[0])


def test_convolutional_autoencoder_gives_image_back(data, tmp_path) -> None:
    X = data[0][:600]
    model = ConvAutoencoder((8,), **FAST | {"epochs": 8}).fit(X)
    error = ((model.reconstruct(X) - X / 255.0) ** 2).mean()
    assert error < 0.3 * np.var(X / 255.0)
    assert model.embedding_size == 2 * 14 * 14
    model.save(tmp_path / "m.zip")
    assert np.array_equal(pyimgret.load(tmp_path / "m.zip").encode(X[:5]), model.encode(X[:5]))


def test_lines_are_learned_and_saved(data, tmp_path) -> None:
    X, y, _, _ = data
    network = RowNet(16, **FAST | {"epochs": 1}).fit(X[:300], y[:300])
    network.save(tmp_path / "rows.zip")
    again = pyimgret.load(tmp_path / "rows.zip")
    assert isinstance(again, RowNet)
    assert np.array_equal(again.encode(X[:5]), network.encode(X[:5]))
    assert network.encode(X[:5], bits=True).shape == (5, 4)


def test_convolutional_autoencoder_keeps_colours_apart() -> None:
    X = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    X[..., 2] = 0
    model = ConvAutoencoder((16,), code_channels=12, **FAST | {"epochs": 40}).fit(X)
    out = model.reconstruct(X)
    assert out.shape == X.shape
    assert out[..., 2].mean() < 0.1 < out[..., 0].mean()


@pytest.mark.slow
def test_lines_read_in_order_are_enough_to_find(shuffled_digits) -> None:
    images, labels = shuffled_digits
    X, y, X_test, y_test = images[:4000], labels[:4000], images[4000:], labels[4000:]
    network = RowNet(64, **FAST | {"epochs": 15}).fit(X, y)
    pixels = retrieval_report(X_test.reshape(len(X_test), -1), y_test).precision[10]
    assert retrieval_report(network.encode(X_test), y_test).precision[10] > pixels
