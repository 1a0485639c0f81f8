"""`Index.check`: the integrity of the database, the model and the caches."""

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


def check_index(
    context: IndexContext, *, load_model: bool = True, repair: bool = False
) -> CheckReport:
    """Examine the database, every vector, the model and the caches.

    Parameters
    ----------
    load_model : bool
        Load ``model.zip`` and verify that the index was built with it.
    repair : bool
        Delete damaged and orphaned caches; they are rebuilt when needed.
    """
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
    """Yield orphaned files beside the database, and damaged and orphaned caches."""
    yield from sorted(context.directory.glob(f".{FILE}*"))
    with context.database.read() as connection:
        caches = list(context.searcher.caches(connection))
    folder = context.searcher.graph.folder
    used = {folder / "lock"}
    for cache in caches:
        header = cache.header()
        if header is not None and header["uuid"] == context.uuid and cache.is_sound(header):
            used |= {cache.header_path, *cache.files()}
    yield from sorted(set(folder.glob("*")) - used)


_WITHOUT_VECTOR = """
SELECT key FROM items WHERE number NOT IN (SELECT number FROM vectors) LIMIT 100
"""

_ROWS = "SELECT key, vector, crc, metadata FROM items JOIN vectors USING (number)"
