"""Publish, check, compact, duplicates, export and import."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zlib

import numpy as np
import pytest
from click.testing import CliRunner
from index_fakes import FakeEncoder, unit

from pyimgret.cli import main
from pyimgret.exceptions import DimensionMismatchError, IndexStoreError, ModelMismatchError
from pyimgret.index import Index
from pyimgret.index.search import rows as cached_rows


@pytest.fixture
def full(tmp_path):
    index = Index.create(tmp_path / "full", dimension=8)
    metadata = [{"n": n, "text": "Ä\n"} for n in range(300)]
    index.add(unit(300, 8), keys=[f"k{n}" for n in range(300)], metadata=metadata)
    index.delete(["k7", "k8"])
    return index


QUERIES = unit(10, 8, seed=1)


def test_published_copy_matches_index_and_rejects_changes(full, tmp_path):
    target = full.publish(tmp_path / "copy")
    copy = Index.open(target)
    assert copy.search_batch(QUERIES) == full.search_batch(QUERIES)
    assert copy.info()["published"] is True
    with pytest.raises(IndexStoreError, match="published copy, which is read-only"):
        copy.add(QUERIES[0], keys=["x"])
    assert {path.name for path in target.iterdir()} == {"index.sqlite", "cache"}
    with pytest.raises(IndexStoreError, match="the index itself"):
        full.publish(full.directory)
    other = Index.create(tmp_path / "live", dimension=8)
    with pytest.raises(IndexStoreError, match="contains a live index"):
        full.publish(other.directory)


def test_readers_detect_renewed_copy(full, tmp_path):
    target = full.publish(tmp_path / "copy")
    full.build("hnsw")
    copy = Index.open(target)
    copy.search_batch(QUERIES)
    full.delete("k1")
    full.add(QUERIES[:1], keys=["new"])
    full.publish(target)
    assert copy.search(QUERIES[0], 1).keys == ["new"]
    assert copy.search_batch(QUERIES, method="exact") == full.search_batch(QUERIES, method="exact")
    other = Index.create(tmp_path / "other", dimension=8)
    other.add(unit(500, 8, seed=9), keys=[f"o{n}" for n in range(500)])
    other.publish(target)
    assert copy.search_batch(QUERIES) == other.search_batch(QUERIES)


_READ_ONLY = """
import os, sys, numpy as np
from pyimgret.exceptions import IndexStoreError
from pyimgret.index import Index
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
copy = Index.open(sys.argv[1])
print(copy.search(np.ones(8, dtype=np.float32), 3).keys)
try:
    Index.open(sys.argv[2]).add(np.ones((1, 8), dtype=np.float32), keys=["x"])
except IndexStoreError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_read_only_folder_serves_copy_and_advises_for_live_index(full, open_folder):
    target = full.publish(open_folder / "copy")
    shutil.rmtree(target / "cache")
    expected = full.search(np.ones(8, dtype=np.float32), 3).keys
    full.close()
    folders = [target, shutil.copytree(full.directory, open_folder / "live")]
    for folder in folders:
        folder.chmod(0o555)
        (folder / "index.sqlite").chmod(0o444)
    command = [sys.executable, "-c", _READ_ONLY, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == str(expected)
    assert "pyimgret index publish" in lines[1]


def test_sound_index_checks_clean(full):
    full.build("exact")
    full.build("int8")
    full.build("binary")
    full.build("hnsw")
    report = full.check()
    assert report.ok, report


def damage(index, statement, *values):
    index.close()
    connection = sqlite3.connect(index.directory / "index.sqlite")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def test_check_names_damaged_vectors_and_metadata(full):
    wrong = np.full(8, 2, dtype=np.float32).tobytes()
    damage(full, "UPDATE vectors SET vector = ? WHERE number = 3", wrong)
    damage(
        full, "UPDATE vectors SET vector = ?, crc = ? WHERE number = 4", wrong, zlib.crc32(wrong)
    )
    damage(full, "DELETE FROM vectors WHERE number = 5")
    damage(full, "UPDATE items SET metadata = '[' WHERE number = 6")
    with Index.open(full.directory) as damaged:
        problems = "\n".join(damaged.check().problems)
    assert "the vector of 'k2' is damaged" in problems
    assert "'k3' has length 5.6" in problems
    assert "'k4' has no vector" in problems
    assert "the metadata of 'k5' is damaged" in problems
    with pytest.raises(IndexStoreError, match=r"'pyimgret index check' lists all"):
        Index.open(full.directory).search(QUERIES[0])


def test_corrupted_page_is_reported(full):
    full.close()
    path = full.directory / "index.sqlite"
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = os.urandom(64)
    path.write_bytes(content)
    with pytest.raises(IndexStoreError, match="index check"):
        Index.open(full.directory).search(QUERIES[0])


@pytest.mark.parametrize("name", ["saved.parquet", "saved.npy"])
def test_salvage_exports_all_rows_outside_damaged_page(tmp_path, name):
    rows = unit(2000, 64)
    broken = Index.create(tmp_path / "broken", dimension=64)
    broken.add(rows, keys=[f"k{n}" for n in range(2000)], metadata=[{"n": n} for n in range(2000)])
    broken.delete(["k7", "k8"])
    damage(broken, "UPDATE vectors SET crc = 0 WHERE number = 1900")
    damage(broken, "PRAGMA wal_checkpoint(TRUNCATE)")
    path = broken.directory / "index.sqlite"
    content = bytearray(path.read_bytes())
    place = content.index(rows[500].tobytes()) // 4096 * 4096
    content[place : place + 64] = b"\xff" * 64
    path.write_bytes(content)
    with pytest.raises(IndexStoreError, match="--salvage"):
        Index.open(broken.directory).export(tmp_path / name)
    command = ["index", "export", "--index", str(broken.directory), "--salvage", "--json"]
    done = CliRunner().invoke(main, [*command, str(tmp_path / name)])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["exported"] + summary["lost"] == 1998
    assert 5 < summary["lost"] < 30  # one page, and the row with the wrong checksum
    repaired = Index.create(tmp_path / "repaired", dimension=64)
    assert repaired.import_from(tmp_path / name) == summary["exported"]
    assert "k500" not in repaired
    assert "k1899" not in repaired
    for number in (0, 100, 900, 1999):
        assert repaired.get(f"k{number}").metadata == {"n": number}
        assert np.array_equal(repaired.get(f"k{number}").vector, rows[number])


def test_check_finds_leftovers_and_repair_removes_them(full, monkeypatch):
    full.build("exact")
    full.build("int8")
    cache = full.directory / "cache"
    (cache / "float32-0123456789ab-vectors.bin").write_bytes(b"orphan")
    (cache / "int8.json").write_text("{")
    (full.directory / ".index.sqlite.99").write_bytes(b"half")
    report = full.check()
    assert report.problems == []
    assert not report.ok
    assert ".index.sqlite.99" in report.leftovers
    assert "cache/int8.json" in report.leftovers
    assert "cache/float32-0123456789ab-vectors.bin" in report.leftovers
    full.check(repair=True)
    assert full.check().ok
    assert Index.open(full.directory).search_batch(QUERIES) == full.search_batch(QUERIES)


def test_check_finds_foreign_model(tmp_path, monkeypatch):
    index = Index.create(tmp_path / "i", FakeEncoder())
    loaded = []

    def load(directory, expected):
        loaded.append(directory)
        raise ModelMismatchError("another model")

    monkeypatch.setattr("pyimgret.index.storage.lifecycle.load_encoder", load)
    assert index.check().problems == ["model: another model"]
    assert index.check(load_model=False).ok
    assert len(loaded) == 1


def test_compact_reclaims_space_and_keeps_results(full):
    full.add(unit(5000, 8, seed=3), keys=[f"x{n}" for n in range(5000)])
    reader = Index.open(full.directory)
    reader.search_batch(QUERIES)
    full.build("hnsw")
    full.delete([f"x{n}" for n in range(4900)])
    expected = full.search_batch(QUERIES, method="exact")
    before, after = full.compact()
    assert after < before / 2
    assert full.search_batch(QUERIES) == expected
    assert reader.search_batch(QUERIES) == expected
    assert full.check().ok
    number = full.context.database
    with number.read() as connection:
        top = connection.execute("SELECT max(number) FROM items").fetchone()[0]
    full.delete("x4999")
    full.add(QUERIES[:1], keys=["after"])
    with number.read() as connection:
        assert connection.execute("SELECT max(number) FROM items").fetchone()[0] > top


def naive_groups(vectors, threshold):
    near = vectors @ vectors.T >= threshold
    groups, seen = [], set()
    for start in range(len(vectors)):
        if start in seen:
            continue
        group, todo = set(), [start]
        while todo:
            one = todo.pop()
            if one not in group:
                group.add(one)
                todo += np.flatnonzero(near[one]).tolist()
        seen |= group
        if len(group) > 1:
            groups.append(sorted(group))
    return groups


def test_duplicates_equal_naive_search_in_blocks_of_any_size(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    base = unit(60, 8)
    vectors = base[rng.integers(0, 60, 400)] + 0.08 * rng.standard_normal((400, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    index = Index.create(tmp_path / "i", dimension=8)
    index.add(vectors, keys=[str(n) for n in range(400)])
    expected = naive_groups(vectors, 0.97)
    assert len(expected) > 5
    for size in (7, 64, 8192):
        monkeypatch.setattr("pyimgret.index.maintenance.duplicates._ROWS", size)
        monkeypatch.setattr("pyimgret.index.maintenance.duplicates._COLUMNS", 2 * size)
        monkeypatch.setattr(cached_rows, "_FLUSH_ROWS", 100)
        found = Index.open(index.directory).duplicates(0.97)
        assert [[int(key) for key in group.keys] for group in found] == expected
    with pytest.raises(ValueError, match=r"threshold must .* got 2"):
        index.duplicates(2)


def test_exact_copies_are_distinguished_from_similar_images(tmp_path, encoder):
    from PIL import Image

    rng = np.random.default_rng(0)
    folder = tmp_path / "p"
    folder.mkdir()
    one, two = rng.integers(0, 256, (2, 8, 8), dtype=np.uint8)
    Image.fromarray(one).save(folder / "a.png")
    shutil.copy(folder / "a.png", folder / "b.png")
    Image.fromarray(two).save(folder / "c.png")
    Image.fromarray(two).save(folder / "d.bmp")
    Image.fromarray(255 - one).save(folder / "e.png")
    index = Index.create(tmp_path / "i", encoder)
    index.sync(folder)
    groups = {frozenset(group.keys): group.exact for group in index.duplicates(0.999)}
    assert groups == {frozenset({"a.png", "b.png"}): True, frozenset({"c.png", "d.bmp"}): False}


@pytest.mark.parametrize("name", ["all.parquet", "all.npy"])
def test_export_and_import_round_trip(full, tmp_path, name):
    assert full.export(tmp_path / name) == 298
    other = Index.create(tmp_path / "other", dimension=8)
    assert other.import_from(tmp_path / name) == 298
    assert list(other.keys()) == list(full.keys())
    a, b = full.get("k11"), other.get("k11")
    assert (a.id, a.metadata) == (b.id, b.metadata)
    assert np.array_equal(a.vector, b.vector)
    assert other.search_batch(QUERIES) == full.search_batch(QUERIES)
    with pytest.raises(IndexStoreError, match="already contains"):
        other.import_from(tmp_path / name)
    other.import_from(tmp_path / name, replace=True)
    assert len(other) == 298


def test_import_of_plain_files(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    vectors = unit(20, 4)
    np.save(tmp_path / "plain.npy", vectors.astype(np.float64))
    index = Index.create(tmp_path / "i", dimension=4)
    index.import_from(tmp_path / "plain.npy")
    assert list(index.keys())[:3] == ["0", "1", "2"]
    table = pa.table({"key": [f"p{n}" for n in range(20)], "vector": vectors.tolist()})
    pq.write_table(table, tmp_path / "plain.parquet")
    index.import_from(tmp_path / "plain.parquet")
    assert index.get("p3").vector == pytest.approx(vectors[3], abs=1e-6)


def test_incompatible_files_are_rejected(full, tmp_path):
    full.export(tmp_path / "a.parquet")
    full.export(tmp_path / "a.npy")
    narrow = Index.create(tmp_path / "n", dimension=3)
    modelled = Index.create(tmp_path / "m", FakeEncoder(size=8))
    for name in ("a.parquet", "a.npy"):
        with pytest.raises(DimensionMismatchError):
            narrow.import_from(tmp_path / name)
        with pytest.raises(ModelMismatchError, match="cannot be compared"):
            modelled.import_from(tmp_path / name)
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(IndexStoreError, match="readable"):
            full.import_from(tmp_path / name)
    with pytest.raises(ValueError, match=r"\.parquet or \.npy"):
        full.export(tmp_path / "a.csv")


def test_exported_line_is_plain_json(full, tmp_path):
    full.export(tmp_path / "a.npy")
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert len(lines) == 299
    assert json.loads(lines[1])["metadata"] == {"n": 0, "text": "Ä\n"}


ODD_METADATA = [
    {"big": 2**60 + 1, "bigger": -(2**70), "small": 0.1, "tiny": 5e-324, "whole": 3.0},
    {"text": "Ä\n\u2028\U0001d11e'\"\\", "nested": {"a": [1, {"b": None}], "c": {}}, "yes": True},
    {"a.b": 1, "with space": [], "日本": "x", "zero": -0.0},
    {},
]


@pytest.mark.parametrize("name", ["all.parquet", "all.npy"])
def test_every_kind_of_metadata_survives_round_trip(tmp_path, name):
    index = Index.create(tmp_path / "i", dimension=8)
    index.add(unit(4, 8), keys=["ä\n%", "b", "c" * 5000, "d"], metadata=ODD_METADATA)
    index.export(tmp_path / name)
    other = Index.create(tmp_path / "other", dimension=8)
    assert other.import_from(tmp_path / name) == 4
    for key in index:
        a, b = index.get(key).metadata, other.get(key).metadata
        assert json.dumps(a) == json.dumps(b)
        assert [type(value) for value in a.values()] == [type(value) for value in b.values()]
    assert other.search(unit(1, 8)[0], where=f"big == {2**60 + 1}").keys == ["ä\n%"]
    assert other.search(unit(1, 8)[0], where=f"big == {2**60}").keys == []


def test_lines_not_matching_vectors_are_rejected(full, tmp_path):
    full.export(tmp_path / "all.npy")
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    other = Index.create(tmp_path / "other", dimension=8)
    for wrong, words in [
        (lines[:-1], r"lists 297 images, but all\.npy contains 298 vectors"),
        ([*lines, lines[-1]], r"lists 299 images"),
        ([lines[0], '{"kez": 1}', *lines[2:]], r"line 2: expected .*kez"),
        (["[1]", *lines[1:]], r"line 1: expected"),
    ]:
        (tmp_path / "all.jsonl").write_text("\n".join(wrong) + "\n")
        with pytest.raises(IndexStoreError, match=words):
            other.import_from(tmp_path / "all.npy")
        assert len(other) == 0
    (tmp_path / "all.jsonl").write_text("\n".join(lines[1:]) + "\n")
    assert other.import_from(tmp_path / "all.npy") == 298
