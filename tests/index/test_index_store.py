"""The index as a container: create, open, add, change, delete, get, search."""

from __future__ import annotations

import pickle
import sqlite3
import threading

import numpy as np
import pytest
from index_fakes import FakeEncoder, unit
from PIL import Image

from pyimgret.exceptions import (
    DimensionMismatchError,
    ImageDecodeError,
    IndexStoreError,
    KeyNotFoundError,
    ModelMismatchError,
)
from pyimgret.index import Index, Matches


def naive(vectors, query, k):
    scores = vectors @ query
    return sorted(range(len(vectors)), key=lambda i: (-scores[i], i))[:k]


def test_search_equals_naive_search(index, vectors):
    for query in unit(20, 16, seed=1):
        matches = index.search(query, k=7)
        assert matches.keys == [f"v{i}" for i in naive(vectors, query, 7)]
        assert matches.scores == pytest.approx([vectors[int(k[1:])] @ query for k in matches.keys])
        assert [match.rank for match in matches] == list(range(1, 8))


def test_batch_equals_single_queries(index):
    queries = unit(30, 16, seed=2)
    for query, matches in zip(queries, index.search_batch(queries, 4), strict=True):
        single = index.search(query, 4)
        assert matches.keys == single.keys
        assert matches.scores == pytest.approx(single.scores, abs=1e-6)


def test_images_persist_after_reopening(index, vectors):
    again = Index.open(index.directory)
    assert len(again) == 200
    assert list(again.keys()) == [f"v{i}" for i in range(200)]
    assert np.array_equal(again.get("v17").vector, vectors[17])
    assert "v17" in again
    assert "v200" not in again
    assert 17 not in again


def test_deleted_images_are_not_found_and_row_ids_not_reused(index, vectors):
    index.search(vectors[3])
    assert index.delete("v3") == 1
    assert index.delete(["v4", "v5"]) == 2
    assert not {"v3", "v4", "v5"} & set(index.search(vectors[3], k=200).keys)
    index.add(vectors[3], keys=["again"])
    assert index.search(vectors[3], k=1).keys == ["again"]
    assert len(index) == 198


def test_deleting_unknown_key_deletes_nothing(index):
    with pytest.raises(KeyNotFoundError, match="'nobody'"):
        index.delete(["v1", "nobody"])
    assert "v1" in index


def test_existing_key_is_rejected_unless_replaced(index, vectors):
    before = index.get("v1")
    with pytest.raises(IndexStoreError, match="already contains 'v1'"):
        index.add(vectors[:2], keys=["new", "v1"])
    assert "new" not in index
    index.add(vectors[:2], keys=["new", "v1"], replace=True)
    after = index.get("v1")
    assert after.id == before.id
    assert np.array_equal(after.vector, vectors[1])
    assert len(index) == 201


def test_update_changes_vector_or_metadata_and_keeps_rest(index, vectors):
    old = index.get("v9")
    index.search(vectors[9])
    index.update("v9", metadata={"label": "nine"})
    assert np.array_equal(index.get("v9").vector, old.vector)
    index.update("v9", -vectors[9])
    new = index.get("v9")
    assert (new.id, new.metadata) == (old.id, {"label": "nine"})
    assert index.search(-vectors[9], k=1).keys == ["v9"]
    assert index.search(vectors[9], k=200).keys[-1] == "v9"
    with pytest.raises(KeyNotFoundError):
        index.update("nobody", metadata={})


def test_thresholds_and_exclusions(index, vectors):
    full = index.search(vectors[0], k=10)
    part = index.search(vectors[0], k=10, min_score=full.scores[3])
    assert part.keys == full.keys[:4]
    without = index.search(vectors[0], k=5, exclude=["v0", "nobody"])
    assert without.keys == full.keys[1:6]
    assert index.search(vectors[0], k=5, exclude="v0").keys == without.keys


def test_ties_are_ordered_by_insertion(tmp_path):
    index = Index.create(tmp_path / "i", dimension=3)
    index.add(np.tile([[1.0, 0, 0]], (1000, 1)), keys=[f"{i}" for i in range(1000)])
    assert index.search([1.0, 0, 0], k=5).keys == list("01234")


def test_empty_index_finds_nothing(tmp_path):
    index = Index.create(tmp_path / "i", dimension=3)
    assert len(index.search([1.0, 0, 0])) == 0
    assert len(index) == 0


def test_vectors_are_normalised_and_unit_vectors_unchanged(tmp_path, vectors):
    index = Index.create(tmp_path / "i", dimension=16)
    index.add(np.concatenate([vectors[:1], 7 * vectors[1:2]]), keys=["a", "b"])
    assert np.array_equal(index.get("a").vector, vectors[0])
    assert np.linalg.norm(index.get("b").vector) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("bad", [np.zeros(16), np.full(16, np.nan), np.full(16, np.inf)])
def test_vectors_without_direction_are_rejected(index, bad):
    with pytest.raises(ValueError, match="finite values"):
        index.add(bad, keys=["bad"])
    with pytest.raises(ValueError, match="finite values"):
        index.search(bad)


def test_wrong_shapes_keys_and_metadata_are_rejected(index, vectors):
    with pytest.raises(DimensionMismatchError, match=r"\(2, 3\)"):
        index.add(np.ones((2, 3)), keys=["a", "b"])
    with pytest.raises(ValueError, match="2 keys for 1"):
        index.add(vectors[:1], keys=["a", "b"])
    with pytest.raises(ValueError, match="appears twice"):
        index.add(vectors[:2], keys=["a", "a"])
    with pytest.raises(ValueError, match="UTF-8"):
        index.add(vectors[:1], keys=["\udce9"])
    with pytest.raises(ValueError, match="non-empty"):
        index.add(vectors[:1], keys=[""])
    with pytest.raises(ValueError, match="plain JSON"):
        index.add(vectors[:1], keys=["a"], metadata={"x": float("nan")})
    with pytest.raises(ValueError, match=r"k must .* got 0"):
        index.search(vectors[0], k=0)
    assert len(index) == 200


def test_metadata_round_trip(index, vectors):
    metadata = {"label": "Straße", "n": 3, "x": 0.5, "tags": ["a", "b"], "none": None, "ok": True}
    index.add(vectors[0], keys=["m"], metadata=[metadata])
    assert index.get("m").metadata == metadata
    found = index.search(vectors[0], k=2, exclude="v0")
    assert found[0].metadata == metadata
    assert found.to_dict()["matches"][0]["metadata"] == metadata


def test_every_kind_of_image_is_encoded_and_found(tmp_path, encoder):
    rng = np.random.default_rng(3)
    arrays = rng.integers(0, 256, (4, 8, 8), dtype=np.uint8)
    path = tmp_path / "100%.png"
    Image.fromarray(arrays[0]).save(path)
    index = Index.create(tmp_path / "i", encoder)
    report = index.add([path, path.read_bytes(), Image.fromarray(arrays[1]), arrays[2]])
    assert len(report.added) == 4
    assert report.added[0] == str(path).replace("%", "%25")
    assert index.search(arrays[1], k=1).scores[0] == pytest.approx(1, abs=1e-6)
    assert index.search(str(path), k=1).scores[0] == pytest.approx(1, abs=1e-6)
    assert index.thumbnail(report.added[0]).media_type == "image/png"
    index.add(arrays, keys=list("abcd"))
    assert index.search(arrays[3], k=1).keys == ["d"]
    assert [m.keys[0] for m in index.search_batch(arrays[2:], 1)] == [report.added[3], "d"]


def test_broken_image_is_reported_and_others_are_added(tmp_path, encoder):
    good = np.zeros((8, 8), dtype=np.uint8)
    index = Index.create(tmp_path / "i", encoder)
    report = index.add([good, b"no image", tmp_path / "missing.png"], keys=["a", "b", "c"])
    assert report.added == ["a"]
    assert [failure.key for failure in report.failed] == ["b", "c"]
    assert all(failure.reason for failure in report.failed)
    with pytest.raises(ImageDecodeError, match=r"^d: "):
        index.add([b"no image"], keys=["d"], strict=True)
    assert len(index) == 1


def test_two_models_never_mix(tmp_path, encoder):
    index = Index.create(tmp_path / "i", encoder)
    assert Index.open(index.directory, FakeEncoder()).encoder.embedding_size == 16
    with pytest.raises(ModelMismatchError, match="trained differently or has other preprocessing"):
        Index.open(index.directory, FakeEncoder(seed=1))


def test_index_without_model_raises_clear_error(index):
    with pytest.raises(IndexStoreError, match="created without a model"):
        index.search(np.zeros((8, 8), dtype=np.uint8))


def test_opening_invalid_index_raises_clear_error(tmp_path, index):
    with pytest.raises(IndexStoreError, match="contains no index"):
        Index.open(tmp_path / "nowhere")
    with pytest.raises(IndexStoreError, match="already contains an index"):
        Index.create(index.directory, dimension=3)
    other = tmp_path / "other"
    other.mkdir()
    connection = sqlite3.connect(other / "index.sqlite")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(IndexStoreError, match="not a pyimgret index"):
        Index.open(other)
    (other / "index.sqlite").write_bytes(b"x" * 5000)
    with pytest.raises(IndexStoreError, match="not a database"):
        Index.open(other)


def test_newer_format_is_rejected(index):
    index.close()
    connection = sqlite3.connect(index.directory / "index.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(IndexStoreError, match=r"format 99.*upgrade"):
        Index.open(index.directory)


def test_second_writer_waits_then_raises_clear_error(index, vectors):
    impatient = Index.open(index.directory, timeout=0.1)
    with index.context.database.write(), pytest.raises(IndexStoreError, match="Another process"):
        impatient.add(vectors[:1], keys=["x"])
    patient = Index.open(index.directory, timeout=10)
    with index.context.database.write():
        thread = threading.Thread(target=patient.delete, args=("v0",))
        thread.start()
    thread.join()
    assert "v0" not in index


def test_readers_detect_commits(index, vectors):
    reader = Index.open(index.directory)
    query = unit(1, 16, seed=9)[0]
    reader.search(query)
    index.add(query, keys=["new"])
    assert reader.search(query, k=1).keys == ["new"]
    index.delete("new")
    assert reader.search(query, k=1).keys != ["new"]


def test_threads_share_index(index, vectors):
    wrong = []

    def work(seed):
        chosen = np.random.default_rng(seed).integers(0, 200, 50)
        wrong.extend(i for i in chosen if index.search(vectors[i], k=1).keys != [f"v{i}"])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for i in range(20):
        index.add(unit(1, 16, seed=1000 + i), keys=[f"w{i}"])
    for thread in threads:
        thread.join()
    assert wrong == []


def test_matches_do_not_change_after_search(tmp_path):
    index = Index.create(tmp_path / "i", dimension=2)
    index.add([[1.0, 0], [0, 1.0]], keys=["a", "b"], metadata=[{"n": 1}, {"n": 2}])
    matches = index.search([1.0, 0.1], 2)
    index.update("a", metadata={"n": 3})
    index.delete("b")
    assert [(m.key, m.metadata, m.rank) for m in matches] == [
        ("a", {"n": 1}, 1),
        ("b", {"n": 2}, 2),
    ]
    assert (matches.keys, len(matches)) == (["a", "b"], 2)
    assert pickle.loads(pickle.dumps(matches)) == matches
    assert Matches(list(matches)) == matches


def test_damaged_metadata_is_named_when_read(tmp_path):
    index = Index.create(tmp_path / "i", dimension=2)
    index.add([[1.0, 0]], keys=["a"])
    with index.context.database.write() as connection:
        connection.execute("UPDATE items SET metadata = '['")
    matches = index.search([1.0, 0])
    assert matches.keys == ["a"]
    with pytest.raises(IndexStoreError, match=r"metadata of 'a' is damaged.*Index\.update"):
        list(matches)
    with pytest.raises(IndexStoreError, match="metadata of 'a' is damaged"):
        index.get("a")
    index.update("a", metadata={"n": 1})
    assert index.search([1.0, 0])[0].metadata == {"n": 1}
    with pytest.raises(ValueError, match="Give an image"):
        index.update("a")
    assert index.get("a").metadata == {"n": 1}


def test_create_with_exist_ok_opens_existing_index(tmp_path, encoder):
    with Index.create(tmp_path / "idx", encoder, exist_ok=True) as index:
        index.add(np.eye(16, dtype=np.float32)[:2], keys=["a", "b"])
    with Index.create(tmp_path / "idx", encoder, exist_ok=True) as index:
        assert list(index.keys()) == ["a", "b"]
    with pytest.raises(ModelMismatchError):
        Index.create(tmp_path / "idx", FakeEncoder(seed=1), exist_ok=True)
    with pytest.raises(DimensionMismatchError, match="vectors of dimension 16, not 3"):
        Index.create(tmp_path / "idx", dimension=3, exist_ok=True)
    with pytest.raises(IndexStoreError, match="already contains an index"):
        Index.create(tmp_path / "idx", encoder)
