"""`Index.build`: search structures built on demand, and their measured recall."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from pyimgret.exceptions import IndexStoreError, InvalidArgumentError
from pyimgret.index.context import IndexContext
from pyimgret.index.search.conditions import KINDS, Conditions, Kind, Method
from pyimgret.index.storage import items


def build_cache(
    context: IndexContext,
    kind: Kind = "hnsw",
    *,
    connectivity: int = 16,
    construction: int = 128,
    expansion: int = 128,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Build a search structure that makes a large index faster or smaller.

    Parameters
    ----------
    kind : {"hnsw", "int8", "binary", "exact"}
        The graph; the int8 codes; the binary codes; the memory-mapped vectors. Only the
        graph and the binary codes must be built; the others are made automatically.
    connectivity, construction, expansion : int
        Of the graph: edges per node (M, 16), width while building (128), width while
        searching (128). Higher values give better recall and slower searches.
    progress : callable, optional
        Called with the number of vectors done and the total.
    """
    if kind not in KINDS:
        raise InvalidArgumentError(f"{kind!r} cannot be built; choose one of {', '.join(KINDS)}.")
    searcher = context.searcher
    if kind == "binary":
        with context.database.write() as connection:
            searcher.hamming.build(connection)
    with context.database.read() as connection:
        if kind == "hnsw":
            count = searcher.graph.build(
                connection,
                connectivity=connectivity,
                construction=construction,
                expansion=expansion,
                progress=progress or (lambda done, total: None),  # noqa: ARG005
            )
            return {"kind": kind, "count": count}
        rows = {"exact": searcher.rows, "int8": searcher.int8.rows}.get(kind)
        rows = rows or searcher.hamming.rows(connection)
        if rows is None or not rows.flush(connection):
            raise IndexStoreError(
                f"Cannot write the cache {kind!r} in {context.directory / 'cache'}: the disk is "
                "full, the folder read-only, or another process is writing it. No stored data "
                "is lost, and searches work without it; free some space and try again."
            )
        return {"kind": kind, "written": True, "count": items.count(connection)}


def measure_recall(
    context: IndexContext,
    *,
    method: Method = "hnsw",
    k: int = 10,
    queries: int = 100,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure the recall of a method, with images of the index as queries.

    Returns
    -------
    dict
        ``{"method", "k", "queries", "recall"}``.
    """
    conditions = Conditions.checked(k, method=method)
    with context.database.read() as connection:
        row_ids = [row[0] for row in connection.execute("SELECT number FROM vectors")]
        chosen = random.Random(seed).sample(row_ids, min(queries, len(row_ids)))
        vectors = items.vectors_of(connection, chosen, context.dimension)
    if not len(vectors):
        return {"method": method, "k": k, "queries": 0, "recall": 1.0}
    search = context.searcher.search
    exact = search(vectors, Conditions.checked(k, method="exact"))
    found = [search(vector[None], conditions)[0] for vector in vectors]
    hits = [len(set(a.keys) & set(b.keys)) / len(a) for a, b in zip(exact, found, strict=True)]
    return {"method": method, "k": k, "queries": len(vectors), "recall": float(np.mean(hits))}
