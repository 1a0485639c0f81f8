"""An index that cannot be made or filled leaves nothing behind."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pytest
from click.testing import CliRunner
from index_fakes import FakeEncoder, unit

from pyimgret.cli import main
from pyimgret.exceptions import IndexStoreError, KeyExistsError
from pyimgret.index import Index
from pyimgret.index.milvus import MilvusIndex
from pyimgret.index.storage import lifecycle


@pytest.fixture
def models(monkeypatch):
    """Let a model file be the fake encoder of the seed that its name is."""
    module = types.ModuleType("pyimgret.encoder")
    module.Encoder = types.SimpleNamespace(
        load=lambda path: FakeEncoder(seed=1 if "wrong" in str(path) else 0)
    )
    monkeypatch.setitem(sys.modules, "pyimgret.encoder", module)


@pytest.fixture
def run(tmp_path, monkeypatch, models):
    monkeypatch.chdir(tmp_path)

    def call(*arguments, code=0):
        result = CliRunner().invoke(main, list(map(str, arguments)))
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def exported(tmp_path):
    """Give vectors of the model of seed 0, in both formats."""
    with Index.create(tmp_path / "first", FakeEncoder()) as index:
        index.add(unit(20_000, 16), keys=[f"v{n}" for n in range(20_000)])
        index.export(tmp_path / "all.parquet")
        index.export(tmp_path / "all.npy")
    return tmp_path


@pytest.mark.parametrize("file", ["all.parquet", "all.npy"])
def test_failed_import_leaves_no_index(run, exported, file):
    failed = run("index", "import", "--index", "deep/idx", "--model", "wrong.zip", file, code=1)
    assert "cannot be compared" in failed.stderr
    assert not (exported / "deep").exists()
    done = run("index", "import", "--index", "deep/idx", "--model", "right.zip", file, "--json")
    assert json.loads(done.stdout) == {"imported": 20_000, "count": 20_000}


def broken_in_the_middle(folder):
    """Damage the last line of the rows, which is read when others are in the index."""
    lines = (folder / "all.jsonl").read_text().splitlines()
    lines[-1] = json.dumps({"key": "last", "metadata": 5})
    (folder / "all.jsonl").write_text("\n".join(lines) + "\n")


def test_import_of_partly_damaged_file_leaves_no_index(run, exported):
    broken_in_the_middle(exported)
    run("index", "import", "--index", "idx", "--model", "right.zip", "all.npy", code=1)
    assert not (exported / "idx").exists()


def test_import_is_atomic(exported):
    with Index.create(exported / "second", FakeEncoder()) as index:
        index.add(unit(1, 16), keys=["v19999"])
        with pytest.raises(KeyExistsError, match="'v19999'"):
            index.import_from(exported / "all.npy")
        assert list(index.keys()) == ["v19999"]
        broken_in_the_middle(exported)
        with pytest.raises(ValueError, match="Metadata must be a dict"):
            index.import_from(exported / "all.npy", replace=True)
        assert list(index.keys()) == ["v19999"]
        assert index.get("v19999").vector.tolist() == unit(1, 16)[0].tolist()


def test_other_files_in_folder_are_preserved(run, exported):
    (exported / "idx").mkdir()
    (exported / "idx" / "notes.txt").write_text("mine")
    run("index", "import", "--index", "idx", "--model", "wrong.zip", "all.npy", code=1)
    assert [path.name for path in (exported / "idx").iterdir()] == ["notes.txt"]


def test_command_that_fails_before_adding_leaves_no_index(run, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "broken.png").write_text("no image")
    for command in ("add", "sync"):
        arguments = ("--index", "idx", "--model", "m.zip", "--strict", "images")
        run("index", command, *arguments, code=1)
        assert not (tmp_path / "idx").exists()


def test_dry_run_creates_no_index(run, tmp_path):
    (tmp_path / "images").mkdir()
    run("index", "sync", "--index", "idx", "--model", "m.zip", "--dry-run", "images")
    assert not (tmp_path / "idx").exists()


def test_command_that_fails_after_adding_keeps_images(run, tmp_path, monkeypatch):
    from PIL import Image

    (tmp_path / "images").mkdir()
    Image.new("L", (8, 8), 9).save(tmp_path / "images" / "a.png")
    monkeypatch.setattr("pyimgret.cli.index._result", lambda *_: 1 / 0)
    result = CliRunner().invoke(main, ["index", "add", "--index", "idx", "--model", "m", "images"])
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.output
    with Index.open(tmp_path / "idx") as index:
        assert list(index.keys()) == ["a.png"]


class Failing(FakeEncoder):
    def save(self, path):
        super().save(path)
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("what", ["model", "database", "last step"])
def test_interrupted_creation_leaves_nothing(tmp_path, monkeypatch, what):
    if what == "database":
        monkeypatch.setattr(lifecycle, "migrate", lambda _: 1 / 0)
    if what == "last step":
        monkeypatch.setattr("pathlib.Path.replace", lambda *_: 1 / 0)
    encoder = Failing() if what == "model" else FakeEncoder()
    with pytest.raises((IndexStoreError, ZeroDivisionError)):
        Index.create(tmp_path / "a" / "b", encoder)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_creation_keeps_existing_model(tmp_path):
    (tmp_path / "model.zip").write_text("mine")
    with pytest.raises(IndexStoreError, match="free some space"):
        Index.create(tmp_path, Failing())
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"model.zip": "mine"}


@pytest.mark.parametrize("dimension", ["5", 2.5, True, 0, None])
def test_invalid_dimension_is_rejected_and_leaves_no_folder(tmp_path, dimension):
    with pytest.raises(ValueError, match="a dimension of at least 1"):
        Index.create(tmp_path / "deep" / "new", dimension=dimension)
    assert not (tmp_path / "deep").exists()


def test_failed_export_to_milvus_leaves_no_collection(index, tmp_path, monkeypatch):
    uri = str(tmp_path / "lite.db")
    monkeypatch.setattr(MilvusIndex, "_upsert", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        MilvusIndex.load(index, uri)
    assert not MilvusIndex.exists(uri)
    monkeypatch.undo()
    with MilvusIndex.load(index, uri) as copy:
        assert len(copy) == len(index)


def test_import_of_spark_embeddings_is_atomic(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pyimgret.spark import import_embeddings

    good = tmp_path / "e" / "broken=false"
    good.mkdir(parents=True)
    vectors = np.eye(4, dtype=np.float32)
    pq.write_table(pa.table({"key": list("abcd"), "vector": list(vectors)}), good / "1.parquet")
    (tmp_path / "e" / "_pyimgret.json").write_text('{"embeddings": 5, "model_checksum": null}')
    with Index.create(tmp_path / "idx", dimension=4) as index:
        with pytest.raises(IndexStoreError, match="files are missing"):
            import_embeddings(index, tmp_path / "e")
        assert len(index) == 0
        (tmp_path / "e" / "_pyimgret.json").write_text('{"embeddings": 4, "model_checksum": null}')
        index.add(vectors[:1], keys=["d"])
        with pytest.raises(KeyExistsError, match="'d'"):
            import_embeddings(index, tmp_path / "e", batch_size=1)
        assert list(index.keys()) == ["d"]
