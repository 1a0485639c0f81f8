"""`Index.build`: what makes a large index faster, made on demand; and how good it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pyimgret.exceptions import IndexStoreError, InvalidArgumentError
from pyimgret.index.storage.items import vectors_of

if TYPE_CHECKING:
    from pyimgret.index.index import Index

Kind = Literal["exact", "int8", "binary", "hnsw"]
Method = Literal["auto", "exact", "int8", "binary", "hnsw"]

KINDS: tuple[Kind, ...] = ("exact", "int8", "binary", "hnsw")
METHODS: tuple[Method, ...] = ("auto", *KINDS)


def check_method(method: str) -> None:
    """Refuse the name of a method that there is not."""
    if method not in METHODS:
        raise InvalidArgumentError(
            f"{method!r} is no method; choose auto or one of {', '.join(KINDS)}."
        )


def build(
    index: Index,
    kind: Kind,
    *,
    connectivity: int = 16,
    construction: int = 128,
    expansion: int = 128,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Build one of the caches; see `Index.build`."""
    if kind not in KINDS:
        raise InvalidArgumentError(f"{kind!r} cannot be built; choose one of {', '.join(KINDS)}.")
    searcher = index.searcher
    if kind == "binary":
        with index.database.write() as connection:
            searcher.hamming.build(connection)
    with index.database.read() as connection:
        if kind == "hnsw":
            header = searcher.graph.build(
                connection,
                connectivity=connectivity,
                construction=construction,
                expansion=expansion,
                progress=progress or (lambda done, total: None),  # noqa: ARG005
            )
            return {"kind": kind, "count": header.count}
        rows = {"exact": searcher.rows, "int8": searcher.int8.rows}.get(kind)
        rows = rows or searcher.hamming.rows(connection)
        if not rows.flush(connection):
            raise IndexStoreError(
                f"Cannot write the cache {kind!r} in {index.directory / 'cache'}: the disk is "
                "full, the folder read-only, or another process is writing it. Nothing that was "
                "stored is lost, and searches work without; make room and repeat it."
            )
        return {"kind": kind, "written": True, "count": len(index)}


def recall_check(
    index: Index, *, method: Method = "hnsw", k: int = 10, queries: int = 100, seed: int = 0
) -> dict[str, Any]:
    """Compare a method with exact search; see `Index.recall_check`."""
    with index.database.read() as connection:
        numbers = [row[0] for row in connection.execute("SELECT number FROM vectors")]
        chosen = random.Random(seed).sample(numbers, min(queries, len(numbers)))
        vectors = vectors_of(connection, chosen, index.dimension)
    if not len(vectors):
        return {"method": method, "k": k, "queries": 0, "recall": 1.0}
    exact = index.search_batch(vectors, k, method="exact")
    found = [index.search(vector, k, method=method) for vector in vectors]
    hits = [len(set(a.keys) & set(b.keys)) / len(a) for a, b in zip(exact, found, strict=True)]
    return {"method": method, "k": k, "queries": len(vectors), "recall": float(np.mean(hits))}
