"""`Index.check` and `Index.compact`: integrity checks and disk space."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pyimgret.exceptions import IndexStoreError, PyimgretError
from pyimgret.index.context import IndexContext
from pyimgret.index.search.cache_file import CacheFile, Layout
from pyimgret.index.storage import items, lifecycle
from pyimgret.index.storage.database import FILE

_MAX_PROBLEMS = 100


@dataclass(slots=True)
class CheckReport:
    """The result of `Index.check`.

    Attributes
    ----------
    problems : list of str
        Damage in the stored data; at most 100 entries.
    leftovers : list of str
        Caches that are damaged or orphaned. They are harmless, and are deleted by
        ``repair``.
    """

    problems: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems and not self.leftovers


def check(context: IndexContext, *, load_model: bool = True, repair: bool = False) -> CheckReport:
    """Examine an index; see `Index.check`."""
    report = CheckReport()
    for problem in _problems(context, load_model):
        report.problems.append(problem)
        if len(report.problems) >= _MAX_PROBLEMS:
            break
    for path in _leftovers(context):
        report.leftovers.append(path.relative_to(context.directory).as_posix())
        if repair:
            with contextlib.suppress(OSError):
                path.unlink()
    return report


def compact(context: IndexContext) -> tuple[int, int]:
    """Reclaim the space of deleted images; see `Index.compact`."""
    before = _size(context)
    with context.database.write() as connection:
        connection.execute("DELETE FROM removed")
        connection.execute(
            "DELETE FROM roots WHERE number NOT IN (SELECT root FROM items WHERE root NOT NULL)"
        )
        connection.execute("UPDATE state SET log_start = revision")
    with context.database.exclusive() as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    context.searcher.forget(files=True)
    return before, _size(context)


def _size(context: IndexContext) -> int:
    """Return the size of the database in bytes, including its write-ahead log."""
    with context.database.exclusive() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        return int(pages * connection.execute("PRAGMA page_size").fetchone()[0])


def _problems(context: IndexContext, load_model: bool) -> Iterator[str]:
    try:
        with context.database.exclusive() as connection:
            yield from _structure(connection)
            yield from _rows(connection, context.dimension)
    except IndexStoreError as error:
        yield str(error)
    if load_model and context.model_checksum:
        try:
            lifecycle.load_encoder(context.directory, context.model_checksum)
        except (PyimgretError, OSError) as error:
            yield f"model: {error}"


def _structure(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield the problems that SQLite itself finds."""
    for (line,) in connection.execute(f"PRAGMA integrity_check({_MAX_PROBLEMS})").fetchall():
        if line != "ok":
            yield f"database: {line}"
    for row in connection.execute("PRAGMA foreign_key_check").fetchall():
        yield f"database: row {row[1]} of {row[0]} refers to a missing row of {row[2]}"
    for (key,) in connection.execute(_WITHOUT_VECTOR).fetchall():
        yield f"{key!r} has no vector"
    models = connection.execute("SELECT count(DISTINCT model) FROM items").fetchone()[0]
    if models > 1:
        yield f"the index holds vectors of {models} models"


def _rows(connection: sqlite3.Connection, dimension: int) -> Iterator[str]:
    """Yield the images whose vector or metadata is damaged."""
    for key, blob, crc, metadata in connection.execute(_ROWS):
        vector = np.frombuffer(blob, dtype="<f4") if len(blob) % 4 == 0 else np.empty(0)
        if items.crc(blob) != crc or len(vector) != dimension:
            yield f"the vector of {key!r} is damaged"
        elif abs(float(np.linalg.norm(vector)) - 1.0) > 1e-4:
            yield f"the vector of {key!r} has length {float(np.linalg.norm(vector)):g}, not 1"
        if not _is_object(metadata):
            yield f"the metadata of {key!r} is damaged"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _leftovers(context: IndexContext) -> Iterator[Path]:
    """Yield orphaned files beside the database."""
    yield from sorted(context.directory.glob(f".{FILE}*"))
    folder = context.directory / "cache"
    used = {"lock"}
    for header in sorted(folder.glob("*.json")):
        files = _files_of(context, folder, header.stem)
        if files is None:
            yield header
        else:
            used |= {header.name, *files}
    for path in sorted(folder.glob("*")):
        if path.name not in used and path.suffix != ".json":
            yield path


def _files_of(context: IndexContext, folder: Path, name: str) -> set[str] | None:
    """Return the data files of a cache; None if it is damaged or orphaned."""
    searcher = context.searcher
    if name == "hnsw":
        header = searcher.graph.header()
        damaged = header is None or searcher.graph.is_damaged() or header.uuid != context.uuid
        return (
            None if damaged or header is None else _names(searcher.graph.paths(header.generation))
        )
    with context.database.read() as connection:
        columns = searcher.columns(connection).get(name)
    if columns is None:
        return None
    file = CacheFile(folder, Layout(name, columns))
    if file.is_damaged() or file.uuid() != context.uuid:
        return None
    return _names(file.files())


def _names(paths: object) -> set[str]:
    return {path.name for path in paths}  # type: ignore[attr-defined]


_WITHOUT_VECTOR = """
SELECT key FROM items WHERE number NOT IN (SELECT number FROM vectors) LIMIT 100
"""

_ROWS = "SELECT key, vector, crc, metadata FROM items JOIN vectors USING (number)"
