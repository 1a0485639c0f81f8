"""What does not fit a network is refused before it trains; what was learned is scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import r2_score

import pyimgret
from pyimgret import (
    PCA,
    RBM,
    Autoencoder,
    ConvAutoencoder,
    ConvNet,
    Network,
    Preprocessor,
    RowNet,
    spark,
)
from pyimgret.exceptions import DimensionMismatchError
from pyimgret.layers import (
    LSTM,
    Convolution2D,
    ConvolutionLoss,
    Dense,
    Loss,
    Output,
    Pooling2D,
    Upsampling2D,
)
from pyimgret.models import network as training
from pyimgret.spark import training as cluster

QUIET: dict[str, Any] = {"epochs": 1, "random_state": 0, "verbose": False}
SOFTMAX: dict[str, Any] = {"loss": "categorical_cross_entropy", "activation": "softmax"}
CODE = Dense(8, activation="tanh", name="code")


@pytest.fixture(scope="module", name="X")
def images(digits) -> Any:
    return digits[:60]


@pytest.fixture
def untrained(monkeypatch):
    """Make training an error: what is refused must be refused before it."""
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("training has begun"))


def dense(*last: Any, **settings: Any) -> Network:
    return Network([CODE, *last], **QUIET | settings)


def maps(*last: Any) -> Network:
    return Network([Convolution2D(4, mode="same"), *last], input="convolutional", **QUIET)


def lines(*last: Any) -> Network:
    return Network([LSTM(8), *last], input="recurrent", **QUIET)


THREE = np.arange(60) % 3
FIVE = np.zeros((60, 5))


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (dense(Output(2, **SOFTMAX)), THREE, r"\(60, 3\).*Output, gives \(60, 2\).*3 classes"),
        (dense(Output(4, **SOFTMAX)), THREE, r"\(60, 3\).*gives \(60, 4\)"),
        (dense(Output(1)), np.array(["a", "b", "c"])[THREE], r"\(60, 3\).*gives \(60, 1\)"),
        (dense(Output(3)), FIVE, r"\(60, 5\).*gives \(60, 3\).*5 outputs"),
        (dense(Dense(3), Loss()), FIVE, r"\(60, 5\).*Loss, gives \(60, 3\)"),
        (dense(Output(3)), np.zeros((60, 28, 28)), r"\(60, 784\).*gives \(60, 3\)"),
        (dense(Output(3)), THREE + 0.5, r"\(60, 1\).*gives \(60, 3\)"),
        (dense(Output(10)), None, r"\(60, 784\).*gives \(60, 10\).*Without y"),
        (dense(Dense(10), Loss()), None, r"\(60, 784\).*gives \(60, 10\)"),
        (maps(Convolution2D(4, stride=2, mode="same"), ConvolutionLoss()), None, "4, 196"),
        (maps(ConvolutionLoss()), np.zeros((60, 784)), "leave y out"),
        (maps(ConvolutionLoss()), THREE, "leave y out"),
        (maps(Convolution2D(1, mode="same"), Loss()), None, "use a ConvolutionLoss"),
        (maps(Pooling2D(), Upsampling2D(), Loss()), None, "use a ConvolutionLoss"),
        (lines(Output(784)), None, "give y"),
        (dense(Output(3, **SOFTMAX)), THREE[:59], r"shape \(59,\), but there are 60"),
        (dense(Output(3)), np.zeros((61, 3)), r"shape \(61, 3\), but there are 60"),
        (dense(Output(3)), np.full((60, 3), np.nan), "y contains NaN"),
        (dense(Output(3, **SOFTMAX)), THREE + 0.25, r"y holds 0\.25, which is no class"),
        (dense(Output(3, **SOFTMAX)), np.where(THREE, THREE, np.nan), "holds nan, which is no"),
        (dense(Output(3, **SOFTMAX)), THREE.astype("S1"), "expected whole numbers or text"),
        (dense(Output(2, **SOFTMAX)), THREE * 0, "1 class, 0"),
        (dense(Output(3, "binary_cross_entropy", "sigmoid")), FIVE[:, :3] + 2, "from 2 to 2"),
        (ConvNet((2,), **QUIET), FIVE, r"\(60,\), got \(60, 5\)"),
        (ConvNet((2,), **QUIET), THREE[:59], "there are 60 images"),
        (ConvNet((2,), **QUIET), THREE + 0.5, "which is no class"),
        (RowNet(4, **QUIET), None, r"learns classes.*y is None"),
        (RowNet(4, **QUIET), np.zeros(60), "1 class, 0"),
    ],
)
def test_targets_that_do_not_fit_are_refused_before_training(
    model, y, message, X, untrained
) -> None:
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "classes_")
    assert not hasattr(model, "_network")


@pytest.mark.parametrize(
    ("model", "y", "validation", "message"),
    [
        (dense(Output(3, **SOFTMAX)), THREE, {}, "y is given, but y_val is not"),
        (dense(Output(784)), None, {"y_val": THREE[:20]}, "y_val is given, but y is not"),
        (dense(Output(3, **SOFTMAX)), THREE, {"y_val": THREE[:19]}, "there are 20 images"),
        (dense(Output(3, **SOFTMAX)), THREE, {"y_val": THREE[:20] + 7}, "not know: 7, 8, 9"),
        (dense(Output(3)), FIVE[:, :3], {"y_val": FIVE[:20]}, r"\(20, 5\).*gives \(20, 3\)"),
        (ConvNet((2,), **QUIET), THREE, {}, "give y_val"),
        (RowNet(4, **QUIET), THREE, {"y_val": FIVE[:20]}, r"\(20,\), got \(20, 5\)"),
    ],
)
def test_validation_data_fits_as_well(model, y, validation, message, X, untrained) -> None:
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, X_val=X[:20], **validation)


def test_validation_targets_need_their_images(X) -> None:
    with pytest.raises(ValueError, match="not the images X_val"):
        dense(Output(3, **SOFTMAX)).fit(X, THREE, y_val=THREE)


def test_refused_fit_leaves_model_as_it_was(X) -> None:
    model = dense(Output(3, **SOFTMAX)).fit(X, THREE)
    expected = model.predict(X)
    with pytest.raises(DimensionMismatchError):
        model.fit(X, np.arange(60) % 5)
    assert model.classes_.tolist() == [0, 1, 2]
    assert np.array_equal(model.predict(X), expected)


def test_network_that_learns_targets_after_classes_forgets_classes(X) -> None:
    model = dense(Output(3)).fit(X, THREE)
    assert model.classes_.tolist() == [0, 1, 2]
    model.fit(X, np.eye(3)[THREE])
    assert not hasattr(model, "classes_")
    assert model.predict(X).shape == (60, 3)


@pytest.fixture(scope="module")
def ink(digits) -> Any:
    """Return how much of each image is ink: 600 different floats."""
    return digits.mean(axis=(1, 2), dtype=np.float64) / 255


@pytest.mark.parametrize("last", [[Output(1)], [Dense(1), Loss()]], ids=["Output", "Loss"])
def test_floats_are_targets_of_regression(last, digits, ink, tmp_path) -> None:
    model = dense(*last, epochs=30, learning_rate=0.01).fit(digits, ink)
    assert not hasattr(model, "classes_")
    predicted = model.predict(digits)
    assert predicted.shape == (600,)
    assert model.score(digits, ink) == pytest.approx(r2_score(ink, predicted))
    assert model.score(digits, ink) > 0.4
    model.save(tmp_path / "model.zip")
    loaded = pyimgret.load(tmp_path / "model.zip")
    assert loaded.predict(digits).shape == (600,)
    assert loaded.score(digits, ink) == pytest.approx(model.score(digits, ink))


def test_whole_numbers_are_targets_of_single_output(digits, ink) -> None:
    model = dense(Output(1), epochs=2).fit(digits, np.rint(100 * ink).astype(int))
    assert model.predict(digits).shape == (600,)


def test_score_of_several_targets_is_their_mean_r2(digits, ink) -> None:
    y = np.stack([ink, 1 - ink], axis=1)
    model = dense(Output(2), epochs=5).fit(digits, y)
    assert model.score(digits, y) == pytest.approx(r2_score(y, model.predict(digits)))


def test_score_of_classes_is_accuracy(X) -> None:
    names = np.array(["a", "b", "c"])[THREE]
    model = dense(Output(3, **SOFTMAX)).fit(X, names)
    assert model.score(X, names) == np.mean(model.predict(X) == names)


def test_sparse_cross_entropy_takes_classes(X, digit_labels) -> None:
    settings = SOFTMAX | {"loss": "sparse_categorical_cross_entropy"}
    model = dense(Output(3, **settings), epochs=20, learning_rate=0.01).fit(
        X, digit_labels[:60] % 3
    )
    assert model.score(X, digit_labels[:60] % 3) > 0.6
    with pytest.raises(DimensionMismatchError, match=r"\(60, 3\).*gives \(60, 2\)"):
        dense(Output(2, **settings)).fit(X, THREE)


def test_what_was_not_learned_has_no_score(X) -> None:
    autoencoder = dense(Output(784)).fit(X)
    with pytest.raises(ValueError, match="give y"):
        autoencoder.score(X)
    with pytest.raises(ValueError, match="Only a network that learned classes, or targets"):
        autoencoder.score(X, X.reshape(60, -1))
    labels = dense(Output(5, "binary_cross_entropy", "sigmoid")).fit(X, FIVE)
    with pytest.raises(ValueError, match="by a measure of your own"):
        labels.score(X, FIVE)


def test_classifier_does_not_reconstruct(X) -> None:
    model = ConvNet((2,), dense_size=8, **QUIET).fit(X, THREE)
    with pytest.raises(DimensionMismatchError, match="784 values, its last layer gives 3"):
        model.reconstruct(X)


def test_network_of_maps_gives_colours_back_in_their_places() -> None:
    X = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    X[..., 2] = 0
    layers = [
        Convolution2D(16, mode="same", activation="relu"),
        Convolution2D(3, mode="same"),
        ConvolutionLoss(),
    ]
    model = Network(layers, input="convolutional", **QUIET | {"epochs": 60, "learning_rate": 0.01})
    out = model.fit(X).reconstruct(X)
    assert out.shape == X.shape
    assert np.abs(out[..., 2]).mean() < 0.1 < out[..., 0].mean()


def test_cluster_is_given_what_fits(X, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(cluster, "submit", lambda *_, **__: pytest.fail("the job was submitted"))
    options = spark.SparkOptions(master="local[1]")
    np.save(tmp_path / "X.npy", X)
    rows = spark.Arrays(tmp_path / "X.npy")
    with pytest.raises(DimensionMismatchError, match=r"\(60, 3\).*gives \(60, 2\)"):
        cluster.train(dense(Output(2, **SOFTMAX)), rows, THREE, options=options)
    with pytest.raises(DimensionMismatchError, match=r"\(60, 784\).*gives \(60, 2\)"):
        cluster.train(dense(Output(2)), rows, options=options)
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    with pytest.raises(ValueError, match=PIXELS):
        cluster.train(dense(Output(784)), rows, options=options)


# Values far outside of what a network takes.

PIXELS = r"float32 values from 0 to 255; expected images in \[0, 1\]"


@pytest.mark.parametrize(
    "model",
    [Autoencoder((8,), 4, **QUIET), ConvAutoencoder((4,), **QUIET), dense(Output(784))],
    ids=lambda model: type(model).__name__,
)
def test_floats_of_0_to_255_are_refused_before_training(model, X, untrained) -> None:
    with pytest.raises(ValueError, match=PIXELS):
        model.fit(X.astype(np.float32))
    with pytest.raises(ValueError, match=PIXELS):
        model.fit(X / 255.0, X_val=X.astype(np.float32))
    with pytest.raises(ValueError, match="int64 values from 0 to 255"):
        model.fit(X.astype(np.int64))


def test_vectors_of_bytes_are_refused(X) -> None:
    with pytest.raises(ValueError, match="uint8 values from 0 to 255"):
        Autoencoder((8,), 4, **QUIET).fit(X.reshape(60, -1))
    with pytest.raises(ValueError, match="float64 values from 0 to 255"):
        ConvNet((2,), **QUIET).fit(X.astype(float), THREE)
    with pytest.raises(ValueError, match="values from 0 to 255"):
        RBM(4, visible="gaussian", learning_rate=0.001).fit(X.astype(float))


@pytest.mark.parametrize("kind", [Autoencoder, PCA])
def test_model_of_images_refuses_pixels_that_are_not_scaled(kind, X) -> None:
    model = Autoencoder((8,), 4, **QUIET).fit(X) if kind is Autoencoder else PCA(4).fit(X)
    for pixels in (X.astype(np.float32), X.reshape(60, -1), X[:1] / 16.0):
        for method in (model.encode, model.reconstruct):
            with pytest.raises(ValueError, match="the range of the model's preprocessing, 0 to 1"):
                method(pixels)
    noisy = X / 255 + np.random.default_rng(0).normal(scale=0.5, size=X.shape)
    assert model.encode(noisy).shape == (60, 4)


def test_range_is_preprocessings_own(X) -> None:
    standardised = Preprocessor("L", 28, 28, mean=(0.1307,), std=(0.3081,))
    model = Autoencoder((8,), 4, preprocessing=standardised, **QUIET).fit(X)
    assert model.encode(standardised.batch(X)).shape == (60, 4)
    with pytest.raises(ValueError, match=r"-0\.424\d* to 2\.8"):
        model.encode(X.astype(np.float32))
    raw = Autoencoder((8,), 4, preprocessing=Preprocessor(std=(1 / 255,)), **QUIET).fit(X)
    assert raw.encode(X.astype(np.float32)).shape == (60, 4)


def test_model_of_floats_refuses_bytes(X) -> None:
    model = Autoencoder((8,), 4, **QUIET).fit(X / 255.0)
    with pytest.raises(ValueError, match=r"uint8 values from 0 to 255.*Scale X like the training"):
        model.encode(X)


def test_standardised_vectors_are_taken_with_their_outliers(X) -> None:
    flat = X.reshape(60, -1).astype(np.float64)
    Z = (flat - flat.mean(axis=0)) / (flat.std(axis=0) + 1e-9)
    assert Z.max() > 7
    model = Autoencoder((8,), 4, **QUIET).fit(Z)
    assert model.encode(Z[[Z.max(axis=1).argmax()]]).shape == (1, 4)
    features = np.abs(np.random.default_rng(0).normal(scale=5, size=(60, 32)))
    assert Network([CODE, Output(32)], **QUIET).fit(features).encode(features).shape == (60, 8)


def test_linear_codes_take_vectors_of_any_size(X) -> None:
    pixels = X.reshape(60, -1).astype(np.float32)
    assert PCA(4).fit(pixels).encode(pixels * 100).shape == (60, 4)
