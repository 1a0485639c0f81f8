"""Deep autoencoders: pretraining, unrolling, fine-tuning, going on after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyimgret import DeepAutoencoder, load
from pyimgret.exceptions import ModelFormatError, NotFittedError
from pyimgret.jvm import bridge
from pyimgret.training.checkpoints import Checkpoints

SMALL: dict[str, Any] = {
    "hidden_sizes": (64, 32),
    "code_size": 8,
    "rbm_epochs": 3,
    "rbm_batch_size": 20,
    "batch_size": 20,
    "epochs": 3,
    "learning_rate": 0.01,
    "random_state": 0,
    "verbose": False,
}


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def squared_error(model: DeepAutoencoder, X: Any) -> float:
    return float(((model.reconstruct(X) - X / 255) ** 2).sum(axis=(1, 2)).mean())


def parameters(model: DeepAutoencoder) -> Any:
    return model.java_network.parameters


@pytest.fixture(scope="module")
def model(digits):
    return DeepAutoencoder(**SMALL).fit(digits, X_val=digits[:100])


def test_unrolled_rbms_are_network(digits):
    model = DeepAutoencoder(**SMALL).pretrain(digits)
    h = digits.reshape(len(digits), -1) / 255
    for number, rbm in enumerate(model.rbms_):
        h = h @ rbm.components_.T + rbm.intercept_hidden_
        h = h if number == 2 else sigmoid(h)
    np.testing.assert_allclose(model.encode(digits), h, atol=1e-3)
    for rbm in reversed(model.rbms_):
        h = sigmoid(h @ rbm.components_ + rbm.intercept_visible_)
    np.testing.assert_allclose(model.reconstruct(digits), h.reshape(digits.shape), atol=1e-4)


def test_code_is_linear_and_rest_is_not(model):
    layers = model.java_network.describe()["layers"]
    assert [layer["name"] for layer in layers] == [
        "encoder_0",
        "encoder_1",
        "code",
        "decoder_0",
        "decoder_1",
        "output",
    ]
    configuration = model.java_network.configuration()
    assert configuration.count("ActivationSigmoid") == 5
    assert configuration.count("ActivationIdentity") == 1


def test_fine_tuning_makes_error_smaller(digits):
    model = DeepAutoencoder(**SMALL).pretrain(digits)
    before = squared_error(model, digits)
    assert squared_error(model.fine_tune(digits), digits) < 0.8 * before


def test_pretraining_beats_random_weights_of_same_layers(digits, model):
    """Deep sigmoid layers hardly learn from random weights: why the paper pretrains."""
    cold = DeepAutoencoder(**SMALL).pretrain(digits)
    for rbm in cold.rbms_:
        random = np.random.default_rng(0)
        rbm.components_[...] = random.normal(scale=0.1, size=rbm.components_.shape)
        rbm.intercept_hidden_[...] = 0
        rbm.intercept_visible_[...] = 0
    assert squared_error(model, digits) < 0.85 * squared_error(cold.fine_tune(digits), digits)


def test_history_tells_of_every_stage(model):
    for number in (1, 2, 3):
        assert len(model.history_[f"rbm_{number}_error"]) == 3
        assert len(model.history_[f"rbm_{number}_free_energy_gap"]) == 3
    assert len(model.history_["loss"]) == len(model.history_["val_loss"]) == 3
    assert model.history_["rbm_1_error"][-1] < model.history_["rbm_1_error"][0]


def test_equal_seeds_give_equal_weights(digits, model):
    again = DeepAutoencoder(**SMALL).fit(digits)
    np.testing.assert_array_equal(parameters(again), parameters(model))


def test_saved_model_is_same(model, digits, tmp_path):
    model.save(tmp_path / "deep.zip")
    back = load(tmp_path / "deep.zip")
    assert isinstance(back, DeepAutoencoder)
    assert repr(back) == repr(model)
    np.testing.assert_array_equal(back.encode(digits), model.encode(digits))
    assert back.history_ == model.history_
    with pytest.raises(NotFittedError, match="pretrain"):
        back.rbm_weights(1)
    assert back.set_params(epochs=1, rbm_epochs=1).fit(digits[:60]).embedding_size == 8


def test_without_rbms_layers_are_modern(digits):
    model = DeepAutoencoder(**SMALL | {"pretraining": "none", "learning_rate": 1e-2}).fit(digits)
    names = [layer["name"] for layer in model.java_network.describe()["layers"]]
    assert "encoder_0_normalization" in names
    assert model.history_["loss"][-1] < model.history_["loss"][0]
    assert not hasattr(model, "rbms_")
    with pytest.raises(ValueError, match="no RBMs to train"):
        model.pretrain(digits)


def test_weights_of_higher_rbms_are_seen_through_lower(digits):
    model = DeepAutoencoder(**SMALL).pretrain(digits)
    assert [model.rbm_weights(n).shape for n in (1, 2, 3)] == [(784, 64), (784, 32), (784, 8)]
    np.testing.assert_allclose(
        model.rbm_weights(2), model.rbms_[0].components_.T @ model.rbms_[1].components_.T, rtol=1e-5
    )
    with pytest.raises(ValueError, match="1 to 3"):
        model.rbm_weights(4)


# Killed, and started again.


class Killed(Exception):  # noqa: N818
    """What a test throws where a process would be killed."""


@pytest.mark.parametrize("writes", [2, 5, 11])
def test_killed_run_resumes(writes, digits, model, tmp_path, monkeypatch):
    """3 RBMs x 3 epochs and 3 of fine-tuning are 12 states: killed in each kind of place."""
    whole, done = Checkpoints.write, []

    def write(self, *arguments):
        whole(self, *arguments)
        done.append(arguments[0])
        if len(done) == writes:
            raise Killed

    settings = SMALL | {"checkpoint": tmp_path / "run"}
    monkeypatch.setattr(Checkpoints, "write", write)
    with pytest.raises(Killed):
        DeepAutoencoder(**settings).fit(digits)
    second = DeepAutoencoder(**settings).fit(digits)
    assert len(done) == 12
    np.testing.assert_array_equal(parameters(second), parameters(model))
    assert len(second.history_["loss"]) == 3
    assert "fine_tuning" in done


def test_another_run_is_not_gone_on_with(digits, tmp_path):
    settings = SMALL | {"checkpoint": tmp_path / "run"}
    DeepAutoencoder(**settings).fit(digits)
    with pytest.raises(ModelFormatError, match="other settings or other data"):
        DeepAutoencoder(**settings | {"rbm_learning_rate": 0.05}).fit(digits)
    with pytest.raises(ModelFormatError, match="other settings or other data"):
        DeepAutoencoder(**settings).fit(digits[::-1])


def test_broken_state_is_reported(digits, tmp_path):
    settings = SMALL | {"checkpoint": tmp_path / "run"}
    DeepAutoencoder(**settings).fit(digits)
    for content in (b"", b"PK\x03\x04 and no more"):
        (tmp_path / "run" / "rbm_2.npz").write_bytes(content)
        with pytest.raises(ModelFormatError, match=r"rbm_2\.npz.*delete it"):
            DeepAutoencoder(**settings).fit(digits)


def test_checkpoints_need_seed(digits, tmp_path):
    settings = SMALL | {"checkpoint": tmp_path, "random_state": None}
    with pytest.raises(ValueError, match="needs a random_state"):
        DeepAutoencoder(**settings).fit(digits)


# Wrong input.


def test_values_outside_unit_interval_are_refused(digits):
    with pytest.raises(ValueError, match="X / 255"):
        DeepAutoencoder(**SMALL).fit(digits.astype(np.float32))
    with pytest.raises(ValueError, match="NaN"):
        DeepAutoencoder(**SMALL).fit(np.full((20, 784), np.nan))


def test_fine_tuning_needs_pretraining(digits):
    with pytest.raises(NotFittedError, match="call pretrain"):
        DeepAutoencoder(**SMALL).fine_tune(digits)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pretraining": "dbn"}, "known: none, rbm"),
        ({"rbm_epochs": 0}, "epochs must be at least 1"),
        ({"code_size": 0}, "whole numbers from 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_settings_that_are_invalid_are_refused(settings, message, digits):
    with pytest.raises(ValueError, match=message):
        DeepAutoencoder(**SMALL | settings).fit(digits)


def test_nothing_is_left_open_in_java(digits):
    before = bridge().call("openHandles")
    model = DeepAutoencoder(**SMALL | {"epochs": 1, "rbm_epochs": 1}).fit(digits[:100])
    assert bridge().call("openHandles") <= before + 2
    assert Path(__file__).exists()
    assert model.embedding_size == 8
