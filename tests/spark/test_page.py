"""The commands and the program of the page about Spark, on the cluster of these tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pyimgret import Index
from tests.pages import Session, blocks
from tests.pictures import made_pictures
from tests.spark.cluster import Cluster
from tests.test_pages import excused

PAGE = "pyimgret/spark/README.md"
#: What the page says, and what it is here: other places, and a network that is soon trained.
HERE = {
    "--epochs 20": "--epochs 2",
    "--size 64": "--size 16 --hidden-sizes 64",
    "Autoencoder(code_size=64, epochs=20)": "Autoencoder((256,), code_size=64, epochs=2)",
}


def test_the_blocks_of_the_page(
    cluster: Cluster,
    all_digits: NDArray[np.uint8],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(made_pictures(12, 80)):
        Image.fromarray(image).save(tmp_path / "photos" / f"{number}.jpg")
    Image.fromarray(made_pictures(1, 80)[0]).save(tmp_path / "query.jpg")
    np.save(tmp_path / "digits.npy", all_digits[::10])
    changes = HERE | {"spark://main:7077": cluster.url, "/data/": f"{tmp_path}/"}
    outputs = []
    with Session(tmp_path) as session:
        for block in blocks(PAGE):
            text = block.text
            for said, here in changes.items():
                text = text.replace(said, here)
            if not excused(block):
                outputs.append(session.run(replace(block, text=text)))
    assert "0.jpg" in outputs[0]
    with Index.open(tmp_path / "idx") as index:
        assert len(index) == 12
    with Index.open(tmp_path / "digits.idx") as index:
        assert len(index) == 500
