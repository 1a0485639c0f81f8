"""RBMs against the exact gradient, NumPy's formulas and scikit-learn."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyimgret import RBM, with_java
from pyimgret.exceptions import DimensionMismatchError, NotFittedError, TrainingError
from pyimgret.jvm import bridge

VISIBLE, HIDDEN = 6, 4
STATES = np.array(list(itertools.product([0, 1], repeat=VISIBLE)), np.float64)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def plant(rbm: RBM, X: Any, seed: int = 3, scale: float = 0.8) -> RBM:
    """Give an RBM that has seen X's shape large random parameters."""
    random = np.random.default_rng(seed)
    rbm.set_params(learning_rate=1e-12).partial_fit(X)
    for values in (rbm.components_, rbm.intercept_hidden_, rbm.intercept_visible_):
        values[...] = random.normal(scale=scale, size=values.shape)
    return rbm.set_params(learning_rate=0.01)


def exact(rbm: RBM) -> tuple[NDArray[Any], float]:
    """Return the probability of every visible state, and log Z."""
    W, b, c = (
        np.float64(v) for v in (rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_)
    )
    log_p = STATES @ b + np.logaddexp(0, STATES @ W.T + c).sum(axis=1)
    log_z = float(np.logaddexp.reduce(log_p))
    return np.exp(log_p - log_z), log_z


def log_likelihood(rbm: RBM, X: Any) -> float:
    return float(np.mean(-rbm.free_energy(X)) - exact(rbm)[1])


def exact_gradient(rbm: RBM, X: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return d log-likelihood / d parameter by enumeration of all 64 visible states."""
    W, c = np.float64(rbm.components_), np.float64(rbm.intercept_hidden_)
    p = exact(rbm)[0]
    data, model = sigmoid(X @ W.T + c), sigmoid(STATES @ W.T + c)
    return {
        "weights": data.T @ X / len(X) - (model * p[:, None]).T @ STATES,
        "hidden": data.mean(axis=0) - p @ model,
        "visible": X.mean(axis=0) - p @ STATES,
    }


def learned_gradient(rbm: RBM) -> dict[str, NDArray[Any]]:
    """Return what the last step moved by, by unit of learning rate."""
    p, rate = rbm._parameters, rbm.learning_rate
    return {
        "weights": p.weights_velocity / rate,
        "hidden": p.hidden_velocity / rate,
        "visible": p.visible_velocity / rate,
    }


def examples(n: int) -> NDArray[np.float32]:
    return np.float32(
        np.random.default_rng(5).random((n, VISIBLE)) < [0.2, 0.8, 0.5, 0.9, 0.4, 0.1]
    )


def test_many_steps_give_exact_gradient_of_log_likelihood():
    X = examples(20_000)
    rbm = RBM(HIDDEN, k=60, momentum=0.0, weight_decay=0.0, batch_size=20_000, random_state=1)
    expected = exact_gradient(plant(rbm, X), X)
    got = learned_gradient(rbm.partial_fit(X))
    # The standard error of a mean of 20,000 states is below 0.0036.
    for name, values in expected.items():
        assert np.abs(values).max() > 0.05
        np.testing.assert_allclose(got[name], values, atol=0.015)


def test_one_step_is_not_exact_gradient():
    X = examples(20_000)
    rbm = RBM(HIDDEN, k=1, momentum=0.0, weight_decay=0.0, batch_size=20_000, random_state=1)
    expected = exact_gradient(plant(rbm, X), X)["weights"]
    assert np.abs(learned_gradient(rbm.partial_fit(X))["weights"] - expected).max() > 0.03


def test_persistent_chains_give_exact_gradient():
    X = examples(2_000)
    rbm = RBM(
        HIDDEN, persistent=True, momentum=0.0, weight_decay=0.0, batch_size=2_000, random_state=1
    )
    plant(rbm, X).set_params(learning_rate=1e-7)
    expected = exact_gradient(rbm, X)
    sums = {name: np.zeros_like(values) for name, values in expected.items()}
    for step in range(80):
        rbm.partial_fit(X)
        if step >= 40:
            for name, values in learned_gradient(rbm).items():
                sums[name] += values / 40
    for name, values in expected.items():
        np.testing.assert_allclose(sums[name], values, atol=0.015)


@pytest.mark.parametrize("settings", [{"k": 5}, {"persistent": True}])
def test_exact_log_likelihood_rises(settings):
    X = examples(1_000)
    rbm = RBM(
        HIDDEN,
        weight_decay=0.0,
        learning_rate=0.1,
        batch_size=50,
        epochs=1,
        random_state=0,
        **settings,
    ).fit(X)
    start = log_likelihood(rbm, X)
    seen = [log_likelihood(rbm.partial_fit(X), X) for _ in range(20)]
    independent = np.clip(X.mean(axis=0), 1e-6, 1 - 1e-6)
    best = float(
        np.sum(independent * np.log(independent) + (1 - independent) * np.log1p(-independent))
    )
    assert seen[-1] > start - 0.01
    # The examples are independent pixels: their entropy is the most that can be reached.
    assert seen[-1] == pytest.approx(best, abs=0.06)


def test_correlated_pixels_are_learned():
    random = np.random.default_rng(0)
    on = random.random((2_000, 1)) < 0.5
    X = np.float32(np.repeat(on, VISIBLE, axis=1) ^ (random.random((2_000, VISIBLE)) < 0.05))
    rbm = RBM(
        HIDDEN, k=3, weight_decay=0.0, learning_rate=0.1, batch_size=50, epochs=1, random_state=0
    ).fit(X)
    start = log_likelihood(rbm, X)
    for _ in range(30):
        rbm.partial_fit(X)
    assert start < -4 < -2.3 < log_likelihood(rbm, X)


def test_samples_have_exact_distribution():
    rbm = plant(RBM(HIDDEN, random_state=0), examples(10))
    V = rbm.sample(40_000, n_steps=60, random_state=2)
    assert set(np.unique(V)) == {0, 1}
    counts = np.bincount(np.int64(V @ 2 ** np.arange(VISIBLE)[::-1]), minlength=64) / len(V)
    assert np.abs(counts - exact(rbm)[0]).sum() < 0.06


# The formulas of one step, with Java's chance drawn anew in NumPy.

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def mix(a: int, b: int) -> int:
    return finish((a * GAMMA + b + GAMMA) & MASK)


def finish(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def draw(seed: int, pair: int) -> int:
    return finish((seed + 2 * pair * GAMMA) & MASK)


def uniforms(seed: int, n: int) -> NDArray[Any]:
    bits = [draw(seed, i // 2) for i in range(n)]
    return np.array([b >> 40 if i % 2 == 0 else b & 0xFFFFFF for i, b in enumerate(bits)]) / 2**24


def normals(seed: int, n: int) -> NDArray[Any]:
    out = []
    for i in range(n):
        bits = draw(seed, i // 2)
        radius = np.sqrt(-2 * np.log(((bits >> 32) + 0.5) / 2**32))
        angle = 2 * np.pi * (bits & 0xFFFFFFFF) / 2**32
        out.append(radius * (np.cos(angle) if i % 2 == 0 else np.sin(angle)))
    return np.array(out)


def step(rbm: RBM, v: NDArray[Any], epoch: int) -> dict[str, NDArray[Any]]:
    """Return the gradient of CD-1 for a single example."""
    W, b, c = (
        np.float64(p) for p in (rbm.components_, rbm.intercept_visible_, rbm.intercept_hidden_)
    )
    batch = mix(mix(rbm._seed, epoch), 1)

    def hidden(visible: NDArray[Any], number: int) -> tuple[NDArray[Any], NDArray[Any]]:
        x, seed = W @ visible + c, mix(mix(batch, number), 0)
        if rbm.hidden == "bernoulli":
            return sigmoid(x), np.float64(uniforms(seed, len(x)) < sigmoid(x))
        if rbm.hidden == "gaussian":
            return x, x + normals(seed, len(x))
        state = np.maximum(0, x + np.sqrt(sigmoid(x)) * normals(seed, len(x)))
        return state, state

    h0, state = hidden(v, 0)
    x = state @ W + b
    v1 = sigmoid(x) if rbm.visible == "bernoulli" else x
    h1 = hidden(v1, 2)[0]
    return {
        "weights": np.outer(h0, v) - np.outer(h1, v1),
        "hidden": h0 - h1,
        "visible": v - v1,
        "error": np.mean((v - v1) ** 2),
        "activity": h0,
    }


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian", "relu"])
def test_step_follows_formulas(visible, hidden):
    random = np.random.default_rng(4)
    v = random.random((1, 37), dtype=np.float32)
    rbm = RBM(21, visible=visible, hidden=hidden, momentum=0.0, weight_decay=0.0, random_state=9)
    plant(rbm, v, scale=0.3)
    expected = step(rbm, v[0].astype(np.float64), epoch=1)
    got = learned_gradient(rbm.partial_fit(v))
    for name in ("weights", "hidden", "visible"):
        np.testing.assert_allclose(got[name], expected[name], atol=2e-4)
    assert rbm.history_["error"][-1] == pytest.approx(expected["error"], rel=1e-4)


def test_momentum_and_decay_follow_formulas():
    v = np.random.default_rng(4).random((1, 20), dtype=np.float32)
    rbm = RBM(12, momentum=0.7, weight_decay=0.05, random_state=9)
    plant(rbm, v, scale=0.3).set_params(learning_rate=0.2)
    velocity = np.zeros((12, 20))
    for epoch in (1, 2):
        W, c = rbm.components_.copy(), rbm.intercept_hidden_.copy()
        gradient = step(rbm, v[0].astype(np.float64), epoch)
        velocity = 0.7 * velocity + 0.2 * (gradient["weights"] - 0.05 * W)
        rbm.partial_fit(v)
        np.testing.assert_allclose(rbm.components_, W + velocity, atol=1e-5)
    np.testing.assert_allclose(
        rbm.intercept_hidden_ - c, rbm._parameters.hidden_velocity, atol=1e-6
    )


def test_sparsity_term_follows_formula():
    v = np.random.default_rng(4).random((1, 20), dtype=np.float32)
    rbm = RBM(
        12,
        momentum=0.0,
        weight_decay=0.0,
        random_state=9,
        sparsity_target=0.1,
        sparsity_cost=0.5,
        sparsity_decay=0.6,
    )
    plant(rbm, v, scale=0.3)
    rbm._parameters.activity[...] = 0.4
    plain = step(rbm, v[0].astype(np.float64), epoch=1)
    q = 0.6 * 0.4 + 0.4 * plain["activity"]
    got = learned_gradient(rbm.partial_fit(v))
    np.testing.assert_allclose(rbm._parameters.activity, q, atol=1e-6)
    pull = 0.5 * (0.1 - q)
    np.testing.assert_allclose(got["hidden"], plain["hidden"] + pull, atol=1e-4)
    np.testing.assert_allclose(got["weights"], plain["weights"] + np.outer(pull, v[0]), atol=1e-4)


def test_sparse_units_are_mostly_off(digits):
    settings: dict[str, Any] = {"epochs": 5, "random_state": 0, "batch_size": 20}
    free = RBM(40, **settings).fit(digits).transform(digits).mean()
    sparse = RBM(40, sparsity_target=0.05, sparsity_cost=1.0, **settings).fit(digits)
    assert sparse.transform(digits).mean() < 0.12 < free


def test_rows_sum_up_over_batches_of_any_size(digits):
    """Equal rows have equal statistics: a batch's mean gradient is a row's, but for the chance."""
    V = np.repeat(digits[:1].reshape(1, -1) / np.float32(255), 50, axis=0)
    one = RBM(32, hidden="gaussian", momentum=0.0, weight_decay=0.0, random_state=0, batch_size=50)
    plant(one, V, scale=0.001)
    one.intercept_hidden_[...] = 0.0
    got = learned_gradient(one.partial_fit(V))["visible"]
    assert np.abs(got - (V[0] - sigmoid(one.intercept_visible_))).max() < 0.05


# Inference.


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian", "relu"])
def test_means_and_free_energies_follow_formulas(visible, hidden):
    V = np.random.default_rng(1).random((700, 23), dtype=np.float32)
    rbm = plant(RBM(17, visible=visible, hidden=hidden, random_state=0), V, scale=0.5)
    x = V @ np.float64(rbm.components_).T + rbm.intercept_hidden_
    means = {"bernoulli": sigmoid(x), "gaussian": x, "relu": np.maximum(0, x)}[hidden]
    np.testing.assert_allclose(rbm.transform(V), means, atol=2e-5)
    back = means @ np.float64(rbm.components_) + rbm.intercept_visible_
    back = sigmoid(back) if visible == "bernoulli" else back
    np.testing.assert_allclose(rbm.reconstruct(V), back, atol=2e-4)
    copies = x[..., None] - np.arange(200) - 0.5
    energy = {
        "bernoulli": np.logaddexp(0, x),
        "gaussian": x**2 / 2,
        "relu": np.logaddexp(0, copies).sum(axis=-1),
    }[hidden].sum(axis=1)
    own = V @ np.float64(rbm.intercept_visible_)
    if visible == "gaussian":
        own = -((V - np.float64(rbm.intercept_visible_)) ** 2).sum(axis=1) / 2
    np.testing.assert_allclose(rbm.free_energy(V), -own - energy, rtol=1e-4, atol=1e-3)


def test_scikit_learn_agrees(digits):
    from sklearn.neural_network import BernoulliRBM

    X = digits[:100].reshape(100, -1) / np.float32(255)
    rbm = RBM(30, epochs=2, batch_size=10, random_state=0).fit(digits[:100])
    peer = BernoulliRBM(30)
    peer.components_, peer._n_features_out = rbm.components_, 30
    peer.intercept_hidden_ = rbm.intercept_hidden_
    peer.intercept_visible_ = rbm.intercept_visible_
    np.testing.assert_allclose(rbm.transform(digits[:100]), peer.transform(X), atol=1e-5)
    np.testing.assert_allclose(rbm.free_energy(X), peer._free_energy(X), rtol=1e-5)


def test_pseudo_likelihood_is_mean_over_flips():
    X = examples(40)
    rbm = plant(RBM(HIDDEN, random_state=0), X)
    estimates = [rbm.score_samples(X, random_state=seed) for seed in range(300)]
    expected = np.zeros(len(X))
    for i in range(VISIBLE):
        flipped = X.copy()
        flipped[:, i] = 1 - flipped[:, i]
        expected -= np.logaddexp(0, rbm.free_energy(X) - rbm.free_energy(flipped))
    np.testing.assert_allclose(np.mean(estimates, axis=0), expected, atol=1.2)
    assert np.mean(estimates) == pytest.approx(expected.mean(), abs=0.1)


# Seeds, going on, wrong input.


def test_equal_seeds_give_equal_weights(digits):
    first, second, third = (
        RBM(64, epochs=2, random_state=seed).fit(digits).components_ for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 0.01


def set_threads(count: int) -> None:
    nd4j = "org.nd4j.linalg.factory.Nd4j"
    with_java(lambda java: java.autoclass(nd4j).getEnvironment().setMaxThreads(count))


def test_one_thread_and_two_give_same_weights(digits):
    usual = json.loads(bridge().call("info"))["threads"]
    weights = []
    try:
        for count in (1, 2):
            set_threads(count)
            weights.append(RBM(128, epochs=2, random_state=1).fit(digits).components_)
    finally:
        set_threads(usual)
    np.testing.assert_allclose(weights[0], weights[1], atol=1e-4)


def test_training_resumes(digits):
    whole = RBM(24, epochs=4, persistent=True, sparsity_target=0.2, random_state=1).fit(digits)
    part = RBM(24, epochs=2, persistent=True, sparsity_target=0.2, random_state=1).fit(digits)
    other = RBM(24, epochs=2, persistent=True, sparsity_target=0.2, random_state=7)
    other.set_state(*part.get_state()).partial_fit(digits).partial_fit(digits)
    np.testing.assert_array_equal(whole.components_, other.components_)
    assert len(other.history_["error"]) == 4


def test_history_tells_error_and_overfitting(digits):
    rbm = RBM(200, epochs=25, batch_size=10, random_state=0, weight_decay=0.0)
    history = rbm.fit(digits[:100], X_val=digits[100:400]).history_
    assert history["error"][-1] < history["error"][0] / 2
    assert history["free_energy_gap"][-1] > history["free_energy_gap"][0] + 5


def test_rectified_units_learn(digits):
    rbm = RBM(64, hidden="relu", learning_rate=0.003, epochs=8, batch_size=20, random_state=0)
    error = rbm.fit(digits).history_["error"]
    assert error[-1] < 0.75 * error[0]
    assert rbm.transform(digits).min() == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k must be at least 1"),
        ({"k": 1.5}, "k must be at least 1 and a whole number, got 1.5"),
        ({"batch_size": "10"}, "batch_size must be .* got '10'"),
        ({"n_components": 0}, "n_components must be at least 1"),
        ({"visible": "binary"}, "known: bernoulli, gaussian"),
        ({"hidden": "tanh"}, "known: bernoulli, gaussian, relu"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"sparsity_target": 2.0}, "must be above 0 and below 1, got 2.0"),
        ({"sparsity_target": 0.1, "hidden": "relu"}, "binary hidden units"),
        ({"momentum": ((3, 0.5),)}, "starts with epoch 0"),
        ({"momentum": 1.0}, "below 1"),
        ({"weight_decay": -1.0}, "must be at least 0"),
    ],
)
def test_settings_that_are_invalid_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RBM(**settings).fit(examples(10))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.full((3, 4), 2.0), r"values from 2 to 2; .* \[0, 1\]"),
        (np.full((3, 4), -0.1), r"\[0, 1\]"),
        (np.full((3, 4), np.nan), "NaN"),
    ],
)
def test_values_that_no_binary_unit_has_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        RBM(2).fit(X)


def test_another_width_is_refused():
    rbm = RBM(2, epochs=1, random_state=0).fit(examples(10))
    for method in (rbm.transform, rbm.partial_fit, rbm.free_energy):
        with pytest.raises(DimensionMismatchError, match="expecting 6 features"):
            method(np.zeros((2, 5)))


def test_untrained_rbm_is_reported():
    with pytest.raises(NotFittedError, match="call fit"):
        RBM(2).transform(examples(2))


def test_divergence_keeps_what_was_learned():
    X = np.float32(np.random.default_rng(0).normal(size=(200, 8)))
    rbm = RBM(
        8, visible="gaussian", hidden="gaussian", learning_rate=0.001, epochs=1, random_state=0
    ).fit(X)
    before = rbm.components_.copy()
    with pytest.raises(TrainingError, match="smaller learning_rate"):
        rbm.set_params(learning_rate=1e30).partial_fit(X)
    np.testing.assert_array_equal(rbm.components_, before)
    rbm.set_params(learning_rate=0.001).partial_fit(X)
    assert np.isfinite(rbm.transform(X)).all()
