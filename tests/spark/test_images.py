"""Images in a folder: read where they lie, the broken ones set aside with their reason."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pyimgret import spark
from pyimgret.datasets import ImageFolder
from pyimgret.encoder import Encoder
from pyimgret.exceptions import JavaCallError, ModelMismatchError
from pyimgret.index import Index
from pyimgret.models import Autoencoder
from pyimgret.preprocessing import Preprocessor
from tests.spark.conftest import on

GOOD = 40


@pytest.fixture(scope="module")
def folder(all_digits: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images with strange names, three that are broken, one hidden, links in a circle."""
    root = tmp_path_factory.mktemp("images") / "of a user"
    for number, image in enumerate(all_digits[:: len(all_digits) // GOOD][:GOOD]):
        name = os.fsdecode(b"caf\xe9: %d #?.png" % number)
        below = root / ("é ü" if number % 2 else "100%") / name
        below.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((40, 30)).save(below)
    whole = below.read_bytes()
    (root / "empty.png").write_bytes(b"")
    (root / "half.png").write_bytes(whole[: len(whole) // 2])
    (root / "text.jpg").write_text("no image")
    (root / ".hidden.png").write_bytes(whole)
    (root / "é ü" / "up").symlink_to(root)
    (root / "nowhere.png").symlink_to("nothing")
    return root


BROKEN = {"empty.png", "half.png", "text.jpg", "nowhere.png"}


@pytest.mark.parametrize(("locale", "hidden"), [("C.UTF-8", 0), ("C", 1)])
def test_images_become_embeddings_and_broken_ones_reasons(
    model_file: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    locale: str,
    hidden: int,
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    output = tmp_path / "embeddings"
    data = spark.Images(folder, hidden=bool(hidden))
    report = spark.encode(model_file, data, output, options=on("local[2]"))
    assert (report.embeddings, report.broken) == (GOOD + hidden, len(BROKEN))
    assert report.hidden_skipped == 1 - hidden
    assert {key for key, _ in spark.read_failures(output)} == BROKEN
    assert all(reason for _, reason in spark.read_failures(output))

    encoder = Encoder.load(model_file)
    paths = {file.key: file.path for file in ImageFolder(folder, hidden=bool(hidden)).files}
    seen = []
    for keys, vectors in spark.read_embeddings(output):
        expected = encoder.encode([paths[key] for key in keys])
        np.testing.assert_allclose(vectors, expected, atol=1e-5)
        seen += keys
    assert sorted(seen) == sorted(paths.keys() - BROKEN)


def test_training_leaves_broken_images_out_and_resumes_from_its_checkpoint(
    folder: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.zip"

    def model(epochs: int) -> Autoencoder:
        return Autoencoder(
            hidden_sizes=(32,),
            code_size=8,
            epochs=epochs,
            batch_size=8,
            random_state=1,
            preprocessing=Preprocessor("L", 28, 28),
        )

    def train(epochs: int) -> Autoencoder:
        return spark.train(
            model(epochs), spark.Images(folder), options=on("local[2]"), checkpoint=checkpoint
        )

    first = train(1)
    assert set(first.spark_["broken"]) == BROKEN
    assert first.spark_["images"] == GOOD
    assert first.spark_["hidden_skipped"] == 1
    second = train(3)
    assert len(second.history_["loss"]) == 2
    assert second.history_["loss"][-1] < first.history_["loss"][0]

    other = model(3).set_params(code_size=4)
    with pytest.raises(JavaCallError, match="checkpoint of another network"):
        spark.train(other, spark.Images(folder), options=on("local[2]"), checkpoint=checkpoint)


def test_embeddings_of_another_model_are_rejected(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "_pyimgret.json").write_text('{"embeddings": 0, "model_checksum": "another"}')
    index = Index.create(tmp_path / "index", dimension=2)
    index.context.model_checksum = "this one"
    with pytest.raises(ModelMismatchError, match="another"):
        spark.import_embeddings(index, tmp_path)
    index.close()
