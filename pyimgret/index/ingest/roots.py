"""The folders that an index is synchronized with."""

from __future__ import annotations

import os

from pyimgret.exceptions import IndexStoreError
from pyimgret.index.storage.database import Database

_SAMPLE_SIZE = 1000

_MOVED_SHARE = 0.1
"""Share of the known files that must exist in the new place of a moved folder."""

_RELOCATE = "UPDATE items SET path = CAST(? || substr(path, ?) AS BLOB) WHERE root = ?"


def register(database: Database, folder: bytes, prefix: str, *, dry_run: bool) -> tuple[int, bytes]:
    """Return the id of a folder, and its path in the index.

    A folder that has moved replaces the old entry, except in a dry run.
    """
    with database.read() as connection:
        roots = connection.execute("SELECT number, path, prefix FROM roots").fetchall()
    for number, path, known_prefix in roots:
        if path == folder:
            if prefix != known_prefix:
                raise IndexStoreError(
                    f"{os.fsdecode(path)} is synchronized with the prefix {known_prefix!r}, not "
                    f"{prefix!r}; use that prefix, or delete its images first."
                )
            return int(number), folder
    candidates = (root for root in roots if root[2] == prefix)
    moved = next((root for root in candidates if _has_moved(database, folder, *root[:2])), None)
    if dry_run:
        return (moved[0], moved[1]) if moved else (-1, folder)
    with database.write() as connection:
        if moved is None:
            statement = "INSERT INTO roots (path, prefix) VALUES (?, ?)"
            number = connection.execute(statement, (folder, prefix)).lastrowid
        else:
            number, path, _ = moved
            connection.execute(_RELOCATE, (folder, len(path) + 1, number))
            connection.execute("UPDATE roots SET path = ? WHERE number = ?", (folder, number))
    return int(number), folder


def _has_moved(database: Database, folder: bytes, number: int, path: bytes) -> bool:
    """Return whether a folder is a known one that has moved.

    NB: while a disk is not mounted, an unrelated folder must not replace its folder and
    delete its images: some of the known files must exist in the new place.
    """
    if os.path.exists(path):  # noqa: PTH110  (pathlib knows no bytes)
        return False
    with database.read() as connection:
        known = connection.execute(
            "SELECT path, size FROM items WHERE root = ? ORDER BY number LIMIT ?",
            (number, _SAMPLE_SIZE),
        ).fetchall()
    found = sum(_size_of(folder + file[len(path) :]) == size for file, size in known)
    return bool(found >= _MOVED_SHARE * len(known))


def _size_of(path: bytes) -> int:
    """Return the size of a file; -1 if it does not exist."""
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return -1
