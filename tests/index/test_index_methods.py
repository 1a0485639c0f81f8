"""int8, binary codes and the graph, against exact search."""

from __future__ import annotations

import numpy as np
import pytest
from index_fakes import unit

from pyimgret.exceptions import IndexStoreError
from pyimgret.index import Index
from pyimgret.index.search import binary, rows
from pyimgret.index.search.int8 import quantise

N, D = 4000, 24


def clustered(n, seed):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((40, D)) + 1.5
    rows = centres[rng.integers(0, 40, n)] + 0.5 * rng.standard_normal((n, D))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    directory = tmp_path_factory.mktemp("methods")
    index = Index.create(directory / "idx", dimension=D)
    index.add(
        clustered(N, 0), keys=[str(n) for n in range(N)], metadata=[{"n": n} for n in range(N)]
    )
    index.build("hnsw")
    index.build("binary")
    index.close()
    return index.directory


@pytest.fixture
def index(template, tmp_path):
    import shutil

    shutil.copytree(template, tmp_path / "idx")
    with Index.open(tmp_path / "idx") as opened:
        yield opened


def recall(index, method, queries, k=10, **options):
    exact = index.search_batch(queries, k, method="exact", **options)
    found = index.search_batch(queries, k, method=method, **options)
    return np.mean(
        [len(set(a.keys) & set(b.keys)) / max(1, len(a)) for a, b in zip(exact, found, strict=True)]
    )


QUERIES = clustered(40, 1)


def test_int8_search_equals_exact_search(index, monkeypatch):
    for queries in (QUERIES, unit(20, D, seed=3)):
        exact = index.search_batch(queries, 10, method="exact")
        coded = index.search_batch(queries, 10, method="int8")
        for a, b in zip(exact, coded, strict=True):
            assert a.keys == b.keys
            assert a.scores == pytest.approx(b.scores, abs=1e-6)
    index.delete([str(n) for n in range(0, N, 3)])
    index.add(clustered(200, 5), keys=[f"new{n}" for n in range(200)])
    assert recall(index, "int8", QUERIES) == 1.0
    assert recall(index, "int8", QUERIES, where="n < 500") == 1.0
    assert recall(index, "int8", QUERIES, where="n < 5") == 1.0
    assert recall(index, "int8", QUERIES, k=5000) == 1.0


def test_int8_error_bounds_hold():
    rows = unit(500, D)
    made = quantise(rows)
    restored = made["codes"] * made["scales"][:, None]
    assert np.linalg.norm(rows - restored, axis=1) == pytest.approx(made["errors"], abs=1e-6)
    assert made["codes"].min() >= -127


@pytest.mark.parametrize("method", ["hnsw", "binary"])
def test_approximate_methods_find_nearly_all(index, method):
    assert recall(index, method, QUERIES) >= 0.97
    check = index.recall_check(method=method, k=10, queries=50)
    assert (check["queries"], check["k"]) == (50, 10)
    assert check["recall"] >= 0.97


@pytest.mark.parametrize("method", ["hnsw", "binary"])
def test_approximate_methods_follow_changes(index, method):
    gone = [str(n) for n in range(0, N, 2)]
    index.delete(gone)
    index.add(clustered(300, 5), keys=[f"new{n}" for n in range(300)])
    index.update("1", -index.get("1").vector)
    found = index.search_batch(QUERIES, 10, method=method)
    keys = {key for matches in found for key in matches.keys}
    assert not keys & set(gone)
    assert any(key.startswith("new") for key in keys)
    assert all(len(matches) == 10 for matches in found)
    assert recall(index, method, QUERIES) >= 0.97
    assert index.search(index.get("1").vector, 1, method=method).keys == ["1"]
    assert recall(Index.open(index.directory), method, QUERIES) >= 0.97


@pytest.mark.parametrize("where", ["n == 17", "n < 30", "n < 2000", "n >= 0", "n < 0"])
@pytest.mark.parametrize("method", ["hnsw", "binary", "auto"])
def test_filtered_search_is_exact_for_every_method(index, method, where):
    exact = index.search_batch(QUERIES, 10, method="exact", where=where)
    assert index.search_batch(QUERIES, 10, method=method, where=where) == exact


def test_excluded_keys_and_thresholds(index):
    query = QUERIES[0]
    for method in ("int8", "hnsw", "binary"):
        full = index.search(query, 10, method=method)
        assert index.search(query, 9, method=method, exclude=full.keys[0]).keys == full.keys[1:]
        part = index.search(query, 10, method=method, min_score=full.scores[4])
        assert part.keys == full.keys[:5]


def test_missing_cache_is_named(tmp_path):
    index = Index.create(tmp_path / "i", dimension=3)
    for method in ("hnsw", "binary"):
        with pytest.raises(IndexStoreError, match=f"--kind {method}"):
            index.search([1.0, 0, 0], method=method)
    with pytest.raises(ValueError, match="'best' is not a search method"):
        index.search([1.0, 0, 0], method="best")
    with pytest.raises(ValueError, match="'best' cannot be built"):
        index.build("best")
    assert index.recall_check(method="exact")["recall"] == 1.0


def test_k_above_count_and_empty_graph(tmp_path):
    index = Index.create(tmp_path / "i", dimension=3)
    index.build("hnsw")
    index.build("binary")
    for method in ("hnsw", "binary", "int8"):
        assert len(index.search([1.0, 0, 0], method=method)) == 0
    index.add([[1.0, 0, 0], [0, 1.0, 0]], keys=["x", "y"])
    for method in ("hnsw", "binary", "int8"):
        assert index.search([1.0, 0.1, 0], 9, method=method).keys == ["x", "y"]


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove", "header"])
def test_damaged_graph_falls_back_to_exact_search(index, harm):
    path = next((index.directory / "cache").glob("hnsw-*-graph.bin"))
    if harm == "flip":
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    elif harm == "truncate":
        path.write_bytes(path.read_bytes()[:5000])
    elif harm == "remove":
        path.unlink()
    else:
        (index.directory / "cache/hnsw.json").write_text('{"format": 1}')
    fresh = Index.open(index.directory)
    exact = fresh.search_batch(QUERIES, 5, method="exact")
    assert fresh.search_batch(QUERIES, 5) == exact
    with pytest.raises(IndexStoreError, match="There is no graph"):
        fresh.search(QUERIES[0], method="hnsw")
    fresh.build("hnsw")
    assert recall(fresh, "hnsw", QUERIES) >= 0.97


def test_reader_notices_new_graph(index):
    reader = Index.open(index.directory)
    reader.search(QUERIES[0], method="hnsw")
    index.add(clustered(100, 6), keys=[f"n{n}" for n in range(100)])
    index.build("hnsw", connectivity=8, construction=64, expansion=200)
    reader.search(QUERIES[0], method="hnsw")
    assert reader.context.searcher.graph.header() == index.context.searcher.graph.header()
    assert reader.context.searcher.graph.header()["count"] == N + 100


def test_codes_and_rows_are_stored_in_files(index, monkeypatch):
    monkeypatch.setattr(rows, "_FLUSH_ROWS", 64)
    for kind in ("exact", "int8", "binary"):
        assert index.build(kind)["written"] is True
    names = {path.name.split("-")[0] for path in (index.directory / "cache").glob("*.bin")}
    assert names == {"float32", "int8", "binary", "hnsw"}
    assert recall(Index.open(index.directory), "binary", QUERIES) >= 0.97


def test_bits_are_counted_equally_with_and_without_instruction(monkeypatch):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**63, (50, 4), dtype=np.uint64)
    expected = [
        sum(int(a ^ b).bit_count() for a, b in zip(row, bits[0], strict=True)) for row in bits
    ]
    assert binary.distances(bits, bits[0]).tolist() == expected
    monkeypatch.setattr(binary, "_count_bits", binary._count_by_table)
    assert binary.distances(bits, bits[0]).tolist() == expected
