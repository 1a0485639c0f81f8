"""Approximate search in an HNSW graph, by faiss.

Malkov and Yashunin (2018), Efficient and robust approximate nearest neighbor search using
hierarchical navigable small world graphs. The graph is built on demand, memory-mapped from
``cache/``, and stays in use while the index changes: images added since are scanned
exactly, and deleted ones are removed from its results.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret.files.keys import new_uuid
from pyimgret.index.search.cache_files import CacheFiles, Header
from pyimgret.index.search.exact import search_parts
from pyimgret.index.search.locality import nearby_order
from pyimgret.index.search.rows import RowCache, StaleSnapshotError
from pyimgret.index.search.top_k import Found, merge
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Floats, RowIds
from pyimgret.index.storage.database import identity_of, state_of, uuid_of
from pyimgret.index.storage.errors import import_extra, not_written

_PAGE = 65_536


class Graph(CacheFiles):
    """The graph of an index on disk.

    Its header has also ``last_number`` (row ids above it are not in the graph),
    ``connectivity`` (edges per node, M), ``expansion`` (search width, ef) and ``sum``.
    """

    def __init__(self, directory: Path, dimension: int) -> None:
        fields = ("last_number", "connectivity", "expansion", "sum")
        super().__init__(directory / "cache", "hnsw", ("graph", "numbers"), fields)
        self.dimension = dimension
        self._lock = threading.Lock()
        self._stamp: tuple[object, ...] | None = None
        self._loaded: _Loaded | None = None

    def build(
        self,
        connection: sqlite3.Connection,
        *,
        connectivity: int,
        construction: int,
        expansion: int,
        progress: Callable[[int, int], None],
    ) -> int:
        """Build the graph from the transaction's snapshot; return the number of nodes."""
        faiss, total = import_faiss(), items.count(connection)
        graph = faiss.IndexHNSWFlat(self.dimension, connectivity, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = construction
        known = [np.empty(0, dtype="<i8")]
        for row_ids, vectors in items.pages(connection, after=0, size=_PAGE):
            graph.add(vectors)
            known.append(np.array(row_ids, dtype="<i8"))
            progress(graph.ntotal, total)
        numbers = np.concatenate(known)
        # NB: insertion in another order than that of the keys would leave clusters badly linked.
        order = nearby_order(_stored(graph))
        graph.permute_entries(order)
        header: Header = {
            "uuid": uuid_of(connection),
            "generation": new_uuid()[:12],
            "base_revision": state_of(connection).revision,
            "count": len(numbers),
            "last_number": int(numbers.max(initial=0)),
            "connectivity": connectivity,
            "expansion": expansion,
        }
        self._write(header, graph, numbers[order])
        return len(numbers)

    def find(
        self, connection: sqlite3.Connection, queries: Floats, k: int, *, excluded: RowIds
    ) -> list[Found] | None:
        """Return row ids and scores of about the k nearest; None if the graph cannot be used."""
        loaded = self._current(connection)
        if loaded is None:
            return None
        parts, skip = loaded.tail.snapshot(connection), loaded.deleted(connection)
        if len(excluded):
            parts = [part.without(excluded) for part in parts]
            skip = np.union1d(skip, excluded)
        older = [loaded.nearest(query, k, skip) for query in queries]
        if not parts:
            return older
        newer = search_parts(parts, queries, k)
        return [merge([old, new], k) for old, new in zip(older, newer, strict=True)]

    def is_sound(self, header: Header) -> bool:
        """Return whether the data files match their header."""
        return bool(self._sum(header["generation"]) == header["sum"])

    def _write(self, header: Header, graph: Any, row_ids: RowIds) -> None:
        """Write the graph and its header, and delete older graphs."""
        paths = self.paths(header["generation"])
        try:
            self.folder.mkdir(exist_ok=True)
            import_faiss().write_index(graph, os.fspath(paths["graph"]))
            paths["numbers"].write_bytes(row_ids.tobytes())
            self.write_header(header | {"sum": self._sum(header["generation"])})
        except (OSError, RuntimeError) as error:
            raise not_written("the graph", error) from error
        finally:
            # NB: after an error an older graph stays in use.
            self.remove_orphans()

    def _current(self, connection: sqlite3.Connection) -> _Loaded | None:
        """Return the graph, reopened if another one was built."""
        try:
            status = self.header_path.stat()
        except OSError:
            return None
        stamp = (status.st_ino, status.st_mtime_ns, identity_of(connection))
        with self._lock:
            if stamp != self._stamp:
                self._loaded = self._open(connection)
                # NB: do not check a damaged graph in a read-only folder again on every search.
                self._stamp = stamp
            loaded = self._loaded
        if loaded is None:
            return None
        revision, log_start = state_of(connection)
        base_revision = loaded.header["base_revision"]
        if base_revision > revision:
            raise StaleSnapshotError
        return loaded if base_revision >= log_start else None

    def _open(self, connection: sqlite3.Connection) -> _Loaded | None:
        header = self.header()
        if header is None:
            return None
        # NB: faiss trusts the file that it maps; a damaged one could crash the process.
        if header["uuid"] != uuid_of(connection) or not self.is_sound(header):
            self.discard()
            return None
        faiss, paths = import_faiss(), self.paths(header["generation"])
        graph = faiss.read_index(os.fspath(paths["graph"]), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
        graph.hnsw.efSearch = header["expansion"]
        tail = RowCache(
            self.folder.parent,
            "tail",
            {"vectors": ("<f4", self.dimension)},
            lambda vectors: {"vectors": vectors},
            after=header["last_number"],
        )
        return _Loaded(header, graph, np.fromfile(paths["numbers"], dtype="<i8"), tail)

    def _sum(self, generation: str) -> int:
        """Return the checksum of both files; -1 if one cannot be read."""
        sums = [_file_sum(path) for path in self.paths(generation).values()]
        return -1 if -1 in sums else sum(sums) % 2**64


class _Loaded:
    """A mapped graph, the rows added later, and the rows deleted since."""

    def __init__(self, header: Header, graph: Any, row_ids: RowIds, tail: RowCache) -> None:
        self.header = header
        self.tail = tail
        self._graph = graph
        self._row_ids = row_ids
        self._deleted: tuple[int, RowIds] = (-1, np.empty(0, dtype=np.int64))

    def deleted(self, connection: sqlite3.Connection) -> RowIds:
        """Return the row ids in the graph that were deleted since it was built."""
        revision = state_of(connection).revision
        known = self._deleted
        if known[0] != revision:
            rows = connection.execute(
                "SELECT number FROM removed WHERE revision > ? AND number <= ? ORDER BY number",
                (self.header["base_revision"], self.header["last_number"]),
            )
            known = (revision, np.fromiter((row[0] for row in rows), dtype=np.int64))
            self._deleted = known
        return known[1]

    def nearest(self, query: Floats, k: int, skip: RowIds) -> Found:
        """Return the k nearest that are not in ``skip``, widening the search as needed."""
        count = self.header["count"]
        width = k
        while True:
            width = min(width, count)
            places, scores = self._query(query, width)
            row_ids = self._row_ids[places]
            if len(skip):
                keep = ~np.isin(row_ids, skip)
                row_ids, scores = row_ids[keep], scores[keep]
            if len(row_ids) >= k or width >= count:
                return row_ids[:k], scores[:k]
            width = 2 * width + 16

    def _query(self, query: Floats, count: int) -> Found:
        """Return positions in the graph and scores of the nearest nodes."""
        scores, places = np.empty(count, dtype=np.float32), np.empty(count, dtype=np.int64)
        if count == 0:
            return places, scores
        faiss, query = import_faiss(), np.ascontiguousarray(query, dtype=np.float32)
        pointer, parameters = faiss.swig_ptr, None
        if count > self.header["expansion"]:
            parameters = faiss.SearchParametersHNSW(efSearch=count)
        # NB: search() would repeat checks and allocations.
        self._graph.search_c(1, pointer(query), count, pointer(scores), pointer(places), parameters)
        if places[-1] >= 0:
            return places, scores
        return places[places >= 0], scores[places >= 0]


def _stored(graph: Any) -> Floats:
    """Return the vectors stored in a graph, without a copy."""
    faiss = import_faiss()
    if graph.ntotal == 0:
        return np.empty((0, graph.d), dtype=np.float32)
    values = faiss.rev_swig_ptr(
        faiss.downcast_index(graph.storage).get_xb(), graph.ntotal * graph.d
    )
    rows: Floats = values.reshape(graph.ntotal, graph.d)
    return rows


def _file_sum(path: Path) -> int:
    """Return the sum of a file's 64-bit words, modulo 2**64; -1 if it cannot be read."""
    try:
        if path.stat().st_size == 0:
            return 0
        data = np.memmap(path, dtype=np.uint8, mode="r")
    except (OSError, ValueError):
        return -1
    whole = len(data) // 8 * 8
    return int(data[:whole].view("<u8").sum(dtype=np.uint64)) + int(data[whole:].sum())


@functools.cache
def import_faiss() -> Any:
    """Import faiss."""
    return import_extra("faiss", package="faiss-cpu", extra="index", what="The graph")
