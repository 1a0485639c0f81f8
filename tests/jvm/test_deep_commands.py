"""train --model deep-autoencoder, its plots, and evaluate --noise, to files and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pyimgret import DeepAutoencoder, load
from pyimgret.cli import main
from pyimgret.models.weights import layer_weights, pretrained_weights

SMALL = ("--hidden-sizes", "32,16", "--epochs", "1", "--rbm-epochs", "1", "--seed", "1")


def run(*arguments: object, status: int = 0) -> Any:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A deep autoencoder of two codes with its checkpoints, and a PCA."""
    where: Path = tmp_path_factory.mktemp("deep")
    run(
        "train",
        "--model",
        "deep-autoencoder",
        "--digits",
        *SMALL,
        "--code-size",
        2,
        "--checkpoint",
        where / "run",
        "--out",
        where / "deep.zip",
    )
    run("train", "--model", "pca", "--digits", "--code-size", 5, "--out", where / "pca.zip")
    return where


def test_training_gives_model_and_its_states(folder):
    assert isinstance(load(folder / "deep.zip"), DeepAutoencoder)
    names = sorted(path.name for path in (folder / "run").iterdir())
    assert names == ["fine_tuning.npz", "rbm_1.npz", "rbm_2.npz", "rbm_3.npz"]


def test_options_of_deep_autoencoder_are_own(tmp_path):
    result = run(
        "train",
        "--model",
        "pca",
        "--digits",
        "--rbm-epochs",
        1,
        "--out",
        tmp_path / "x.zip",
        status=2,
    )
    assert "--rbm-epochs cannot be used with --model pca" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("weights",),
        ("weights", "--layer", 2),
        ("weights", "--layer", 3, "--checkpoint", "run"),
        ("history",),
        ("history", "--what", "error"),
        ("reconstructions", "--digits"),
        ("embedding", "--digits", "--count", 300),
    ],
    ids=lambda arguments: " ".join(map(str, arguments)),
)
def test_every_image_is_drawn(arguments, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    out = tmp_path / "figure.png"
    run("plot", *arguments, "--model", "deep.zip", "--out", out)
    with Image.open(out) as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_layers_and_rbms_are_seen_through_those_below(folder):
    model = load(folder / "deep.zip")
    first, second = (model.java_network.get(f"{number}_W") for number in (0, 1))
    np.testing.assert_allclose(layer_weights(model, 2), first @ second, rtol=1e-4, atol=1e-5)
    weights = [np.load(folder / "run" / f"rbm_{n}.npz")["weights"].T for n in (1, 2)]
    expected = weights[0] @ weights[1]
    np.testing.assert_allclose(
        pretrained_weights(folder / "run", 2), expected, rtol=1e-4, atol=1e-5
    )
    out = folder / "never.png"
    for more in (("--layer", 4), ("--layer", 4, "--checkpoint", folder / "run")):
        assert (
            "4"
            in run(
                "plot", "weights", "--model", folder / "deep.zip", *more, "--out", out, status=2
            ).output
        )


def test_noise_is_reported_as_table_document_and_image(folder, tmp_path):
    models = ("--model", folder / "deep.zip", "--model", folder / "pca.zip")
    out = tmp_path / "noise.png"
    result = run(
        "evaluate", "--noise", *models, "--digits", "--queries", 100, "--out", out, "--json"
    )
    document = json.loads(result.stdout)
    assert document["dimensions"] == {"raw pixels": 784, "deep": 2, "pca": 5}
    assert len(document["rows"]) == 3 * 5 * 5
    assert document["n_queries"] == 100
    assert set(document["milliseconds"]) == set(document["dimensions"])
    with Image.open(out) as image:
        assert image.width > 1000


def test_several_models_are_for_noise_alone(folder):
    models = ("--model", folder / "deep.zip", "--model", folder / "pca.zip")
    assert "can only be given with --noise" in run("evaluate", *models, "--digits", status=2).output
