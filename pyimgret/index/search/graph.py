"""Approximate search in a graph (HNSW), by faiss.

Malkov and Yashunin (2018), Efficient and robust approximate nearest neighbor search using
hierarchical navigable small world graphs. The graph is built on demand, lies memory-mapped
in ``cache/`` and goes on serving while the index changes: what was added since is scanned
exactly beside it, what was deleted is left out of its answers.
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
from pyimgret.index.storage.arrays import Floats, Numbers
from pyimgret.index.storage.database import identity_of, state_of
from pyimgret.index.storage.disk_errors import not_written

_HEADER = "hnsw.json"
_FORMAT = 1
_PAGE = 65_536


@dataclass(frozen=True)
class GraphHeader:
    """What is known about a graph on disk.

    Attributes
    ----------
    birth : int
        The revision of the index whose vectors it holds.
    last_number : int
        Items with a greater number are not in it.
    connectivity, expansion : int
        Edges of a node (M), and the width of the search (ef).
    """

    format: int
    uuid: str
    generation: str
    birth: int
    count: int
    last_number: int
    connectivity: int
    expansion: int
    sum: int


class Graph:
    """The graph of an index, as it lies on disk.

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
        """Tell whether a graph was built."""
        return self.header_path.exists()

    def header(self) -> GraphHeader | None:
        """Return what is known about the graph; None when there is none or it is broken."""
        try:
            document = json.loads(self.header_path.read_text())
            return GraphHeader(**document) if document.get("format") == _FORMAT else None
        except (OSError, ValueError, TypeError, AttributeError):
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
        """Build the graph of what the connection's transaction sees."""
        total = int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])
        faiss = import_faiss()
        graph = faiss.IndexHNSWFlat(self.dimension, connectivity, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = construction
        known = [np.empty(0, dtype="<i8")]
        for numbers, vectors in items.pages(connection, after=0, size=_PAGE):
            graph.add(vectors)
            known.append(np.array(numbers, dtype="<i8"))
            progress(graph.ntotal, total)
        all_numbers = np.concatenate(known)
        # NB: added in another order than that of the keys, clusters would lack links.
        order = nearby_order(_stored(graph))
        graph.permute_entries(order)
        return self._keep(connection, graph, all_numbers[order], connectivity, expansion)

    def find(
        self, connection: sqlite3.Connection, queries: Floats, k: int, *, unwanted: Numbers
    ) -> list[Found] | None:
        """Return numbers and scores of about the k nearest; None when the graph is of no use."""
        loaded = self._current(connection)
        if loaded is None:
            return None
        parts, hidden = loaded.tail.snapshot(connection), loaded.dead(connection)
        if len(unwanted):
            parts = [part.without(unwanted) for part in parts]
            hidden = np.union1d(hidden, unwanted)
        older = [loaded.nearest(query, k, hidden) for query in queries]
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
        """Tell whether the file is not what its header says."""
        header = self.header()
        if header is None:
            return self.exists()
        return self._sum(header.generation) != header.sum

    def _keep(
        self,
        connection: sqlite3.Connection,
        graph: Any,
        numbers: Numbers,
        connectivity: int,
        expansion: int,
    ) -> GraphHeader:
        """Write the graph and its header, and delete older ones."""
        uuid = connection.execute("SELECT value FROM meta WHERE name = 'uuid'").fetchone()[0]
        birth = state_of(connection).revision
        generation = new_uuid()[:12]
        last = int(numbers.max()) if len(numbers) else 0
        try:
            self.folder.mkdir(exist_ok=True)
            import_faiss().write_index(graph, os.fspath(self.paths(generation)[0]))
            self.paths(generation)[1].write_bytes(numbers.tobytes())
            header = GraphHeader(
                _FORMAT, uuid, generation, birth, len(numbers), last, connectivity, expansion,
                self._sum(generation),
            )  # fmt: skip
            text = json.dumps(asdict(header))
            write_atomically(self.header_path, lambda path: path.write_text(text), durable=False)
        except (OSError, RuntimeError) as error:
            # NB: an older graph goes on serving.
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
        """Return the graph, opened anew when another one was built."""
        try:
            status = self.header_path.stat()
        except OSError:
            return None
        stamp = (status.st_ino, status.st_mtime_ns, identity_of(connection))
        with self._lock:
            if stamp != self._stamp:
                self._loaded = self._open(connection)
                # NB: a broken one in a read-only folder is not examined anew by every search.
                self._stamp = stamp
            loaded = self._loaded
        if loaded is None:
            return None
        revision, log_start = state_of(connection)
        if loaded.header.birth > revision:
            raise StaleSnapshotError
        return loaded if loaded.header.birth >= log_start else None

    def _open(self, connection: sqlite3.Connection) -> _Loaded | None:
        header = self.header()
        if header is None:
            return None
        uuid = connection.execute("SELECT value FROM meta WHERE name = 'uuid'").fetchone()[0]
        # NB: faiss trusts the file it maps; a damaged one could crash the process.
        if header.uuid != uuid or self._sum(header.generation) != header.sum:
            self.discard()
            return None
        faiss = import_faiss()
        path, numbers_path = self.paths(header.generation)
        graph = faiss.read_index(os.fspath(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
        graph.hnsw.efSearch = header.expansion
        numbers = np.fromfile(numbers_path, dtype="<i8")
        layout = Layout("tail", {"vectors": ("<f4", self.dimension)})
        tail = RowCache(
            self.folder.parent, layout, lambda vectors: {"vectors": vectors},
            after=header.last_number,
        )  # fmt: skip
        return _Loaded(header, graph, numbers, tail)

    def paths(self, generation: str) -> tuple[Path, Path]:
        """Return where the graph and the numbers of its nodes are."""
        return (
            self.folder / f"hnsw-{generation}-graph.bin",
            self.folder / f"hnsw-{generation}-numbers.bin",
        )

    def _sum(self, generation: str) -> int:
        """Return the sum over both files; -1 when one cannot be read."""
        sums = [_file_sum(path) for path in self.paths(generation)]
        return -1 if -1 in sums else sum(sums) % 2**64


class _Loaded:
    """A mapped graph, the rows that came later, and those that were deleted."""

    def __init__(self, header: GraphHeader, graph: Any, numbers: Numbers, tail: RowCache) -> None:
        self.header = header
        self.tail = tail
        self._graph = graph
        self._numbers = numbers
        self._dead: tuple[int, Numbers] = (-1, np.empty(0, dtype=np.int64))

    def dead(self, connection: sqlite3.Connection) -> Numbers:
        """Return the numbers in the graph that were deleted since it was built."""
        revision = state_of(connection).revision
        known = self._dead
        if known[0] != revision:
            rows = connection.execute(
                "SELECT number FROM removed WHERE revision > ? AND number <= ? ORDER BY number",
                (self.header.birth, self.header.last_number),
            )
            known = (revision, np.fromiter((row[0] for row in rows), dtype=np.int64))
            self._dead = known
        return known[1]

    def nearest(self, query: Floats, k: int, hidden: Numbers) -> Found:
        """Return the k nearest that are not hidden, asking for more as long as it needs."""
        wanted = k
        while True:
            wanted = min(wanted, self.header.count)
            places, scores = self._ask(query, wanted)
            numbers = self._numbers[places]
            if len(hidden):
                keep = ~np.isin(numbers, hidden)
                numbers, scores = numbers[keep], scores[keep]
            if len(numbers) >= k or wanted >= self.header.count:
                return numbers[:k], scores[:k]
            wanted = 2 * wanted + 16

    def _ask(self, query: Floats, wanted: int) -> Found:
        """Return the places in the graph, and the scores, of the nearest."""
        scores, places = np.empty(wanted, dtype=np.float32), np.empty(wanted, dtype=np.int64)
        if wanted == 0:
            return places, scores
        pointer, query = import_faiss().swig_ptr, np.ascontiguousarray(query, dtype=np.float32)
        # NB: search() would check and allocate again what is known and there.
        self._graph.search_c(
            1, pointer(query), wanted, pointer(scores), pointer(places), self._parameters(wanted)
        )
        if places[-1] >= 0:
            return places, scores
        return places[places >= 0], scores[places >= 0]

    def _parameters(self, wanted: int) -> Any:
        """Return the width of the search as faiss takes it; None for that of the graph."""
        if wanted <= self.header.expansion:
            return None
        return import_faiss().SearchParametersHNSW(efSearch=wanted)


def _stored(graph: Any) -> Floats:
    """Return the vectors that a graph holds, without a copy."""
    faiss = import_faiss()
    if graph.ntotal == 0:
        return np.empty((0, graph.d), dtype=np.float32)
    values = faiss.rev_swig_ptr(
        faiss.downcast_index(graph.storage).get_xb(), graph.ntotal * graph.d
    )
    rows: Floats = values.reshape(graph.ntotal, graph.d)
    return rows


def _file_sum(path: Path) -> int:
    """Return the sum of a file's 64-bit words, modulo 2**64; -1 when it cannot be read."""
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
    """Return the module faiss, or raise what to install."""
    try:
        with warnings.catch_warnings():
            # NB: its generated wrappers warn about themselves on newer Pythons.
            warnings.simplefilter("ignore", DeprecationWarning)
            import faiss
    except ImportError:
        raise IndexStoreError(
            "The graph needs the package faiss-cpu: pip install 'pyimgret[index]'."
        ) from None
    return faiss
