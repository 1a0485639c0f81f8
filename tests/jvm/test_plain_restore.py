"""A saved model is a Deeplearning4j zip: a JVM without any class of ours restores it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pyimgret import PCA, SVD, Autoencoder, DeepAutoencoder, DenoisingAutoencoder, Encoder
from pyimgret.preprocessing import normalize
from tests.plain_dl4j import plain_codes


@pytest.mark.parametrize(
    "model",
    [
        PCA(10, random_state=0),
        SVD(10, random_state=0),
        Autoencoder((64,), 10, epochs=2, random_state=0, verbose=False),
        DenoisingAutoencoder((64, 32), 10, epochs=2, random_state=0, verbose=False),
        DeepAutoencoder((64,), 10, rbm_epochs=1, epochs=2, random_state=0, verbose=False),
    ],
    ids=lambda model: type(model).__name__,
)
def test_plain_deeplearning4j_gives_same_codes(model, digits, tmp_path: Path) -> None:
    model.fit(digits)
    X = digits[:50].reshape(50, -1).astype(np.float32) / np.float32(255)
    model.save(tmp_path / "model.zip")
    codes = plain_codes(tmp_path / "model.zip", model.code_layer_, "DENSE,28,28,1", X)
    assert np.abs(normalize(codes) - Encoder(model).encode(digits[:50])).max() < 1e-5
