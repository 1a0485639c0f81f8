"""Publishing: a self-contained read-only copy of an index.

The copy is made by SQLite's backup API from one consistent state and has no
write-ahead log, so it can be served from a read-only folder and opened by any program. A
manual copy of a live directory can miss changes in the log or be inconsistent.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

from pyimgret.exceptions import IndexStoreError
from pyimgret.files.atomic import write_atomically
from pyimgret.index.context import IndexContext
from pyimgret.index.maintenance.build import build_cache
from pyimgret.index.storage.database import FILE, translate_errors
from pyimgret.index.storage.errors import not_written
from pyimgret.index.storage.lifecycle import MODEL


def publish_copy(context: IndexContext, target: str | os.PathLike[str]) -> Path:
    """Write a self-contained read-only copy and return its folder.

    An older copy in the folder is replaced atomically; readers notice. Never copy a
    live index by hand: changes in its write-ahead log would be lost.

    Raises
    ------
    IndexStoreError
        If the folder contains a live index, or cannot be written.
    """
    directory = Path(target)
    _check_target(context, directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if (context.directory / MODEL).exists():
            _copy(context.directory / MODEL, directory / MODEL)
        write_atomically(directory / FILE, lambda path: _back_up(context, path))
    except OSError as error:
        raise not_written(f"the copy {directory}", error) from error
    _copy_caches(context, directory)
    return directory


def _check_target(context: IndexContext, directory: Path) -> None:
    """Refuse to overwrite a live index."""
    if directory.resolve() == context.directory.resolve():
        raise IndexStoreError(f"{directory} is the index itself; publish to another folder.")
    present = directory / FILE
    if present.exists() and _is_live(present):
        raise IndexStoreError(f"{directory} contains a live index; publish to another folder.")


def _is_live(path: Path) -> bool:
    with translate_errors(path), contextlib.closing(sqlite3.connect(path)) as connection:
        return not connection.execute("SELECT published FROM state").fetchone()[0]


def _back_up(context: IndexContext, temporary: Path) -> None:
    with (
        translate_errors(temporary),
        contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as copy,
    ):
        with context.database.exclusive() as connection:
            connection.backup(copy)
        copy.execute("UPDATE state SET published = 1")
        copy.execute("PRAGMA journal_mode = DELETE")


def _copy_caches(context: IndexContext, directory: Path) -> None:
    """Create the memory-mapped vectors of the copy, and copy the graph."""
    # NB: the copy is complete without them; a full disk only makes its first search slower.
    copy = IndexContext(directory)
    with contextlib.closing(copy.database):
        with contextlib.suppress(IndexStoreError):
            build_cache(copy, "exact")
        graph = context.searcher.graph
        if header := graph.header():
            with contextlib.suppress(OSError):
                for source in graph.paths(header["generation"]).values():
                    _copy(source, directory / "cache" / source.name)
                copy.searcher.graph.write_header(header)


def _copy(source: Path, target: Path) -> None:
    """Copy a file atomically."""
    target.parent.mkdir(exist_ok=True)
    write_atomically(target, lambda path: shutil.copyfile(source, path))
