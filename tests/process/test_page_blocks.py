"""The blocks of the pages, run from top to bottom in a folder that holds what they name."""

from __future__ import annotations

import csv
import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from browser_fakes import KINDS, scene
from numpy.typing import NDArray
from PIL import Image

from pyimgret import Index, datasets
from tests.pages import ROOT, Session, blocks
from tests.test_pages import excused

MODELS = ROOT / "tests" / "golden" / "models"


def _write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Give the working folder with photos of three classes and a query."""
    for n in range(18):
        path = tmp_path / "photos" / KINDS[n % 3] / f"{n:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        scene(KINDS[n % 3], n / 18, n).save(path)
    scene("sea", 0.55, 99).save(tmp_path / "query.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def few_digits(monkeypatch):
    """Replace the 5,000 digits by every fifth, so that training takes seconds."""
    images, labels = (array[::5] for array in datasets.load_digits())
    monkeypatch.setattr(datasets, "load_digits", lambda: datasets.Digits(images, labels))
    return images, labels


def run_page(page: str, folder: Path) -> list[str]:
    """Run a page's blocks and return what each printed; Java and Maven are test_consumer's."""
    with Session(folder) as session:
        runnable = [b for b in blocks(page) if b.language not in ("java", "xml")]
        return [session.run(block) for block in runnable if not excused(block)]


def test_the_first_page(folder, few_digits, published_weights, capsys):
    published_weights("efficientnet_lite2")
    outputs = run_page("README.md", folder)
    assert "sea/" in outputs[0]
    assert (folder / "why.png").stat().st_size > 10_000
    assert (folder / "matches.png").stat().st_size > 10_000
    assert "digit-0 1.0" in capsys.readouterr().out


def test_the_page_about_models(folder, few_digits, imagenet_weights, published_weights):
    published_weights("efficientnet_lite2")
    images, labels = few_digits
    for name in ("train", "t10k"):
        _write_idx(folder / f"{name}-images-idx3-ubyte.gz", images)
        _write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels.astype(np.uint8))
    for name, image in (("one.png", images[0]), ("two.png", images[-1])):
        Image.fromarray(image).save(folder / name)
    run_page("pyimgret/README.md", folder)
    for name in ("weights", "history", "reconstructions", "map", "confusion", "matches", "noise"):
        assert (folder / f"{name}.png").stat().st_size > 5_000
    assert len(np.load(folder / "vectors.npz")["embeddings"]) == 18


def test_the_page_about_the_index(folder):
    (folder / "ae.zip").write_bytes((MODELS / "conv_autoencoder.zip").read_bytes())
    scene("town", 0.2, 98).save(folder / "one.png")
    run_page("pyimgret/index/README.md", folder)
    for name in ("copy/index.sqlite", "saved.parquet", "all.parquet", "two/index.sqlite"):
        assert (folder / name).stat().st_size > 1_000


def test_the_page_about_the_service(folder, capsys):
    (folder / "photos.zip").write_bytes((MODELS / "conv_autoencoder.zip").read_bytes())
    with (folder / "places.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["photo", "name", "kind", "year"])
        for n in range(18):
            writer.writerow([f"photos/{KINDS[n % 3]}/{n:02}.jpg", f"place {n}", KINDS[n % 3], 2000])
    outputs = run_page("server/README.md", folder)
    requests = next(output for output in outputs if '"took_ms"' in output)
    upload, filtered, by_key, embedded, item, facts = map(json.loads, requests.splitlines())
    assert upload["matches"][0]["key"] == "digits/150.png"
    assert len(upload["matches"]) == 3
    assert {match["metadata"]["digit"] for match in filtered["matches"]} <= {3, 8}
    assert "digits/7.png" not in [match["key"] for match in by_key["matches"]]
    assert len(embedded["vectors"][0]) == 30
    assert (item["key"], facts["count"]) == ("digits/7.png", 500)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1 digits/150.png 1.0 {'digit': 3")
    assert len(lines) == 3
    with Index.open(folder / "idx") as index:
        assert len(index) == 500  # what the page added, it has deleted
    assert (folder / "backup" / "2031-01-01" / "index.sqlite").exists()
