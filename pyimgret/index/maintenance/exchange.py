"""Export to and import from files, a page at a time."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from pyimgret.exceptions import InvalidArgumentError
from pyimgret.files.atomic import write_atomically
from pyimgret.index.context import IndexContext
from pyimgret.index.ingest import parquet
from pyimgret.index.ingest.adding import checked_keys
from pyimgret.index.maintenance.formats import (
    Page,
    Row,
    read_numpy,
    read_parquet,
    write_numpy,
    write_parquet,
)
from pyimgret.index.maintenance.salvage import Salvage
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Floats
from pyimgret.index.storage.errors import not_written
from pyimgret.index.storage.items import PAGE
from pyimgret.index.storage.records import Record, Source
from pyimgret.preprocessing import unit_vectors

Writer = Callable[[IndexContext, Iterable[Page], Path, Path], int]
Reader = Callable[[IndexContext, Path], Iterator[Page]]

_FORMATS: dict[str, tuple[Writer, Reader]] = {
    ".parquet": (write_parquet, read_parquet),
    ".npy": (write_numpy, read_numpy),
}


def export_index(context: IndexContext, target: str | os.PathLike[str]) -> int:
    """Export all images to ``.parquet``, or ``.npy`` with ``.jsonl``; return their number.

    Parquet holds keys, ids, metadata (JSON), sources and vectors; ``.npy`` the vectors,
    ``.jsonl`` keys, ids and metadata in the same order. Thumbnails are not exported.
    """
    with context.database.read() as connection:
        return _write(context, target, _pages(connection))


def salvage_index(context: IndexContext, target: str | os.PathLike[str]) -> tuple[int, int]:
    """Export the readable part of a damaged index, as `export` does.

    Returns
    -------
    saved, lost : int
        Numbers of images written, and of those that could not be read (or were deleted
        before, where that is no longer known).
    """
    with context.database.exclusive() as connection:
        source = Salvage(connection, context.dimension)
        return _write(context, target, source.pages()), source.lost


def _write(context: IndexContext, target: str | os.PathLike[str], pages: Iterator[Page]) -> int:
    """Write pages to a file atomically and return the number of rows."""
    path, count = Path(target), 0
    write_format = _format_of(path)[0]

    def write(temporary: Path) -> None:
        nonlocal count
        count = write_format(context, pages, temporary, path)

    try:
        write_atomically(path, write)
    except OSError as error:
        raise not_written(str(path), error) from error
    return count


def _format_of(path: Path) -> tuple[Writer, Reader]:
    if path.suffix not in _FORMATS:
        raise InvalidArgumentError(f"{path.name}: the name must end in .parquet or .npy.")
    return _FORMATS[path.suffix]


def _pages(connection: sqlite3.Connection) -> Iterator[Page]:
    """Yield the rows and vectors of an index."""
    for rows in items.paged(connection, _ROWS, after=0, size=PAGE):
        vectors = [items.checked_vector(row[8], row[9], row[1]) for row in rows]
        yield [Row(*row[1:8]) for row in rows], np.stack(vectors)


_ROWS = """
SELECT number, key, id, metadata, path, size, mtime_ns, checksum, vector, crc
FROM items JOIN vectors USING (number) WHERE number > ? ORDER BY number LIMIT ?
"""


def import_file(
    context: IndexContext, source: str | os.PathLike[str], *, replace: bool = False
) -> int:
    """Add the images of a file that `export` wrote, or a similar one; return their number.

    A Parquet file needs the columns ``key`` and ``vector``. A ``.npy`` file without
    ``.jsonl`` beside it uses row numbers as keys. A folder must be an output of
    ``pyimgret spark embed``.

    Raises
    ------
    ModelMismatchError
        If the vectors were made by another model.
    DimensionMismatchError
        If the vectors have another dimension.
    IndexStoreError
        If a key exists already (unless ``replace``), or the file is damaged.
    """
    path = Path(source)
    if path.is_dir():
        return import_folder(context, path, replace=replace)
    return _import(context, _format_of(path)[1](context, path), replace=replace)


def import_folder(
    context: IndexContext,
    folder: str | os.PathLike[str],
    *,
    prefix: str = "",
    replace: bool = False,
    batch_size: int = PAGE,
) -> int:
    """Add embeddings written by Spark; see `pyimgret.spark.import_embeddings`."""
    pages = (
        ([Row(key, metadata=json.dumps(one)) for key, one in zip(keys, metadata, strict=True)], v)
        for keys, v, metadata in parquet.pages(
            folder, context.model_checksum, prefix=prefix, batch_size=batch_size
        )
    )
    return _import(context, pages, replace=replace)


def _import(context: IndexContext, pages: Iterable[Page], *, replace: bool) -> int:
    """Add pages in one transaction; return the number of rows."""
    count = 0
    with context.database.write() as connection:
        for rows, vectors in pages:
            checked_keys([row.key for row in rows], len(rows))
            unit = unit_vectors(vectors, context.dimension)
            records = [_record(row, vector) for row, vector in zip(rows, unit, strict=True)]
            count += len(items.store(connection, records, replace=replace))
    return count


def _record(row: Row, vector: Floats) -> Record:
    source = None
    if row.path is not None and row.size is not None and row.mtime_ns is not None:
        source = Source(row.path, row.size, row.mtime_ns, row.checksum or "")
    return Record(row.key, vector, items.to_json(json.loads(row.metadata)), source, id=row.id)
