"""The same images in Milvus Lite, through the client that speaks to a cluster as well."""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from index_fakes import FakeEncoder, unit
from PIL import Image
from test_index_filters import naive, random_filter, random_metadata

from pyimgret.cli import main
from pyimgret.cli.pretrained import Choice
from pyimgret.exceptions import IndexStoreError, KeyNotFoundError, ModelMismatchError
from pyimgret.index import Index
from pyimgret.index.filters import parse
from pyimgret.index.filters.milvus import to_expression
from pyimgret.index.milvus import MilvusIndex


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return an index and its copy in Milvus."""
    folder = tmp_path_factory.mktemp("milvus")
    rng = random.Random(0)
    index = Index.create(folder / "idx", dimension=8)
    index.add(
        unit(200, 8),
        keys=[f"k{n}%25é/{n}" for n in range(200)],
        metadata=[random_metadata(rng) for _ in range(200)],
    )
    with MilvusIndex.load(index, str(folder / "lite.db")) as copy:
        yield index, copy


def test_search_and_get_match_index(both):
    index, copy = both
    assert len(copy) == len(index)
    for query in unit(10, 8, seed=1):
        ours, theirs = index.search(query, 7), copy.search(query, 7)
        assert theirs.keys == ours.keys
        assert theirs.scores == pytest.approx(ours.scores, abs=1e-5)
        assert [m.metadata for m in theirs] == [m.metadata for m in ours]
        assert [m.id for m in theirs] == [m.id for m in ours]
    key = next(index.keys())
    assert copy.get(key).metadata == index.get(key).metadata
    assert copy.get(key).vector == pytest.approx(index.get(key).vector, abs=1e-6)
    ours = index.search(query, 5, exclude=ours.keys[:2], min_score=0.1)
    assert (
        copy.search(query, 5, exclude=index.search(query, 2).keys, min_score=0.1).keys == ours.keys
    )


def test_open_collection_cannot_be_pickled(both):
    with pytest.raises(TypeError, match="open the collection 'pyimgret' again"):
        pickle.dumps(both[1])


def test_filters_match_those_of_index(both):
    index, copy = both
    rng = random.Random(5)
    query, selective = unit(1, 8, seed=3)[0], 0
    for _ in range(150):
        condition = random_filter(rng)
        ours = index.search(query, 200, where=condition).keys
        assert sorted(copy.search(query, 200, where=condition).keys) == sorted(ours), condition
        selective += 0 < len(ours) < 200
    assert selective > 50
    assert naive(parse("a == 1"), {"a": 1.0})
    assert to_expression(parse("a == 1")) == to_expression(parse("a == 1.0"))


def test_adding_replacing_and_deleting(both):
    _, copy = both
    new = unit(3, 8, seed=9)
    assert copy.add(new, keys=["x", "y", "z"], metadata={"new": True}) == 3
    with pytest.raises(IndexStoreError, match="already contains 'x'"):
        copy.add(new[:1], keys=["x"])
    assert set(copy.search(new[0], 9, where="new == true").keys) == {"x", "y", "z"}
    copy.add(-new[:1], keys=["x"], replace=True)
    assert copy.search(-new[0], 1).keys == ["x"]
    with pytest.raises(KeyNotFoundError, match="'nobody'"):
        copy.delete(["x", "nobody"])
    assert copy.delete(["x", "y", "z"]) == 3
    assert len(copy) == 200
    with pytest.raises(KeyNotFoundError):
        copy.get("x")


def test_images_models_and_errors(tmp_path):
    uri = str(tmp_path / "lite.db")
    encoder = FakeEncoder()
    index = Index.create(tmp_path / "idx", encoder)
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    index.add(images, keys=list("abcd"))
    MilvusIndex.load(index, uri).close()
    with MilvusIndex(uri, encoder=encoder) as copy:
        assert copy.search(images[2], 1).keys == ["c"]
    with MilvusIndex(uri) as copy, pytest.raises(IndexStoreError, match="give the model"):
        copy.search(images[2])
    with pytest.raises(ModelMismatchError):
        MilvusIndex(uri, encoder=FakeEncoder(seed=1))
    with pytest.raises(IndexStoreError, match="no collection 'other'"):
        MilvusIndex(uri, "other")
    with pytest.raises(IndexStoreError, match="already has a collection"):
        MilvusIndex.load(index, uri)


def test_from_command_line(tmp_path, index):
    uri = str(tmp_path / "lite.db")
    done = CliRunner().invoke(
        main, ["index", "export", "--index", str(index.directory), "--milvus", uri, "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["exported"] == 200
    with MilvusIndex(uri) as copy:
        assert len(copy) == 200
    both = ["index", "export", "--index", str(index.directory), "--milvus", uri, "x.npy"]
    assert CliRunner().invoke(main, both).exit_code == 2


def test_search_from_command_line(tmp_path, both):
    index, _ = both
    uri = str(tmp_path / "lite.db")
    MilvusIndex.load(index, uri, "images").close()
    key = index.search(unit(1, 8, seed=4)[0], 1).keys[0]
    options = ["-k", "4", "--key", key, "--exclude", key, "--json"]

    def output_of(*place):
        done = CliRunner().invoke(main, ["search", *place, *options])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)["matches"]

    remote = output_of("--milvus", uri, "--collection", "images")
    local = output_of("--index", str(index.directory))
    assert len(remote) == 4
    assert [m["key"] for m in remote] == [m["key"] for m in local]
    assert [m["metadata"] for m in remote] == [m["metadata"] for m in local]


def test_search_by_image_needs_model(tmp_path, monkeypatch):
    uri, image = str(tmp_path / "lite.db"), tmp_path / "query.png"
    index = Index.create(tmp_path / "idx", FakeEncoder())
    index.add(np.random.default_rng(0).integers(0, 256, (9, 8, 8), dtype=np.uint8))
    MilvusIndex.load(index, uri).close()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (8, 8), dtype=np.uint8)).save(image)
    command = ["search", "--milvus", uri, str(image)]
    without = CliRunner().invoke(main, command)
    assert without.exit_code == 2
    assert "give --model" in without.output
    wrong = CliRunner().invoke(main, ["search", "--index", "idx", "--milvus", uri, "--key", "a"])
    assert wrong.exit_code == 2
    monkeypatch.setattr(Choice, "encoder", lambda *_: index.encoder)
    found = CliRunner().invoke(main, [*command, "--model", "model.zip", "--json"])
    assert found.exit_code == 0, found.output
    assert [m["key"] for m in json.loads(found.stdout)["matches"]] == index.search(image, 5).keys


def test_collection_can_be_searched_from_another_process(both, tmp_path):
    # NB: Milvus Lite lets one process at a time open its file, so two do it in turn.
    index, _ = both
    uri, key = str(tmp_path / "lite.db"), next(index.keys())
    for script in (_LOAD, _SEARCH):
        command = [sys.executable, "-c", script, uri, str(index.directory), key]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == index.search(index.get(key).vector, 3).keys


_LOAD = """
import sys
from pyimgret.index import Index
from pyimgret.index.milvus import MilvusIndex
MilvusIndex.load(Index.open(sys.argv[2]), sys.argv[1]).close()
"""

_SEARCH = """
import json, sys
from pyimgret.index.milvus import MilvusIndex
with MilvusIndex(sys.argv[1]) as copy:
    print(json.dumps(copy.search(copy.get(sys.argv[3]).vector, 3).keys))
"""


def test_file_that_another_process_has_open_is_named(tmp_path):
    uri = str(tmp_path / "lite.db")
    MilvusIndex.create(uri, dimension=3)
    command = [sys.executable, "-c", _SEARCH, uri, "", "k"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "one process at a time" in done.stderr
