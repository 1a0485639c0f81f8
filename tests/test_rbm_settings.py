"""What an RBM says without Java."""

import pytest

from pyimgret import RBM, DeepAutoencoder
from pyimgret.rbm.training import momentum_of


def test_momentum_follows_schedule():
    assert [momentum_of(((0, 0.5), (2, 0.9)), epoch) for epoch in range(4)] == [0.5, 0.5, 0.9, 0.9]
    assert momentum_of(0.3, 7) == 0.3


def test_repr_tells_what_differs():
    assert repr(RBM(5, hidden="relu")) == "RBM(hidden='relu', n_components=5)"
    assert repr(DeepAutoencoder(code_size=2)) == "DeepAutoencoder(code_size=2)"


def test_parameters_are_scikit_learns_way():
    rbm = RBM(5).set_params(k=3)
    assert rbm.get_params()["k"] == 3
    with pytest.raises(ValueError, match="Invalid parameter"):
        rbm.set_params(steps=3)
