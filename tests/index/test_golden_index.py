"""The index that 0.1.0 made (tests/golden/make_index.py) opens and gives the recorded results.

The Java side of the same files is GoldenIndexTest.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pyimgret import Encoder
from pyimgret.index import Index, path_from_key

GOLDEN = Path(__file__).parent.parent / "golden"
MADE = GOLDEN / "index-0.1.0"
RECORDED = json.loads((MADE / "answers.json").read_text(encoding="utf-8"))
KINDS = ("live", "published")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def directory(tmp_path, kind):
    """A copy, because a live index writes caches when it is searched."""
    return shutil.copytree(MADE / kind, tmp_path / "index")


@pytest.fixture
def index(directory):
    with Index.open(directory) as opened:
        yield opened


def assert_matches(found, expected):
    assert found.keys == [key for key, _ in expected]
    assert found.scores == pytest.approx([score for _, score in expected], abs=1e-6)


def checksums(directory):
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_info_equals_recorded(index, kind):
    found = index.info()
    expected = RECORDED["info"] | {"published": kind == "published"}
    expected["failed_images"] = expected.pop("broken_pictures")
    assert {name: found[name] for name in expected} == expected


def test_keys_and_items_equal_recorded(index):
    assert list(index.keys()) == list(RECORDED["items"])
    for key, expected in RECORDED["items"].items():
        item = index.get(key)
        assert item.id == expected["id"]
        assert item.metadata == expected["metadata"]
        assert [type(value) for value in item.metadata.values()] == [
            type(value) for value in expected["metadata"].values()
        ]
        np.testing.assert_array_equal(item.vector, np.array(expected["vector"], np.float32))
        source = item.source and [item.source.path.hex(), item.source.size, item.source.checksum]
        assert source == expected["source"]
        thumbnail = index.thumbnail(key)
        found = thumbnail and hashlib.sha256(thumbnail.image).hexdigest()
        assert found == expected["thumbnail"]


def test_keys_convert_back_to_undecodable_file_names(index):
    item = index.get("photos/caf%E9-latin1.png")
    assert item.source.path.endswith(b"/" + path_from_key("caf%E9-latin1.png"))
    assert item.source.path.endswith(b"/caf\xe9-latin1.png")


def test_searches_of_every_method_and_filter_find_recorded_matches(index):
    methods = {query["options"].get("method", "auto") for query in RECORDED["queries"]}
    assert methods == {"auto", "exact", "int8", "binary", "hnsw"}
    for query in RECORDED["queries"]:
        found = index.search(np.array(query["vector"], np.float32), **query["options"])
        assert_matches(found, query["matches"])


def test_caches_of_0_1_0_are_used(tmp_path):
    directory = shutil.copytree(MADE / "live", tmp_path / "index")
    before = checksums(directory / "cache")
    with Index.open(directory) as index:
        for method in ("exact", "int8", "binary", "hnsw"):
            index.search(np.array(RECORDED["queries"][0]["vector"], np.float32), method=method)
        assert index.check(load_model=False).ok
    after = checksums(directory / "cache")
    assert {name: after.get(name) for name in before} == before


def test_published_copy_is_not_modified(tmp_path):
    directory = shutil.copytree(MADE / "published", tmp_path / "index")
    before = checksums(directory)
    with Index.open(directory) as index:
        index.search(np.array(RECORDED["queries"][0]["vector"], np.float32))
    assert checksums(directory) == before


def test_live_index_accepts_changes(tmp_path):
    directory = shutil.copytree(MADE / "live", tmp_path / "index")
    with Index.open(directory) as index:
        vector = np.array(RECORDED["queries"][0]["vector"], np.float32)
        index.add([vector], keys=["new"])
        index.delete("late/1")
        assert len(index) == RECORDED["info"]["count"]
        for method in ("exact", "int8", "binary", "hnsw"):
            assert index.search(vector, method=method)[0].key == "new"
        assert index.check(load_model=False).ok


@pytest.mark.jvm
def test_stored_model_fits_and_finds_recorded_matches_of_image(index):
    image = RECORDED["image"]
    found = index.search(GOLDEN / "pictures" / image["file"], k=5)
    assert_matches(found, image["matches"])
    assert isinstance(index.encoder, Encoder)
    assert index.check().problems == []
