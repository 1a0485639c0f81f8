"""train, embed, evaluate, plot and demo, from the command line to files and figures."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pyimgret.cli import main
from pyimgret.cli.models import MODELS
from pyimgret.datasets import load_digits

pytestmark = pytest.mark.jvm

SMALL = ("--hidden-sizes", "32", "--epochs", "2", "--code-size", "8", "--seed", "1")


def run(*arguments: object, status: int = 0) -> Any:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result


def run_json(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def write_idx(path: Path, array: np.ndarray) -> Path:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.astype(np.uint8).tobytes())
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """300 digits as IDX files and as a folder of classes with a broken image in it."""
    folder = tmp_path_factory.mktemp("data")
    images, labels = load_digits()
    rows = np.random.default_rng(0).permutation(5000)[:300]
    write_idx(folder / "images.idx", images[rows])
    write_idx(folder / "labels.idx", labels[rows])
    for number, row in enumerate(rows[:60]):
        place = folder / "photos" / f"class {labels[row]}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row]).resize((40, 36)).save(place / f"{number:02}.png")
    (folder / "photos" / "class 0" / "broken.png").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def pca(data):
    """A model that reads grey images of 28 x 28."""
    path = data / "pca.zip"
    run("train", "--model", "pca", "--idx", data / "images.idx", "--code-size", 16, "--out", path)
    return path


# -- train ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["autoencoder", "denoising"])
def test_train_on_idx(kind, data, tmp_path):
    out = tmp_path / "ae.zip"
    summary = run_json(
        "train",
        "--model",
        kind,
        "--idx",
        data / "images.idx",
        *SMALL,
        "--validation",
        0.1,
        "--out",
        out,
    )
    assert summary["images"] == 270
    assert (summary["embedding_size"], summary["epochs"], summary["out"]) == (8, 2, str(out))
    assert np.isfinite([summary["loss"], summary["val_loss"]]).all()
    vectors = run_json("embed", "--model", out, "--idx", data / "images.idx")["embeddings"]
    assert np.shape(vectors[0]["vector"]) == (8,)


def test_train_on_folder_reports_what_it_skips(data, tmp_path):
    result = run(
        "train",
        "--model",
        "svd",
        "--images",
        data / "photos",
        "--size",
        12,
        "--code-size",
        8,
        "--out",
        tmp_path / "svd.zip",
        "--json",
    )
    summary = json.loads(result.stdout)
    assert (summary["model"], summary["images"]) == ("SVD", 60)
    assert [skipped["key"] for skipped in summary["failed"]] == ["class 0/broken.png"]
    assert "skipped class 0/broken.png: not an image" in result.stderr
    report = run_json("evaluate", "--model", tmp_path / "svd.zip", "--images", data / "photos")
    assert report["n_queries"] == 60


def test_seed_makes_training_repeatable(data, tmp_path):
    vectors = []
    for name in ("a.zip", "b.zip"):
        run("train", "--idx", data / "images.idx", *SMALL, "--out", tmp_path / name)
        run(
            "embed",
            "--model",
            tmp_path / name,
            "--idx",
            data / "images.idx",
            "--out",
            tmp_path / "v.npy",
        )
        vectors.append(np.load(tmp_path / "v.npy"))
    np.testing.assert_array_equal(*vectors)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x.zip"], "exactly one of --digits"),
        (["--digits", "--idx", "a", "--out", "x.zip"], "exactly one of --digits"),
        (["--digits", "--size", "9", "--out", "x.zip"], "--size does nothing without --images"),
        (["--digits", "--out", "no/such/x.zip"], "no/such: does not exist"),
        (["--model", "pca", "--digits", "--epochs", "3", "--out", "x.zip"], "--epochs cannot be"),
        (["--digits", "--hidden-sizes", "a,b", "--out", "x.zip"], "is not a list of numbers"),
        (["--digits"], "Missing option '--out'"),
    ],
)
def test_wrong_usage_of_train(arguments, message):
    assert message in run("train", *arguments, status=2).stderr


def test_strict_makes_broken_image_fatal(data, tmp_path):
    result = run(
        "train",
        "--model",
        "pca",
        "--images",
        data / "photos",
        "--strict",
        "--out",
        tmp_path / "x.zip",
        status=1,
    )
    assert "broken.png" in result.stderr
    assert not (tmp_path / "x.zip").exists()


# -- embed ---------------------------------------------------------------------------


def test_embed_writes_unit_vectors_with_their_keys(pca, data, tmp_path):
    out = tmp_path / "vectors.npz"
    document = run_json("embed", "--model", pca, "--images", data / "photos", "--out", out)
    assert (document["count"], document["dimension"]) == (60, 16)
    with np.load(out) as file:
        assert file["embeddings"].dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(file["embeddings"], axis=1), 1, rtol=1e-5)
        assert file["keys"][0].startswith("class ")
        assert len(set(file["keys"])) == 60


def test_embed_of_named_files(pca, data):
    files = [*sorted((data / "photos").rglob("0*.png")), data / "photos/class 0/broken.png"]
    document = run_json("embed", "--model", pca, *files)
    names = [path.name for path in files]
    assert [Path(e["key"]).name for e in document["embeddings"]] == [
        n for n in names if n != "broken.png"
    ]
    assert [Path(skipped["key"]).name for skipped in document["failed"]] == ["broken.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--digits"], "give --out FILE, or --json"),
        (["--digits", "--out", "x.txt"], "must end in .npy or .npz"),
        (["--digits", "a.png", "--json"], "not both"),
    ],
)
def test_wrong_usage_of_embed(pca, arguments, message):
    assert message in run("embed", "--model", pca, *arguments, status=2).stderr


# -- evaluate ------------------------------------------------------------------------


def test_evaluate_agrees_with_library(pca, data):
    from pyimgret import load
    from pyimgret.datasets import load_idx
    from pyimgret.evaluation import retrieval_report

    images, labels = load_idx(data / "images.idx"), load_idx(data / "labels.idx")
    expected = retrieval_report(load(pca).encode(images), labels)
    document = run_json(
        "evaluate", "--model", pca, "--idx", data / "images.idx", "--labels", data / "labels.idx"
    )
    assert document["map"] == pytest.approx(expected.mean_average_precision, abs=1e-6)
    assert document["precision_at_1"] == pytest.approx(expected.precision[1])
    assert document["precision_at_1"] > 0.6
    assert (document["n_queries"], document["n_database"]) == (300, 299)


def test_evaluate_with_drawn_queries(pca, data):
    idx = ("--idx", data / "images.idx", "--labels", data / "labels.idx", "--queries", 50)
    document = run_json("evaluate", "--model", pca, *idx)
    assert (document["n_queries"], document["n_database"]) == (50, 250)
    assert document == run_json("evaluate", "--model", pca, *idx)
    assert document["map"] != run_json("evaluate", "--model", pca, *idx, "--seed", 1)["map"]
    text = run("evaluate", "--model", pca, *idx, "--per-class").stdout
    assert "P@10" in text
    assert "50 queries against 250 images" in text


def test_evaluate_reports_images_without_class(pca, data, tmp_path):
    for name in ("a/1.png", "a/2.png", "b/1.png", "top.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.effect_noise((20, 20), 50).save(tmp_path / name)
    document = run_json("evaluate", "--model", pca, "--images", tmp_path)
    assert (document["n_queries"], document["n_skipped"], document["skipped_labels"]) == (
        2,
        1,
        ["b"],
    )
    assert document["failed"] == [{"key": "top.png", "reason": "it is not in a class folder."}]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--idx", "{data}/images.idx"], 2, "--idx needs --labels"),
        (["--digits", "--labels", "x"], 2, "--labels does nothing without --idx"),
        (["--idx", "{data}/images.idx", "--labels", "{data}/images.idx"], 1, "labels for 300"),
        (["--idx", "{data}/labels.idx", "--labels", "{data}/labels.idx"], 1, "expected uint8"),
        (["--images", "{data}/gone"], 1, "is not a folder"),
        (["--digits", "--queries", "5000"], 1, "leaves no images for the database"),
    ],
)
def test_wrong_usage_of_evaluate(pca, data, arguments, status, message):
    given = [argument.format(data=data) for argument in arguments]
    assert message in run("evaluate", "--model", pca, *given, status=status).stderr


def test_missing_model_is_clear_error(tmp_path):
    result = run("evaluate", "--model", tmp_path / "gone.zip", "--digits", status=1)
    assert "gone.zip" in result.stderr
    assert result.stdout == ""


# -- plot ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments"),
    [
        ["weights"],
        ["weights", "--scale", "global", "--count", "4"],
        ["reconstructions", "--idx", "{data}/images.idx"],
        ["reconstructions", "--images", "{data}/photos", "--model", "{pca}"],
        ["embedding", "--idx", "{data}/images.idx", "--count", "60"],
        ["embedding", "--images", "{data}/photos", "--method", "pca"],
        ["confusion", "--idx", "{data}/images.idx", "--labels", "{data}/labels.idx"],
    ],
    ids=" ".join,
)
def test_plot_writes_image(pca, data, tmp_path, arguments):
    given = [argument.format(data=data, pca=pca) for argument in arguments]
    out = tmp_path / "plot.png"
    assert run_json("plot", *given, "--model", pca, "--out", out) == {"out": str(out)}
    with Image.open(out) as image:
        assert min(image.size) > 100
        assert np.asarray(image.convert("L")).std() > 5


def test_plot_history_and_matches(pca, data, tmp_path):
    model, out = tmp_path / "ae.zip", tmp_path / "plot.png"
    run("train", "--idx", data / "images.idx", *SMALL, "--out", model)
    run("plot", "history", "--model", model, "--out", out)
    run("index", "add", "--index", tmp_path / "idx", "--model", model, data / "photos")
    query = next((data / "photos").rglob("0*.png"))
    result = run("plot", "matches", "--index", tmp_path / "idx", query, query, "--out", out)
    assert result.stdout == f"Wrote {out}.\n"
    with Image.open(out) as image:
        assert image.width > image.height


def test_reconstructions_of_colour_images_that_are_not_square(data, tmp_path):
    from pyimgret import PCA, Autoencoder, ConvAutoencoder, Preprocessor
    from pyimgret.datasets import ImageFolder

    files = [file.path for file in ImageFolder(data / "photos").files if "broken" not in file.key]
    wide, std = Preprocessor("RGB", 8, 12), Preprocessor("RGB", 16, 8, mean=0.5, std=0.5)
    quick = {"epochs": 1, "random_state": 0, "verbose": False}
    models = {
        "pca": PCA(4, preprocessing=wide),
        "dense": Autoencoder((8,), 4, preprocessing=std, **quick),
        "maps": ConvAutoencoder((4,), preprocessing=wide, **quick),
    }
    options = []
    for name, model in models.items():
        model.fit(files).save(tmp_path / f"{name}.zip")
        options += ["--model", tmp_path / f"{name}.zip"]
    out = tmp_path / "plot.png"
    run("plot", "reconstructions", *options, "--images", data / "photos", "--out", out)
    with Image.open(out) as image:
        assert image.height < image.width


def test_model_that_cannot_reconstruct_is_reported(data, tmp_path):
    from pyimgret import ConvNet
    from pyimgret.datasets import load_idx

    model = ConvNet((2,), dense_size=4, epochs=1, random_state=0, verbose=False)
    model.fit(load_idx(data / "images.idx"), load_idx(data / "labels.idx"))
    model.save(tmp_path / "classes.zip")
    result = run(
        "plot",
        "reconstructions",
        "--model",
        tmp_path / "classes.zip",
        "--images",
        data / "photos",
        "--out",
        tmp_path / "x.png",
        status=1,
    )
    assert "This ConvNet does not give its input back: images have 784 values" in result.stderr
    assert "reshape" not in result.stderr


def test_interrupted_training_leaves_older_model_alone(data, tmp_path, monkeypatch):
    from pyimgret.training import loop

    out = tmp_path / "ae.zip"
    run("train", "--idx", data / "images.idx", *SMALL, "--out", out)
    older = out.read_bytes()

    def stop(running, epochs):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop._Run, "_is_over", stop)
    result = run("train", "--idx", data / "images.idx", *SMALL, "--out", out, status=130)
    saved = tmp_path / "ae.interrupted.zip"
    assert f"{saved} contains the model after 1 of 2 epochs" in result.stderr
    assert out.read_bytes() == older
    vectors = run_json("embed", "--model", saved, "--idx", data / "images.idx")["embeddings"]
    assert np.shape(vectors[0]["vector"]) == (8,)


def test_what_cannot_be_plotted_is_reported(pca, data, tmp_path):
    out = ("--out", tmp_path / "x.png")
    assert "fit the model first" in run("plot", "history", "--model", pca, *out, status=1).stderr
    twice = ("--model", pca, "--model", pca)
    assert "give --model once" in run("plot", "weights", *twice, *out, status=2).stderr
    idx = ("--idx", data / "images.idx")
    result = run("plot", "confusion", "--model", pca, *idx, *out, status=2)
    assert "--idx needs --labels" in result.stderr


# -- demo ----------------------------------------------------------------------------


def test_demo_on_few_digits_writes_everything(monkeypatch, tmp_path):
    from pyimgret.cli import demo

    whole = demo.load_split()
    few = demo.Split(
        whole.database[:400],
        whole.database_labels[:400],
        whole.queries[:80],
        whole.query_labels[:80],
    )
    monkeypatch.setattr(demo, "load_split", lambda: few)
    monkeypatch.setitem(demo.RECIPE, "hidden_sizes", (64,))
    monkeypatch.setitem(demo.RECIPE, "epochs", 2)
    for _ in range(2):  # the second run replaces the first
        document = run_json("demo", "--out", tmp_path / "out")
    assert all(Path(file).exists() for file in document["files"])
    assert list(document["methods"]) == ["raw pixels", "PCA", "SVD", "autoencoder"]
    for name, figures in document["methods"].items():
        assert (figures["n_queries"], figures["n_database"]) == (80, 400)
        assert figures["dimension"] == (784 if name == "raw pixels" else 30)
        assert 0 < figures["map"] <= figures["precision_at_1"] <= 1
    query = tmp_path / "out" / "queries" / "7.png"
    found = run_json("search", "--index", tmp_path / "out" / "index", query, "-k", 3)["matches"]
    assert [match["rank"] for match in found] == [1, 2, 3]
    text = run("demo", "--out", tmp_path / "out").stdout
    assert "P@10" in text
    assert "autoencoder" in text


def test_demo_splits_at_random_and_without_overlap():
    from pyimgret.cli import demo

    split = demo.load_split()
    assert (len(split.database), len(split.queries)) == (4000, 1000)
    seen = {image.tobytes() for image in split.database}
    assert not any(image.tobytes() in seen for image in split.queries)
    assert np.bincount(split.query_labels).min() > 60


def test_demo_does_not_replace_what_is_no_index(tmp_path):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "thesis.txt").write_text("years of work")
    assert "not created by the demo" in run("demo", "--out", tmp_path, status=1).stderr
    assert (tmp_path / "index" / "thesis.txt").exists()


def test_demo_does_not_replace_index_of_something_else(tmp_path):
    from pyimgret import Index

    with Index.create(tmp_path / "index", dimension=2) as index:
        index.add([[1.0, 0.0]], keys=["holiday.jpg"])
    assert "not created by the demo" in run("demo", "--out", tmp_path, status=1).stderr
    with Index.open(tmp_path / "index") as index:
        assert list(index.keys()) == ["holiday.jpg"]


@pytest.mark.slow
def test_demo_shows_autoencoder_ahead(tmp_path):
    methods = run_json("demo", "--out", tmp_path)["methods"]
    best = methods.pop("autoencoder")
    for figures in methods.values():
        assert best["precision_at_10"] > figures["precision_at_10"]
        assert best["map"] > figures["map"]


# -- between processes ---------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_what_one_process_trains_another_evaluates(kind, data, tmp_path):
    idx, out = ("--idx", str(data / "images.idx")), str(tmp_path / "model.zip")
    settings = () if kind in ("pca", "svd") else ("--hidden-sizes", "16", "--epochs", "1")
    run("train", "--model", kind, *idx, "--code-size", 4, *settings, "--out", out)
    command = [sys.executable, "-c", "from pyimgret.cli import main; main()", "evaluate"]
    command += ["--model", out, *idx, "--labels", str(data / "labels.idx"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = run_json("evaluate", *command[4:-1])
    assert json.loads(done.stdout)["map"] == pytest.approx(expected["map"], abs=1e-6)
