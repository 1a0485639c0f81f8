"""The golden embeddings, on the Python side; the Java side is GoldenModelsTest."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import pyimgret
from pyimgret import Encoder

GOLDEN = Path(__file__).parent.parent / "golden"
MODELS = json.loads((GOLDEN / "models.json").read_text())
RENAMED = {"updater": "optimizer"}
"""Constructor parameters of 0.1.0 that have another name today: old name -> new name."""


@pytest.mark.parametrize("model", MODELS)
def test_embeddings_are_those_of_golden_file(model):
    encoder = Encoder.load(GOLDEN / "models" / f"{model}.zip", batch_size=16)
    names = list(MODELS[model])
    found = encoder.encode([GOLDEN / "pictures" / name for name in names])
    expected = np.array([MODELS[model][name]["embedding"] for name in names], np.float32)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_every_golden_model_is_in_golden_file():
    assert {path.stem for path in (GOLDEN / "models").iterdir()} == set(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_constructor_parameters_of_0_1_0_are_restored(model):
    path = GOLDEN / "models" / f"{model}.zip"
    with zipfile.ZipFile(path) as archive:
        stored = json.loads(archive.read("pyimgret.json"))
    assert stored["library"] == "pyimgret 0.1.0"
    loaded = pyimgret.load(path)
    assert type(loaded).__name__ == stored["kind"]
    # Through JSON: tuples become lists, as they are stored.
    found = json.loads(json.dumps(loaded.get_params(), default=str))
    restored = {name: found[RENAMED.get(name, name)] for name in stored["parameters"]}
    assert restored == stored["parameters"]
