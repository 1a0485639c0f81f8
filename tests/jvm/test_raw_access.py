"""Scripting Deeplearning4j itself."""

from __future__ import annotations

import numpy as np
import pytest

import pyimgret
from pyimgret.exceptions import JavaCallError


@pytest.fixture(scope="module")
def model(digits):
    return pyimgret.Autoencoder((32,), 6, epochs=1, random_state=0, verbose=False).fit(digits)


def test_models_own_network_is_there(model) -> None:
    summary = pyimgret.with_java(lambda java: java.network(model).summary())
    assert "BatchNormalization" in summary
    assert "encoder_0_weights" in summary


def test_what_script_changes_model_shows(model, digits) -> None:
    def double_the_scale_of_the_code(java) -> float:
        network = java.network(model)
        gamma = network.getParam(f"{model.code_layer_}_gamma")
        before = gamma.getFloat(0)
        same = gamma.dup()
        gamma.addi(same)
        return before

    before = model.encode(digits[:5])
    assert pyimgret.with_java(double_the_scale_of_the_code) == pytest.approx(1, abs=0.2)
    beta = model.java_network.get(f"{model.code_layer_}_beta")
    assert np.allclose(model.encode(digits[:5]), 2 * before - beta, atol=1e-5)


def test_java_errors_come_as_ours_with_class_and_stack() -> None:
    with pytest.raises(JavaCallError, match="NumberFormatException") as caught:
        pyimgret.with_java(lambda java: java.autoclass("java.lang.Integer").parseInt("x"))
    assert caught.value.java_class == "java.lang.NumberFormatException"
    assert "parseInt" in caught.value.java_stack


def test_pythons_errors_come_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        pyimgret.with_java(lambda _: 1 // 0)


def test_our_own_calls_work_inside_script(model, digits) -> None:
    inside = pyimgret.with_java(lambda _: model.encode(digits[:3]))
    assert np.array_equal(inside, model.encode(digits[:3]))
