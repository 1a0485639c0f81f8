"""Approximate search in a graph (HNSW), by usearch.

Malkov and Yashunin (2018), Efficient and robust approximate nearest neighbor search using
hierarchical navigable small world graphs. The graph is built on demand, lies memory-mapped
in ``cache/`` and goes on serving while the index changes: what was added since is scanned
exactly beside it, what was deleted is left out of its answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret.exceptions import IndexStoreError
from pyimgret.index import items
from pyimgret.index.cachefile import Layout
from pyimgret.index.exact import Found, merge
from pyimgret.index.keys import new_uuid
from pyimgret.index.scan import RowCache, StaleSnapshotError, search_parts
from pyimgret.index.types import Floats, Numbers

_HEADER = "hnsw.json"
_FORMAT = 1


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
        self.dimension = dimension
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._loaded: _Loaded | None = None

    def exists(self) -> bool:
        """Tell whether a graph was built."""
        return (self.folder / _HEADER).exists()

    def header(self) -> GraphHeader | None:
        """Return what is known about the graph; None when there is none or it is broken."""
        try:
            document = json.loads((self.folder / _HEADER).read_text())
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
        graph = _usearch().Index(
            ndim=self.dimension,
            metric="ip",
            dtype="f32",
            connectivity=connectivity,
            expansion_add=construction,
            expansion_search=expansion,
        )
        last = 0
        for numbers, vectors in items.pages(connection, after=0):
            graph.add(np.array(numbers, dtype=np.uint64), vectors)
            last = numbers[-1]
            progress(len(graph), total)
        return self._keep(connection, graph, last, connectivity, expansion)

    def find(
        self, connection: sqlite3.Connection, queries: Floats, k: int, *, unwanted: Numbers
    ) -> list[Found] | None:
        """Return numbers and scores of about the k nearest; None when the graph is of no use."""
        loaded = self._current(connection)
        if loaded is None:
            return None
        parts = [part.without(unwanted) for part in loaded.tail.snapshot(connection)]
        newer = search_parts(parts, queries, k)
        hidden = np.union1d(loaded.dead(connection), unwanted)
        older = [loaded.nearest(query, k, hidden) for query in queries]
        return [merge([old, new], k) for old, new in zip(older, newer, strict=True)]

    def discard(self) -> None:
        """Delete the graph."""
        for path in (self.folder / _HEADER, *self.folder.glob("hnsw-*.usearch")):
            with contextlib.suppress(OSError):
                path.unlink()

    def is_damaged(self) -> bool:
        """Tell whether the file is not what its header says."""
        header = self.header()
        if header is None:
            return self.exists()
        return _sum(self._path(header.generation)) != header.sum

    def _keep(
        self,
        connection: sqlite3.Connection,
        graph: Any,
        last: int,
        connectivity: int,
        expansion: int,
    ) -> GraphHeader:
        """Write the graph and its header, and delete older ones."""
        uuid = connection.execute("SELECT value FROM meta WHERE name = 'uuid'").fetchone()[0]
        birth = connection.execute("SELECT revision FROM state").fetchone()[0]
        generation = new_uuid()[:12]
        path = self._path(generation)
        self.folder.mkdir(exist_ok=True)
        try:
            graph.save(os.fspath(path))
            size = len(graph)
            header = GraphHeader(
                _FORMAT, uuid, generation, birth, size, last, connectivity, expansion, _sum(path)
            )
            temporary = self.folder / f"hnsw.{os.getpid()}.tmp"
            temporary.write_text(json.dumps(asdict(header)))
            temporary.replace(self.folder / _HEADER)
        except (OSError, RuntimeError) as error:
            path.unlink(missing_ok=True)
            raise IndexStoreError(f"The graph could not be written to {path}: {error}.") from error
        for old in self.folder.glob("hnsw-*.usearch"):
            if old != path:
                with contextlib.suppress(OSError):
                    old.unlink()
        return header

    def _current(self, connection: sqlite3.Connection) -> _Loaded | None:
        """Return the graph, opened anew when another one was built."""
        try:
            status = (self.folder / _HEADER).stat()
        except OSError:
            return None
        stamp = (status.st_ino, status.st_mtime_ns)
        with self._lock:
            if stamp != self._stamp:
                self._loaded = self._open(connection)
                self._stamp = stamp if self._loaded else None
            loaded = self._loaded
        if loaded is None:
            return None
        revision, log_start = connection.execute("SELECT revision, log_start FROM state").fetchone()
        if loaded.header.birth > revision:
            raise StaleSnapshotError
        return loaded if loaded.header.birth >= log_start else None

    def _open(self, connection: sqlite3.Connection) -> _Loaded | None:
        header = self.header()
        if header is None:
            return None
        uuid = connection.execute("SELECT value FROM meta WHERE name = 'uuid'").fetchone()[0]
        path = self._path(header.generation)
        # NB: usearch trusts the file it maps; a damaged one could crash the process.
        if header.uuid != uuid or _sum(path) != header.sum:
            self.discard()
            return None
        graph = _usearch().Index.restore(os.fspath(path), view=True)
        graph.expansion_search = header.expansion
        layout = Layout("tail", {"vectors": ("<f4", self.dimension)})
        tail = RowCache(
            self.folder.parent, layout, lambda vectors: {"vectors": vectors},
            after=header.last_number,
        )  # fmt: skip
        return _Loaded(header, graph, tail)

    def _path(self, generation: str) -> Path:
        return self.folder / f"hnsw-{generation}.usearch"


class _Loaded:
    """A mapped graph, the rows that came later, and those that were deleted."""

    def __init__(self, header: GraphHeader, graph: Any, tail: RowCache) -> None:
        self.header = header
        self.tail = tail
        self._graph = graph
        self._dead: tuple[int, Numbers] = (-1, np.empty(0, dtype=np.int64))

    def dead(self, connection: sqlite3.Connection) -> Numbers:
        """Return the numbers in the graph that were deleted since it was built."""
        revision = connection.execute("SELECT revision FROM state").fetchone()[0]
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
            if wanted == 0:
                return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
            found = self._graph.search(query, wanted)
            numbers = np.asarray(found.keys, dtype=np.int64)
            scores = np.asarray(1.0 - found.distances, dtype=np.float32)
            if len(hidden):
                keep = ~np.isin(numbers, hidden)
                numbers, scores = numbers[keep], scores[keep]
            if len(numbers) >= k or wanted >= self.header.count:
                return numbers[:k], scores[:k]
            wanted = 2 * wanted + 16


def _sum(path: Path) -> int:
    """Return the sum of the file's 64-bit words, modulo 2**64; -1 when it cannot be read."""
    try:
        data = np.memmap(path, dtype=np.uint8, mode="r")
    except (OSError, ValueError):
        return -1
    whole = len(data) // 8 * 8
    total = int(data[:whole].view("<u8").sum(dtype=np.uint64)) + int(data[whole:].sum())
    return total % 2**64


def _usearch() -> Any:
    try:
        import usearch.index
    except ImportError:
        raise IndexStoreError(
            "The graph needs the package usearch: pip install 'pyimgret[index]'."
        ) from None
    return usearch.index
