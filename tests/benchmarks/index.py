"""The index beside its peers: ``python -m tests.benchmarks.index [--only NAME] [--json]``.

Every figure is the median of 5 rounds; a peer is measured in the same round as ours, in
turn, so that a busy machine disturbs both alike. ``ratio`` is ours divided by the peer's
time (below 1 is faster).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret.index import Index

ROUNDS = 5
GRAPH_ROWS = 300_000


def rows(n: int, d: int, *, clusters: int = 0, seed: int = 0) -> np.ndarray:
    """Return unit vectors, optionally in clusters."""
    rng = np.random.default_rng(seed)
    made = rng.standard_normal((n, d), dtype=np.float32)
    if clusters:
        centres = np.random.default_rng(99).standard_normal((clusters, d), dtype=np.float32)
        made = centres[rng.integers(0, clusters, n)] + np.float32(0.6) * made
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def filled(directory: Path, vectors: np.ndarray) -> Index:
    """Return a new index of these vectors."""
    index = Index.create(directory, dimension=vectors.shape[1])
    index.add(vectors, keys=[str(n) for n in range(len(vectors))])
    return index


def milliseconds(action: Callable[[Any], object], queries: Any) -> float:
    """Return the median time of one call."""
    times = []
    for query in queries:
        start = time.perf_counter()
        action(query)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def compared(actions: dict[str, Callable[[Any], object]], queries: Any) -> dict[str, float]:
    """Return the median of 5 rounds for each action, in turn in every round."""
    for action in actions.values():
        for query in queries[:5]:
            action(query)
    rounds = [{n: milliseconds(a, queries) for n, a in actions.items()} for _ in range(ROUNDS)]
    return {name: statistics.median(one[name] for one in rounds) for name in actions}


def exact_small(directory: Path) -> dict[str, Any]:
    """Exact top 10 of one query, 60,000 x 30, beside faiss ``IndexFlatIP``, 2 threads."""
    return _exact(directory, 60_000, 30, 200)


def exact_large(directory: Path) -> dict[str, Any]:
    """Exact top 10 of one query, 300,000 x 128, beside faiss ``IndexFlatIP``, 2 threads."""
    return _exact(directory, 300_000, 128, 20)


def _exact(directory: Path, n: int, d: int, count: int) -> dict[str, Any]:
    import faiss

    faiss.omp_set_num_threads(2)
    vectors, queries = rows(n, d), rows(count, d, seed=1)
    index = filled(directory / f"exact-{n}", vectors)
    peer = faiss.IndexFlatIP(d)
    peer.add(vectors)
    found = [[str(i) for i in peer.search(query[None], 10)[1][0]] for query in queries[:20]]
    same = [index.search(q, 10).keys == keys for q, keys in zip(queries[:20], found, strict=True)]
    times = compared(
        {
            "ours": lambda q: index.search(q, 10),
            "int8": lambda q: index.search(q, 10, method="int8"),
            "faiss": lambda q: peer.search(q[None], 10),
        },
        queries,
    )
    return {
        **{f"{name}_ms": value for name, value in times.items()},
        "ratio": times["ours"] / times["faiss"],
        "same_answers_of_20": sum(same),
    }


def hnsw(directory: Path) -> dict[str, Any]:
    """HNSW on clustered vectors: ours (faiss), and three libraries at recall@10 >= .99."""
    n, d = GRAPH_ROWS, 128
    vectors, queries = rows(n, d, clusters=1000), rows(200, d, clusters=1000, seed=1)
    truth = np.argpartition(-(queries @ vectors.T), 10, axis=1)[:, :10]
    report: dict[str, Any] = {}
    actions: dict[str, Callable[[Any], Any]] = {}
    for name, (opener, edges, construction) in PEERS.items():
        search, widen = opener(vectors, directory / f"{name}-{n}.graph", edges, construction)
        report[name] = {"edges": edges, "construction": construction}
        report[name]["expansion"] = _narrowest(search, widen, queries, truth)
        actions[name] = search
    index = _graph_index(directory / f"hnsw-{n}", vectors)
    header = index.context.searcher.graph.header_path

    def ours(query: Any) -> list[int]:
        return [int(key) for key in index.search(query, 10, method="hnsw").keys]

    def widen_ours(width: int) -> None:
        header.write_text(json.dumps(json.loads(header.read_text()) | {"expansion": width}))

    report["ours"] = {"edges": 16, "construction": 128}
    report["ours"]["expansion"] = _narrowest(ours, widen_ours, queries, truth)
    actions["ours"] = ours
    actions["ours, matches read"] = lambda q: list(index.search(q, 10, method="hnsw"))
    nobody = np.empty(0, dtype=np.int64)
    with index.context.database.read() as connection:
        actions["our graph"] = lambda q: index.context.searcher.graph.find(
            connection, q[None], 10, excluded=nobody
        )
        times = compared(actions, queries)
    for name in report:
        report[name] |= {"ms": times[name], "recall_at_10": _recall(actions[name], queries, truth)}
    fastest = min(times[name] for name in PEERS)
    return {
        "rows": n,
        **report,
        "ours_with_all_matches_read_ms": times["ours, matches read"],
        "our_graph_alone_ms": times["our graph"],
        "ratio_of_whole_search_to_fastest": times["ours"] / fastest,
    }


def _graph_index(directory: Path, vectors: np.ndarray) -> Index:
    """Return an index with a graph, reusing that of an earlier run, if any."""
    if (directory / "cache" / "hnsw.json").exists():
        return Index.open(directory)
    index = filled(directory, vectors)
    index.build("hnsw")
    return index


def _narrowest(search: Any, widen: Any, queries: np.ndarray, truth: np.ndarray) -> int:
    """Set and return the least width at which 99 of 100 of the true nearest are found."""
    for width in (*range(20, 64, 4), *range(64, 257, 8)):
        widen(width)
        if _recall(search, queries, truth) >= 0.99:
            break
    return width


def _recall(search: Callable[[Any], Any], queries: np.ndarray, truth: np.ndarray) -> float:
    found = (len(set(search(q)) & set(t.tolist())) for q, t in zip(queries, truth, strict=True))
    return float(np.mean([hits / 10 for hits in found]))


def _faiss(vectors: np.ndarray, path: Path, edges: int, construction: int) -> tuple[Any, Any]:
    import faiss

    if not path.exists():
        made = faiss.IndexHNSWFlat(vectors.shape[1], edges, faiss.METRIC_INNER_PRODUCT)
        made.hnsw.efConstruction = construction
        made.add(vectors)
        faiss.write_index(made, os.fspath(path))
    graph = faiss.read_index(os.fspath(path))
    return (
        lambda q: graph.search(q[None], 10)[1][0].tolist(),
        lambda width: setattr(graph.hnsw, "efSearch", width),
    )


def _hnswlib(vectors: np.ndarray, path: Path, edges: int, construction: int) -> tuple[Any, Any]:
    import hnswlib

    graph = hnswlib.Index("ip", vectors.shape[1])
    if path.exists():
        graph.load_index(os.fspath(path))
    else:
        graph.init_index(len(vectors), M=edges, ef_construction=construction)
        graph.set_num_threads(2)
        graph.add_items(vectors)
        graph.save_index(os.fspath(path))
    return lambda q: graph.knn_query(q, 10, num_threads=1)[0][0].tolist(), graph.set_ef


def _usearch(vectors: np.ndarray, path: Path, edges: int, construction: int) -> tuple[Any, Any]:
    import usearch.index

    if path.exists():
        graph = usearch.index.Index.restore(os.fspath(path))
    else:
        graph = usearch.index.Index(
            ndim=vectors.shape[1],
            metric="ip",
            dtype="f32",
            connectivity=edges,
            expansion_add=construction,
        )
        graph.add(np.arange(len(vectors)), vectors, threads=2)
        graph.save(os.fspath(path))
    return (
        lambda q: graph.search(q, 10, threads=1).keys.tolist(),
        lambda width: setattr(graph, "expansion_search", width),
    )


PEERS: dict[str, tuple[Any, int, int]] = {
    "faiss": (_faiss, 16, 128),
    "hnswlib": (_hnswlib, 16, 128),
    "hnswlib, 32 edges": (_hnswlib, 32, 128),
    "usearch": (_usearch, 16, 128),
}
"""Libraries with edges and width of construction: the best of a few that were tried."""


_OPENING = """
import json, os, sys, time
start = time.perf_counter()
import numpy as np
from pyimgret.index import Index
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before, loaded = resident(), time.perf_counter()
index = Index.open(sys.argv[1])
query = np.ones(index.dimension, dtype=np.float32)
index.search(query, 10, method=sys.argv[2])
print(json.dumps({"first_answer_s": time.perf_counter() - loaded, "with_imports_s":
    time.perf_counter() - start, "resident_mb": (resident() - before) / 1e6}))
"""


def opening(directory: Path) -> dict[str, Any]:
    """Open 1,000,000 x 128: time to the first answer and resident memory, fresh processes."""
    index = Index.create(directory / "million", dimension=128)
    for part in range(10):
        vectors = rows(100_000, 128, seed=part)
        index.add(vectors, keys=[f"{part}-{n}" for n in range(len(vectors))])
    index.build("exact")
    index.build("int8")
    index.close()
    result: dict[str, Any] = {"vectors_mb": 1_000_000 * 128 * 4 / 1e6}
    for method in ("exact", "int8"):
        command = [sys.executable, "-c", _OPENING, str(index.directory), method]
        runs = [
            json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            for _ in range(ROUNDS)
        ]
        result[method] = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return result


def adding(directory: Path) -> dict[str, Any]:
    """Add 100,000 vectors of 128 in batches of 1,000, committed each; delete one."""
    rates, deletes, seconds = [], [], []
    vectors = rows(100_000, 128)
    for number in range(ROUNDS):
        index = Index.create(directory / f"adding-{number}", dimension=128)
        start, used = time.perf_counter(), time.process_time()
        for first in range(0, len(vectors), 1000):
            keys = [str(n) for n in range(first, first + 1000)]
            index.add(vectors[first : first + 1000], keys=keys)
        rates.append(len(vectors) / (time.perf_counter() - start))
        seconds.append(time.process_time() - used)
        index.search(vectors[0])
        start = time.perf_counter()
        index.delete("500")
        index.search(vectors[0])
        deletes.append(1000 * (time.perf_counter() - start))
    return {
        "vectors_a_second": statistics.median(rates),
        "vectors_a_cpu_second": len(vectors) / statistics.median(seconds),
        "delete_and_next_search_ms": statistics.median(deletes),
    }


PARTS = {
    "exact-small": exact_small,
    "exact-large": exact_large,
    "hnsw": hnsw,
    "opening": opening,
    "adding": adding,
}


def main() -> None:
    """Run the selected parts and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="Run one part.")
    parser.add_argument("--graph-rows", type=int, default=GRAPH_ROWS, help="Rows for hnsw.")
    parser.add_argument("--keep", type=Path, help="A folder for the graphs, used again if there.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    arguments = parser.parse_args()
    globals()["GRAPH_ROWS"] = arguments.graph_rows
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, part in PARTS.items():
            if arguments.only in (None, name):
                kept = arguments.keep if name == "hnsw" else None
                result[name] = part(kept or Path(folder))
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    for name, figures in result.items():
        print(f"{name}: {PARTS[name].__doc__}")
        for key, value in figures.items():
            print(f"  {key}: {value}")


if __name__ == "__main__":
    main()
