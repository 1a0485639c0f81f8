"""Networks learn, repeat, and follow the scikit-learn estimator API."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

import pyimgret
from pyimgret import PCA, SVD, Autoencoder, DenoisingAutoencoder, Encoder, Network
from pyimgret.exceptions import DimensionMismatchError, NotFittedError, TrainingError
from pyimgret.layers import Convolution2D, Dense, Dropout, GlobalPooling, Output

SMALL = {"hidden_sizes": (64,), "code_size": 8, "epochs": 3, "random_state": 0, "verbose": False}


@pytest.fixture(scope="module")
def trained(digits):
    return Autoencoder(**SMALL).fit(digits)


def error(model, X) -> float:
    return float(((model.reconstruct(X) - X / 255.0) ** 2).mean())


def test_training_makes_reconstruction_better(digits) -> None:
    short = Autoencoder(**SMALL | {"epochs": 1}).fit(digits)
    long = Autoencoder(**SMALL | {"epochs": 15}).fit(digits)
    assert error(long, digits) < 0.7 * error(short, digits)
    assert long.history_["loss"][-1] < long.history_["loss"][0]


def test_codes_are_float32_of_code_size(trained, digits) -> None:
    codes = trained.encode(digits[:7])
    assert codes.shape == (7, 8)
    assert codes.dtype == np.float32


def test_embeddings_have_length_one(trained, digits) -> None:
    assert np.allclose(np.linalg.norm(Encoder(trained).encode(digits[:9]), axis=1), 1, atol=1e-6)


def test_batch_size_does_not_change_codes(trained, digits) -> None:
    whole = trained.encode(digits)
    assert np.allclose(trained.encode(digits, batch_size=7), whole, atol=1e-5)


@pytest.mark.parametrize("kind", [Autoencoder, DenoisingAutoencoder])
def test_random_state_repeats_run_bit_for_bit(kind, digits) -> None:
    first, second = (kind(**SMALL).fit(digits).java_network.parameters for _ in range(2))
    other = kind(**SMALL | {"random_state": 1}).fit(digits).java_network.parameters
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_dropout_repeats_as_well(digits) -> None:
    layers = [
        Dense(32, activation="relu"),
        Dropout(0.5),
        Dense(8),
        Output(784, activation="sigmoid"),
    ]
    runs = [
        Network(layers, epochs=2, random_state=5, verbose=False).fit(digits).java_network.parameters
        for _ in range(2)
    ]
    assert np.array_equal(*runs)


def test_corruption_changes_what_is_learned(digits) -> None:
    clean = DenoisingAutoencoder(**SMALL, masking=0, shift=0, rotation=0, zoom=0).fit(digits)
    plain = Autoencoder(**SMALL).fit(digits)
    noisy = DenoisingAutoencoder(**SMALL).fit(digits)
    assert np.array_equal(clean.java_network.parameters, plain.java_network.parameters)
    assert not np.allclose(noisy.java_network.parameters, plain.java_network.parameters)


def test_floats_in_unit_interval_train_as_pixels_do(trained, digits) -> None:
    floats = Autoencoder(**SMALL).fit(digits.astype(np.float32) / 255)
    assert np.allclose(floats.encode(digits / 255.0), trained.encode(digits), atol=1e-3)


def test_early_stopping_goes_back_to_best_weights(digits) -> None:
    settings = SMALL | {"epochs": 40, "schedule": "constant", "learning_rate": 0.01}
    model = Autoencoder(**settings, patience=2).fit(digits[:300], X_val=digits[300:400])
    losses = model.history_["val_loss"]
    assert len(losses) < 40
    assert np.argmin(losses) == len(losses) - 3


def test_classifier_learns_classes_of_any_name(digits, digit_labels) -> None:
    names = np.array([f"digit {label}" for label in digit_labels])
    layers = [
        Convolution2D(8, stride=2, activation="relu"),
        Convolution2D(16, stride=2, activation="relu"),
        Dense(32, activation="relu", name="code"),
        Output(10, loss="categorical_cross_entropy", activation="softmax"),
    ]
    net = Network(layers, input="convolutional", epochs=15, random_state=0, verbose=False)
    net.fit(digits[:500], names[:500])
    assert net.score(digits[500:], names[500:]) > 0.7
    assert set(net.predict(digits[500:])) <= set(names)
    assert net.encode(digits[:3]).shape == (3, 32)


def test_batch_of_one_is_left_for_another_epoch(digits) -> None:
    model = Autoencoder(**SMALL | {"batch_size": 100}).fit(digits[:201])
    assert np.isfinite(model.java_network.parameters).all()


def test_parameters_are_scikit_learns(digits) -> None:
    model = clone(Autoencoder(**SMALL))
    assert model.get_params()["code_size"] == 8
    assert model.set_params(code_size=5).code_size == 5
    with pytest.raises(ValueError, match="Invalid parameter 'colour'"):
        model.set_params(colour=1)


def test_model_stands_in_pipeline(digits) -> None:
    pipeline = make_pipeline(PCA(5), Normalizer())
    codes = pipeline.fit(digits).transform(digits[:4])
    assert np.allclose(np.linalg.norm(codes, axis=1), 1)


@pytest.mark.parametrize("kind", [PCA, SVD])
def test_linear_code_equals_scikit_learns(kind, digits) -> None:
    from sklearn import decomposition

    theirs = {PCA: decomposition.PCA, SVD: decomposition.TruncatedSVD}[kind]
    vectors = digits.reshape(len(digits), -1).astype(np.float32) / 255
    expected = theirs(12, random_state=0).fit(vectors)
    model = kind(12, random_state=0).fit(digits)
    assert np.allclose(model.encode(digits), expected.transform(vectors), atol=1e-4)
    back = expected.inverse_transform(expected.transform(vectors))
    assert np.allclose(model.reconstruct(digits).reshape(len(digits), -1), back, atol=1e-4)


def test_more_components_than_pixels_are_refused(digits) -> None:
    with pytest.raises(ValueError, match="choose at most 600"):
        PCA(785).fit(digits)


@pytest.mark.parametrize(
    "model",
    [
        PCA(6, random_state=0),
        SVD(6, random_state=0),
        Autoencoder(**SMALL),
        DenoisingAutoencoder(**SMALL),
    ],
    ids=lambda model: type(model).__name__,
)
def test_saved_model_comes_back_as_what_it_was(model, digits, tmp_path: Path) -> None:
    model.fit(digits)
    model.save(tmp_path / "model.zip")
    loaded = pyimgret.load(tmp_path / "model.zip")
    assert type(loaded) is type(model)
    assert loaded.get_params() == model.get_params()
    assert loaded.preprocessor == model.preprocessor
    assert loaded.history_ == model.history_
    assert np.array_equal(loaded.encode(digits), model.encode(digits))
    assert np.allclose(loaded.reconstruct(digits[:5]), model.reconstruct(digits[:5]), atol=1e-6)
    assert Encoder(loaded).model_checksum == Encoder(model).model_checksum


def test_other_weights_have_another_checksum(digits) -> None:
    first, second = (Encoder(PCA(n).fit(digits)).model_checksum for n in (5, 6))
    assert first != second


def test_log_says_what_trains_and_why(digits, caplog) -> None:
    caplog.set_level("INFO", "pyimgret")
    Autoencoder((8,), code_size=2, epochs=2, random_state=0).fit(digits[:50])
    assert [record.getMessage().split(", by ")[1] for record in caplog.records] == ["onednn"] * 2
    caplog.clear()
    pyimgret.RowNet(4, epochs=1, random_state=0).fit(digits[:50], np.arange(50) % 2)
    (record,) = caplog.records
    assert "dl4j, for the engine does not know it all: " in record.getMessage()


def test_unfitted_model_reports_remedy(digits) -> None:
    with pytest.raises(NotFittedError, match=r"call fit\(X\)"):
        Autoencoder().encode(digits)


def test_another_shape_is_refused(trained) -> None:
    with pytest.raises(DimensionMismatchError, match="is expecting 784 features"):
        trained.encode(np.zeros((3, 500), np.float32))


def test_images_of_another_size_are_brought_to_size(trained, digits) -> None:
    large = digits[:4].repeat(2, axis=1).repeat(2, axis=2)
    assert np.allclose(trained.encode(large), trained.encode(digits[:4]), atol=0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(trained, bad) -> None:
    X = np.zeros((2, 784), np.float32)
    X[1, 3] = bad
    with pytest.raises(ValueError, match="contains NaN or infinity"):
        trained.encode(X)


@pytest.mark.parametrize("shape", [(0, 784), ()])
def test_no_data_is_refused(trained, shape) -> None:
    with pytest.raises(ValueError, match=r"minimum of 1 is required|Expected 2D array"):
        trained.encode(np.zeros(shape, np.float32))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layout_and_type_of_array_do_not_matter(trained, digits, order, dtype) -> None:
    X = np.array(digits[:20].reshape(20, -1) / 255.0, dtype=dtype, order=order)
    X.flags.writeable = False
    assert np.allclose(trained.encode(X), trained.encode(digits[:20]), atol=1e-5)
    assert np.allclose(trained.encode(X[::-1])[::-1], trained.encode(X), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"epochs": "3"}, "epochs must be at least 1 and a whole number, got '3'"),
        ({"learning_rate": "fast"}, "learning_rate must be above 0, got 'fast'"),
        ({"random_state": "seed"}, "random_state='seed' must be a whole number"),
        ({"code_size": "30"}, "whole numbers from 1"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"optimizer": "adamm"}, "known: adadelta, adagrad, adam"),
        ({"schedule": "up"}, "known: constant, cosine"),
        ({"output": "relu"}, "known: auto, identity, sigmoid"),
        ({"hidden_sizes": (0,)}, "whole numbers from 1"),
        ({"patience": 3}, "patience needs X_val"),
        ({"random_state": -1}, "must be a whole number from 0"),
    ],
)
def test_settings_that_are_invalid_are_refused(settings, message, digits) -> None:
    with pytest.raises(ValueError, match=message):
        Autoencoder(**SMALL | settings).fit(digits)


def test_divergence_stops_with_advice(digits) -> None:
    layers = [Dense(16, activation="relu"), Output(784)]
    with pytest.raises(TrainingError, match="Try a smaller learning_rate"):
        Network(layers, learning_rate=1e30, optimizer="sgd", verbose=False).fit(digits)


def test_global_pooling_gives_one_number_channel(digits) -> None:
    layers = [
        Convolution2D(6, activation="relu"),
        GlobalPooling(name="code"),
        Output(784, activation="sigmoid", loss="binary_cross_entropy"),
    ]
    y = digits.reshape(600, -1).astype(np.float32) / 255
    net = Network(layers, input="convolutional", epochs=1, verbose=False).fit(digits, y)
    assert net.encode(digits[:2]).shape == (2, 6)
