"""The estimators as scikit-learn sees them."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import pyimgret
from pyimgret.layers import Dense, Output

SMALL: dict[str, Any] = {"epochs": 2, "random_state": 0, "verbose": False}
#: Enough for the scores that some checks expect.
LEARNING = SMALL | {"epochs": 8, "batch_size": 32, "learning_rate": 0.05}
SOFTMAX = {"loss": "categorical_cross_entropy", "activation": "softmax"}

LINEAR = [pyimgret.PCA(1), pyimgret.SVD(1)]
AUTOENCODERS = [
    pyimgret.Autoencoder((8,), 2, **SMALL),
    pyimgret.DenoisingAutoencoder((8,), 2, **SMALL),
    pyimgret.DeepAutoencoder((8,), 2, visible="gaussian", rbm_epochs=1, **SMALL),
    # NB: scikit-learn's tables are images of one line, which cannot be halved.
    pyimgret.ConvAutoencoder((), **SMALL),
]
OTHERS = [
    pyimgret.RBM(2, visible="gaussian", learning_rate=0.001, **SMALL),
    pyimgret.ConvNet((), dense_size=16, code_size=4, **LEARNING),
    pyimgret.RowNet(16, code_size=4, **LEARNING),
    pyimgret.Network([Dense(8, name="code"), Output(1, "mean_squared_error")], **SMALL),
]
UNSCALED = "values about 100 are refused: a network needs scaled input, and says so"
EXPECTED = dict.fromkeys(
    ("check_fit_idempotent", "check_fit_check_is_fitted", "check_n_features_in"), UNSCALED
)


def expected_failures(estimator: Any) -> dict[str, str]:
    """Return the checks that an estimator fails on purpose, with the reason."""
    return {} if isinstance(estimator, (pyimgret.PCA, pyimgret.SVD)) else EXPECTED


_CHECKS = parametrize_with_checks(
    [*LINEAR, *AUTOENCODERS, *OTHERS], expected_failed_checks=expected_failures
)
# NB: scikit-learn skips its check of other array libraries unless SciPy's experimental support
# for them is switched on in the whole process; the models take NumPy arrays.
_PAIRS = [pair for pair in _CHECKS.args[1] if "check_array_api_input" not in str(pair)]


@pytest.mark.jvm
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize(_CHECKS.args[0], _PAIRS, ids=_CHECKS.kwargs["ids"])
def test_estimator_checks(estimator, check) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", [type(e) for e in (*LINEAR, *AUTOENCODERS, *OTHERS)])
def test_docstring_describes_every_parameter(kind) -> None:
    section = re.search(r"Parameters\n-+\n((?:.+\n)+)", inspect.cleandoc(kind.__doc__))
    assert section is not None
    entries = re.findall(r"^(\w.*?) : ", section[1], re.MULTILINE)
    described = [name for entry in entries for name in entry.split(", ")]
    assert sorted(described) == sorted(kind._get_param_names())
    assert len(described) == len(set(described))


def test_networks_that_learn_classes_are_classifiers() -> None:
    assert is_classifier(pyimgret.ConvNet())
    assert is_classifier(pyimgret.RowNet())
    assert is_classifier(pyimgret.FineTunedNetwork())
    assert is_classifier(pyimgret.Network([Dense(4), Output(3, **SOFTMAX)]))
    assert not is_classifier(pyimgret.Network([Dense(4), Output(3)]))
    assert not is_classifier(pyimgret.Autoencoder())


@pytest.mark.jvm
def test_folds_of_sorted_classes_are_stratified(digits, digit_labels) -> None:
    order = np.argsort(digit_labels, kind="stable")
    X, y = digits[order, ::2, ::2], digit_labels[order]
    model = pyimgret.ConvNet((8,), dense_size=32, **LEARNING)
    assert cross_val_score(model, X, y, cv=3).mean() > 0.5


@pytest.mark.jvm
@pytest.mark.parametrize("model", [*LINEAR, *AUTOENCODERS], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("colour", [False, True])
def test_codes_decode_to_reconstruction(model, colour, digits) -> None:
    X = digits[:60, ::2, ::2] / 255.0
    if colour:
        X = np.stack([X, X**2, 1 - X], axis=-1)
    model = pyimgret.ConvAutoencoder((4,), **SMALL) if "Conv" in type(model).__name__ else model
    codes = model.fit(X).transform(X)
    decoded = model.inverse_transform(codes)
    np.testing.assert_allclose(decoded, model.reconstruct(X).reshape(60, -1), atol=1e-5)
    error = np.mean((X.reshape(60, -1) - decoded) ** 2)
    assert model.score(X) == pytest.approx(-error, rel=1e-4)
    with pytest.raises(ValueError, match="but codes of this"):
        model.inverse_transform(codes[:, 1:] if codes.shape[1] > 1 else np.hstack([codes, codes]))


@pytest.mark.jvm
def test_data_frames_give_named_codes() -> None:
    import pandas as pd

    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(40, 5)), columns=list("abcde"))
    model = pyimgret.Autoencoder((8,), 2, **SMALL).set_output(transform="pandas")
    codes = model.fit_transform(frame[:30])
    assert list(codes.columns) == ["autoencoder0", "autoencoder1"]
    assert list(model.feature_names_in_) == list("abcde")
    model.set_params(patience=1).fit(frame[:30], X_val=frame[30:])
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame[list("edcba")])
    assert "Autoencoder" in model._repr_html_()


@pytest.mark.jvm
@pytest.mark.parametrize("source", [np.random.RandomState, np.random.default_rng])
def test_random_source_repeats_run(source, digits) -> None:
    for model in (pyimgret.Autoencoder((8,), 2, **SMALL), pyimgret.RBM(4, **SMALL)):
        first, second = (
            model.set_params(random_state=source(3)).fit_transform(digits[:50]) for _ in range(2)
        )
        np.testing.assert_array_equal(first, second)


@pytest.mark.jvm
def test_lists_of_whole_numbers_are_vectors() -> None:
    rows = [[1, 2, 3], [3, 2, 1], [1, 0, 1], [2, 2, 5]]
    np.testing.assert_allclose(
        pyimgret.PCA(1, random_state=0).fit_transform(rows),
        pyimgret.PCA(1, random_state=0).fit_transform(np.array(rows, float)),
        atol=1e-6,
    )
