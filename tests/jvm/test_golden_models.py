"""The golden embeddings, on the Python side; the Java side is GoldenModelsTest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pyimgret import Encoder

GOLDEN = Path(__file__).parent.parent / "golden"
MODELS = json.loads((GOLDEN / "models.json").read_text())


@pytest.mark.parametrize("model", MODELS)
def test_the_embeddings_are_those_of_the_golden_file(model):
    encoder = Encoder.load(GOLDEN / "models" / f"{model}.zip", batch_size=16)
    names = list(MODELS[model])
    found = encoder.encode([GOLDEN / "pictures" / name for name in names])
    expected = np.array([MODELS[model][name]["embedding"] for name in names], np.float32)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_every_golden_model_is_in_the_golden_file():
    assert {path.stem for path in (GOLDEN / "models").iterdir()} == set(MODELS)
