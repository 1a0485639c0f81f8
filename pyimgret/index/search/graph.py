"""Approximate search in an HNSW graph, by faiss.

Malkov and Yashunin (2018), Efficient and robust approximate nearest neighbor search using
hierarchical navigable small world graphs. The graph is built on demand, memory-mapped from
``cache/``, and stays in use while the index changes: images added since are scanned
exactly, and deleted ones are removed from its results.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sqlite3
import threading
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret.exceptions import IndexStoreError
from pyimgret.files.atomic import write_atomically
from pyimgret.files.keys import new_uuid
from pyimgret.index.search.cache_file import Layout
from pyimgret.index.search.exact import Found, merge
from pyimgret.index.search.locality import nearby_order
from pyimgret.index.search.scan import RowCache, StaleSnapshotError, search_parts
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Floats, RowIds
from pyimgret.index.storage.database import identity_of, state_of
from pyimgret.index.storage.disk_errors import not_written

_HEADER = "hnsw.json"
_FORMAT = 1
_PAGE = 65_536


@dataclass(frozen=True)
class GraphHeader:
    """The header of a graph on disk.

    Attributes
    ----------
    base_revision : int
        The revision of the index that the graph was built from.
    last_number : int
        Row ids above this one are not in the graph.
    connectivity, expansion : int
        Edges per node (M), and the search width (ef).
    """

    format: int
    uuid: str
    generation: str
    base_revision: int
    count: int
    last_number: int
    connectivity: int
    expansion: int
    sum: int


class Graph:
    """The graph of an index on disk.

    Parameters
    ----------
    directory : Path
        The index's directory.
    dimension : int
    """

    def __init__(self, directory: Path, dimension: int) -> None:
        self.folder = directory / "cache"
        self.header_path = self.folder / _HEADER
        self.dimension = dimension
        self._lock = threading.Lock()
        self._stamp: tuple[object, ...] | None = None
        self._loaded: _Loaded | None = None

    def exists(self) -> bool:
        """Return whether a graph was built."""
        return self.header_path.exists()

    def header(self) -> GraphHeader | None:
        """Return the header of the graph; None if there is none or it is damaged."""
        try:
            document = json.loads(self.header_path.read_text())
            if document.get("format") != _FORMAT:
                return None
            return GraphHeader(base_revision=document.pop("birth"), **document)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def build(
        self,
        connection: sqlite3.Connection,
        *,
        connectivity: int,
        construction: int,
        expansion: int,
        progress: Callable[[int, int], None],
    ) -> GraphHeader:
        """Build the graph from the snapshot of the connection's transaction."""
        total = int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])
        faiss = import_faiss()
        graph = faiss.IndexHNSWFlat(self.dimension, connectivity, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = construction
        known = [np.empty(0, dtype="<i8")]
        for row_ids, vectors in items.pages(connection, after=0, size=_PAGE):
            graph.add(vectors)
            known.append(np.array(row_ids, dtype="<i8"))
            progress(graph.ntotal, total)
        all_row_ids = np.concatenate(known)
        # NB: insertion in another order than that of the keys would leave clusters badly linked.
        order = nearby_order(_stored(graph))
        graph.permute_entries(order)
        return self._keep(connection, graph, all_row_ids[order], connectivity, expansion)

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

    def discard(self) -> None:
        """Delete the graph."""
        for path in (self.header_path, *self.folder.glob("hnsw-*.bin")):
            with contextlib.suppress(OSError):
                path.unlink()

    def is_damaged(self) -> bool:
        """Return whether the files do not match their header."""
        header = self.header()
        if header is None:
            return self.exists()
        return self._sum(header.generation) != header.sum

    def _keep(
        self,
        connection: sqlite3.Connection,
        graph: Any,
        row_ids: RowIds,
        connectivity: int,
        expansion: int,
    ) -> GraphHeader:
        """Write the graph and its header, and delete older graphs."""
        uuid = connection.execute("SELECT value FROM meta WHERE name = 'uuid'").fetchone()[0]
        base_revision = state_of(connection).revision
        generation = new_uuid()[:12]
        last = int(row_ids.max()) if len(row_ids) else 0
        try:
            self.folder.mkdir(exist_ok=True)
            import_faiss().write_index(graph, os.fspath(self.paths(generation)[0]))
            self.paths(generation)[1].write_bytes(row_ids.tobytes())
            header = GraphHeader(
                _FORMAT,
                uuid,
                generation,
                base_revision,
                len(row_ids),
                last,
                connectivity,
                expansion,
                self._sum(generation),
            )
            document = asdict(header)
            # NB: format 1 names the revision "birth".
            document["birth"] = document.pop("base_revision")
            text = json.dumps(document)
            write_atomically(self.header_path, lambda path: path.write_text(text), durable=False)
        except (OSError, RuntimeError) as error:
            # NB: an older graph stays in use.
            older = self.header()
            self._remove_all_but(older.generation if older else "")
            raise not_written("the graph", error) from error
        self._remove_all_but(generation)
        return header

    def _remove_all_but(self, generation: str) -> None:
        for old in self.folder.glob("hnsw-*.bin"):
            if old not in self.paths(generation):
                with contextlib.suppress(OSError):
                    old.unlink()

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
        if loaded.header.base_revision > revision:
            raise StaleSnapshotError
        return loaded if loaded.header.base_revision >= log_start else None

    def _open(self, connection: sqlite3.Connection) -> _Loaded | None:
        header = self.header()
        if header is None:
            return None
        uuid = connection.execute("SELECT value FROM meta WHERE name = 'uuid'").fetchone()[0]
        # NB: faiss trusts the file that it maps; a damaged one could crash the process.
        if header.uuid != uuid or self._sum(header.generation) != header.sum:
            self.discard()
            return None
        faiss = import_faiss()
        path, row_ids_path = self.paths(header.generation)
        graph = faiss.read_index(os.fspath(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
        graph.hnsw.efSearch = header.expansion
        row_ids = np.fromfile(row_ids_path, dtype="<i8")
        layout = Layout("tail", {"vectors": ("<f4", self.dimension)})
        tail = RowCache(
            self.folder.parent, layout, lambda vectors: {"vectors": vectors},
            after=header.last_number,
        )  # fmt: skip
        return _Loaded(header, graph, row_ids, tail)

    def paths(self, generation: str) -> tuple[Path, Path]:
        """Return the paths of the graph and of the row ids of its nodes."""
        return (
            self.folder / f"hnsw-{generation}-graph.bin",
            self.folder / f"hnsw-{generation}-numbers.bin",
        )

    def _sum(self, generation: str) -> int:
        """Return the checksum of both files; -1 if one cannot be read."""
        sums = [_file_sum(path) for path in self.paths(generation)]
        return -1 if -1 in sums else sum(sums) % 2**64


class _Loaded:
    """A mapped graph, the rows added later, and the rows deleted since."""

    def __init__(self, header: GraphHeader, graph: Any, row_ids: RowIds, tail: RowCache) -> None:
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
                (self.header.base_revision, self.header.last_number),
            )
            known = (revision, np.fromiter((row[0] for row in rows), dtype=np.int64))
            self._deleted = known
        return known[1]

    def nearest(self, query: Floats, k: int, skip: RowIds) -> Found:
        """Return the k nearest that are not in ``skip``, widening the search as needed."""
        wanted = k
        while True:
            wanted = min(wanted, self.header.count)
            places, scores = self._query(query, wanted)
            row_ids = self._row_ids[places]
            if len(skip):
                keep = ~np.isin(row_ids, skip)
                row_ids, scores = row_ids[keep], scores[keep]
            if len(row_ids) >= k or wanted >= self.header.count:
                return row_ids[:k], scores[:k]
            wanted = 2 * wanted + 16

    def _query(self, query: Floats, wanted: int) -> Found:
        """Return positions in the graph and scores of the nearest nodes."""
        scores, places = np.empty(wanted, dtype=np.float32), np.empty(wanted, dtype=np.int64)
        if wanted == 0:
            return places, scores
        pointer, query = import_faiss().swig_ptr, np.ascontiguousarray(query, dtype=np.float32)
        # NB: search() would repeat checks and allocations.
        self._graph.search_c(
            1, pointer(query), wanted, pointer(scores), pointer(places), self._parameters(wanted)
        )
        if places[-1] >= 0:
            return places, scores
        return places[places >= 0], scores[places >= 0]

    def _parameters(self, wanted: int) -> Any:
        """Return faiss's search parameters; None for the graph's own search width."""
        if wanted <= self.header.expansion:
            return None
        return import_faiss().SearchParametersHNSW(efSearch=wanted)


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
    """Import faiss, or raise an error that says what to install."""
    try:
        with warnings.catch_warnings():
            # NB: its generated wrappers raise deprecation warnings on newer Pythons.
            warnings.simplefilter("ignore", DeprecationWarning)
            import faiss
    except ImportError:
        raise IndexStoreError(
            "The graph needs the package faiss-cpu: pip install 'pyimgret[index]'."
        ) from None
    return faiss
