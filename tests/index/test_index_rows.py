"""The rows that are scanned: cache files beside the database, which are verified or rebuilt."""

from __future__ import annotations

import json
import os
import warnings

import numpy as np
import pytest
from index_fakes import unit

from pyimgret.index import Index
from pyimgret.index.search import rows as cached_rows
from pyimgret.index.search.exact import multiply, padded, padded_width, search_parts
from pyimgret.index.search.rows import Part
from pyimgret.index.search.top_k import best_of_each, top_k


@pytest.fixture
def small_flush(monkeypatch):
    monkeypatch.setattr(cached_rows, "_FLUSH_ROWS", 64)


@pytest.fixture
def cached(small_flush, tmp_path):
    """Return an index whose rows are in a file, and its vectors."""
    vectors = unit(500, 8)
    index = Index.create(tmp_path / "idx", dimension=8)
    index.add(vectors, keys=[str(i) for i in range(500)])
    index.search(vectors[0])
    return index, vectors


def results(index, seed=5):
    return [matches.keys for matches in index.search_batch(unit(10, 8, seed=seed), 5)]


def header(index):
    return json.loads((index.directory / "cache" / "float32.json").read_text())


@pytest.mark.parametrize("n", [1, 5, 100, 8192, 8193, 20000, 70001])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_top_k_equals_full_sort(n, k):
    rng = np.random.default_rng(n + k)
    for scores in (rng.standard_normal(n), rng.integers(0, 5, n), np.zeros(n)):
        scores = scores.astype(np.float32)
        expected = np.lexsort((np.arange(n), -scores))[:k]
        assert np.array_equal(top_k(scores, k), expected)


@pytest.mark.parametrize("n", [1, 100, 8193, 20000])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_best_of_each_equals_best_of_every_column(n, k):
    scores = np.random.default_rng(n + k).integers(-9, 9, (n, 3)).astype(np.float32)
    scores[:, 1] = -np.inf
    scores[: n // 2, 2] = -np.inf
    for column, (positions, found) in zip(scores.T, best_of_each(scores, k), strict=True):
        expected = top_k(column, k)
        expected = expected[column[expected] > -np.inf]
        assert np.array_equal(positions, expected)
        assert np.array_equal(found, column[expected])


def part(rows, deleted):
    return Part({"numbers": np.arange(len(rows)), "vectors": rows}, deleted)


@pytest.mark.parametrize("count", [2, 5, 32, 33])
@pytest.mark.parametrize("n", [3, 9000, 70001])
def test_few_queries_together_equal_full_sort(n, count):
    rows, queries, deleted = unit(n, 32), unit(count, 32, seed=1), np.array([0, 2])
    expected = queries @ rows.T
    expected[:, deleted] = -np.inf
    found = search_parts([part(rows, deleted)], queries, 10)
    for row, (positions, scores) in zip(expected, found, strict=True):
        assert not {0, 2} & set(positions.tolist())
        best = np.sort(row[row > -np.inf])[::-1][:10]
        assert scores == pytest.approx(best, abs=1e-6)
        assert row[positions] == pytest.approx(best, abs=1e-6)


def test_batches_in_blocks_equal_single_queries(monkeypatch):
    monkeypatch.setattr("pyimgret.index.search.exact._BLOCK_SCORES", 1000)
    rows, queries = unit(400, 8), unit(7, 8, seed=1)
    deleted = np.array([3, 100])
    found = search_parts([part(rows, deleted)], queries, 400)
    for query, (positions, scores) in zip(queries, found, strict=True):
        assert len(positions) == 398
        assert not {3, 100} & set(positions.tolist())
        assert scores == pytest.approx(np.sort(np.delete(rows @ query, deleted))[::-1], abs=1e-6)


def test_cache_file_is_reused_and_extended(cached, monkeypatch):
    index, _ = cached
    count = header(index)["count"]
    assert count >= 448
    expected = results(index)
    read = []
    pages = cached_rows.items.pages
    monkeypatch.setattr(
        cached_rows.items, "pages", lambda c, *, after: read.append(after) or pages(c, after=after)
    )
    again = Index.open(index.directory)
    assert results(again) == expected
    assert read == [count]
    index.add(unit(200, 8, seed=7), keys=[f"n{i}" for i in range(200)])
    assert results(again) == results(index) == results(Index.open(index.directory))
    assert header(index)["count"] > count


def test_deleted_rows_stay_deleted_after_reopening(cached):
    index, vectors = cached
    index.delete([str(i) for i in range(0, 100)])
    fresh = Index.open(index.directory)
    found = fresh.search_batch(vectors[:100], 3)
    assert all(int(key) >= 100 for matches in found for key in matches.keys)
    assert results(fresh) == results(index)


def test_file_with_many_deleted_rows_is_rewritten(cached):
    index, _ = cached
    old = header(index)["generation"]
    index.delete([str(i) for i in range(400)])
    fresh = Index.open(index.directory)
    assert all(int(key) >= 400 for keys in results(fresh) for key in keys)
    assert header(index)["generation"] != old
    assert len(list((index.directory / "cache").glob("float32-*.bin"))) == 2


@pytest.mark.parametrize("harm", ["flip", "truncate", "header", "remove", "swap", "empty"])
def test_damaged_file_is_detected_and_rebuilt(cached, harm):
    index, _ = cached
    expected = results(index)
    cache = index.directory / "cache"
    data = next(cache.glob("float32-*-vectors.bin"))
    if harm == "flip":
        content = bytearray(data.read_bytes())
        content[1234] ^= 64
        data.write_bytes(content)
    elif harm == "truncate":
        data.write_bytes(data.read_bytes()[:1000])
    elif harm == "header":
        (cache / "float32.json").write_text("{")
    elif harm == "remove":
        data.unlink()
    elif harm == "empty":
        (cache / "float32.json").write_text("{}")
    else:
        (cache / "float32.json").write_text(json.dumps(header(index) | {"uuid": "another"}))
    fresh = Index.open(index.directory)
    assert results(fresh) == expected
    assert header(fresh)["uuid"] == index.context.uuid


def test_two_writers_append_in_turn(cached):
    first, _ = cached
    second = Index.open(first.directory)
    for turn in range(6):
        writer = (first, second)[turn % 2]
        writer.add(unit(90, 8, seed=50 + turn), keys=[f"{turn}-{i}" for i in range(90)])
        assert results(writer) == results((second, first)[turn % 2])
    assert results(Index.open(first.directory)) == results(first)


def test_replacement_by_older_database_is_detected(cached, tmp_path):
    index, _ = cached

    def empty_log():
        with index.context.database.exclusive() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    empty_log()
    old = (index.directory / "index.sqlite").read_bytes()
    index.add(unit(200, 8, seed=8), keys=[f"n{i}" for i in range(200)])
    results(index)
    empty_log()
    replacement = tmp_path / "old.sqlite"
    replacement.write_bytes(old)
    replacement.replace(index.directory / "index.sqlite")
    fresh = Index.open(index.directory)
    assert len(fresh) == 500
    assert all(not key.startswith("n") for keys in results(fresh) for key in keys)
    assert all(not key.startswith("n") for keys in results(index) for key in keys)


def products(rows, query):
    made = np.empty(len(rows), dtype=np.float32)
    multiply(rows, query, out=made)
    return made


@pytest.mark.parametrize("dimension", [1, 2, 30, 34, 128])
def test_padding_does_not_change_scores(dimension, tmp_path):
    rows, queries = unit(3000, dimension), unit(5, dimension, seed=1)
    width = padded_width(dimension)
    assert width % 4 == 0
    assert 0 <= width - dimension < 4
    same = padded(rows, width) @ padded(queries[0], width)
    assert np.allclose(same, rows @ queries[0], atol=1e-6)
    index = Index.create(tmp_path / "index", dimension=dimension)
    index.add(rows, keys=[str(n) for n in range(len(rows))])
    index.build("exact")
    one = [index.search(query, 5).scores for query in queries]
    many = [matches.scores for matches in index.search_batch(queries, 5)]
    best = np.sort(queries @ rows.T, axis=1)[:, :-6:-1]
    assert np.allclose(one, best, atol=1e-5)
    assert np.allclose(many, best, atol=1e-5)


def test_search_combines_rows_in_file_and_in_memory(tmp_path):
    rows, query = unit(20_000, 30), unit(1, 30, seed=1)[0]
    index = Index.create(tmp_path / "index", dimension=30)
    index.add(rows[:17_000], keys=[str(n) for n in range(17_000)])
    index.build("exact")
    index.add(rows[17_000:], keys=[str(n) for n in range(17_000, 20_000)])
    best = np.argsort(-(rows @ query))[:40].astype(str).tolist()
    assert index.search(query, 40).keys == best
    index.delete(best[:40:2])
    assert index.search(query, 20).keys == best[1:40:2]


@pytest.mark.parametrize("shape", [(1, 3), (70_000, 30), (30_000, 128), (5, 2000)])
def test_products_in_blocks_equal_one_product(shape):
    rows, query = unit(*shape), unit(1, shape[1], seed=1)[0]
    assert np.allclose(products(rows, query), rows @ query, atol=1e-6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_forked_child_creates_its_own_threads():
    rows, query = unit(30_000, 128), unit(1, 128)[0]
    expected = products(rows, query)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(0 if np.allclose(products(rows, query), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
