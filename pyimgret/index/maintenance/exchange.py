"""Export to and import from Parquet and NumPy files, a page at a time."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pyimgret.exceptions import (
    DimensionMismatchError,
    IndexStoreError,
    InvalidArgumentError,
    ModelMismatchError,
)
from pyimgret.files.atomic import write_atomically
from pyimgret.index.context import IndexContext
from pyimgret.index.ingest import parquet
from pyimgret.index.ingest.adding import Adder, checked_keys
from pyimgret.index.maintenance.salvage import Salvage
from pyimgret.index.storage import items
from pyimgret.index.storage.arrays import Floats
from pyimgret.index.storage.disk_errors import not_written
from pyimgret.index.storage.items import Record, Source
from pyimgret.preprocessing import unit_vectors

_PAGE = 8192


class Row(NamedTuple):
    """One exported or imported image; ``metadata`` is JSON text."""

    key: str
    id: str | None = None
    metadata: str = "{}"
    path: bytes | None = None
    size: int | None = None
    mtime_ns: int | None = None
    checksum: str | None = None


Pages = Callable[[], Iterator[tuple[list[Row], Floats]]]


def export(context: IndexContext, target: str | os.PathLike[str]) -> int:
    """Write an index to a file; see `Index.export`."""
    with context.database.read() as connection:
        count = int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])
        return _write(context, target, lambda: _pages(connection), lambda: count)


def salvage(context: IndexContext, target: str | os.PathLike[str]) -> tuple[int, int]:
    """Export the readable part of a damaged index; see `Index.salvage`."""
    with context.database.exclusive() as connection:
        source = Salvage(connection, context.dimension)

        def pages() -> Iterator[tuple[list[Row], Floats]]:
            return (([Row(*fields) for fields in rows], v) for rows, v in source.pages())

        saved = _write(context, target, pages, lambda: sum(len(rows) for rows, _ in pages()))
        return saved, source.lost


def _write(
    context: IndexContext, target: str | os.PathLike[str], pages: Pages, count: Callable[[], int]
) -> int:
    """Write pages to a file atomically."""
    path = Path(target)
    writers = {".parquet": _write_parquet, ".npy": _write_numpy}
    if path.suffix not in writers:
        raise InvalidArgumentError(f"{path.name}: the name must end in .parquet or .npy.")
    written: list[int] = []

    def write(temporary: Path) -> None:
        written.append(writers[path.suffix](context, pages, count, temporary, path))

    try:
        write_atomically(path, write)
    except OSError as error:
        raise not_written(str(path), error) from error
    return written[0]


def import_from(
    context: IndexContext, source: str | os.PathLike[str], *, replace: bool = False
) -> int:
    """Add the contents of a file; see `Index.import_from`."""
    path = Path(source)
    if path.is_dir():
        return import_folder(context, path, replace=replace)
    readers = {".parquet": _read_parquet, ".npy": _read_numpy}
    if path.suffix not in readers:
        raise InvalidArgumentError(f"{path.name}: the name must end in .parquet or .npy.")
    return import_pages(context, readers[path.suffix](context, path), replace=replace)


def import_folder(
    context: IndexContext,
    folder: str | os.PathLike[str],
    *,
    prefix: str = "",
    replace: bool = False,
    batch_size: int = _PAGE,
) -> int:
    """Add embeddings written by Spark; see `pyimgret.spark.import_embeddings`."""
    pages = (
        ([Row(key, metadata=json.dumps(one)) for key, one in zip(keys, metadata, strict=True)], v)
        for keys, v, metadata in parquet.pages(
            folder, context.model_checksum, prefix=prefix, batch_size=batch_size
        )
    )
    return import_pages(context, pages, replace=replace)


def import_pages(
    context: IndexContext, pages: Iterable[tuple[list[Row], Floats]], *, replace: bool = False
) -> int:
    """Add pages of rows and vectors in one transaction; return the number of rows."""
    adder, count = Adder(context, replace=replace), 0
    with context.database.write() as connection:
        for rows, vectors in pages:
            checked_keys([row.key for row in rows], len(rows))
            unit = unit_vectors(vectors, context.dimension)
            records = [_record(row, vector) for row, vector in zip(rows, unit, strict=True)]
            adder.insert(connection, records)
            count += len(rows)
    return count


def _record(row: Row, vector: Floats) -> Record:
    source = None
    if row.path is not None and row.size is not None and row.mtime_ns is not None:
        source = Source(row.path, row.size, row.mtime_ns, row.checksum or "")
    text = items.to_json(json.loads(row.metadata))
    return Record(items.check_key(row.key), vector, text, source, id=row.id)


def _pages(connection: sqlite3.Connection) -> Iterator[tuple[list[Row], Floats]]:
    """Yield the rows and vectors of an index, a page at a time."""
    for row_ids, vectors in items.pages(connection, after=0, size=_PAGE):
        rows = connection.execute(
            "SELECT key, id, metadata, path, size, mtime_ns, checksum FROM items "
            "WHERE number BETWEEN ? AND ? ORDER BY number",
            (row_ids[0], row_ids[-1]),
        ).fetchall()
        yield [Row(*row) for row in rows], vectors


def _facts(context: IndexContext) -> dict[str, str]:
    return {"dimension": str(context.dimension), "model_checksum": context.model_checksum}


def _check_facts(context: IndexContext, facts: dict[str, str], path: Path) -> None:
    """Reject vectors of another model."""
    checksum = facts.get("model_checksum", context.model_checksum)
    if checksum != context.model_checksum:
        raise ModelMismatchError(
            f"{path} contains vectors of model {checksum[:12] or '(none)'}, the index is of "
            f"{context.model_checksum[:12] or '(none)'}; they cannot be compared."
        )


def _write_parquet(
    context: IndexContext, pages: Pages, _count: Callable[[], int], temporary: Path, _: Path
) -> int:
    import_pyarrow()
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [("key", pa.string()), ("id", pa.string()), ("metadata", pa.string()),
         ("path", pa.binary()), ("size", pa.int64()), ("mtime_ns", pa.int64()),
         ("checksum", pa.string()), ("vector", pa.list_(pa.float32(), context.dimension))],
        metadata={f"pyimgret.{name}": value for name, value in _facts(context).items()},
    )  # fmt: skip
    count = 0
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for rows, vectors in pages():
            columns = [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), schema)]  # noqa: B905
            flat = pa.array(vectors.ravel())
            columns.append(pa.FixedSizeListArray.from_arrays(flat, context.dimension))
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(rows)
    return count


def _read_parquet(context: IndexContext, path: Path) -> Iterator[tuple[list[Row], Floats]]:
    pa = import_pyarrow()
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            stored = file.schema_arrow.metadata or {}
            facts = {n.decode().removeprefix("pyimgret."): v.decode() for n, v in stored.items()}
            _check_facts(context, facts, path)
            for batch in file.iter_batches(_PAGE):
                yield _rows_of(batch), _vectors_of(batch, context.dimension)
    except pa.ArrowInvalid as error:
        raise IndexStoreError(f"{path} is not a readable Parquet file: {error}") from error


def _rows_of(batch: Any) -> list[Row]:
    """Return the rows of a batch; only ``key`` and ``vector`` are required."""
    names, count = set(batch.schema.names), batch.num_rows
    if not {"key", "vector"} <= names:
        raise IndexStoreError("The Parquet file needs the columns 'key' and 'vector'.")
    default = {"metadata": ["{}"] * count}
    columns = [
        batch.column(name).to_pylist() if name in names else default.get(name, [None] * count)
        for name in Row._fields
    ]
    return [
        Row(*values)._replace(metadata=values[2] or "{}") for values in zip(*columns, strict=True)
    ]


def _vectors_of(batch: Any, dimension: int) -> Floats:
    flat = batch.column("vector").flatten().to_numpy(zero_copy_only=False)
    if len(flat) != batch.num_rows * dimension:
        raise DimensionMismatchError(
            f"The vectors have dimension {len(flat) / max(batch.num_rows, 1):g}; the index has "
            f"dimension {dimension}."
        )
    vectors: Floats = np.asarray(flat, dtype=np.float32).reshape(-1, dimension)
    return vectors


def _write_numpy(
    context: IndexContext, pages: Pages, count: Callable[[], int], temporary: Path, path: Path
) -> int:
    """Write the vectors, and a line of JSON for each in a file beside them."""
    total = count()
    header = {"descr": "<f4", "fortran_order": False, "shape": (total, context.dimension)}
    lines = temporary.with_name(f"{temporary.name}.jsonl")
    try:
        with temporary.open("wb") as vectors_file, lines.open("w", encoding="utf-8") as rows_file:
            np.lib.format.write_array_header_1_0(vectors_file, header)
            rows_file.write(json.dumps({"pyimgret": _facts(context)}) + "\n")
            for rows, vectors in pages():
                vectors_file.write(vectors.tobytes())
                rows_file.writelines(_line(row) for row in rows)
        lines.replace(path.with_suffix(".jsonl"))
    finally:
        lines.unlink(missing_ok=True)
    return total


def _line(row: Row) -> str:
    document = {"key": row.key, "id": row.id, "metadata": json.loads(row.metadata)}
    return json.dumps(document, ensure_ascii=False) + "\n"


def _read_numpy(context: IndexContext, path: Path) -> Iterator[tuple[list[Row], Floats]]:
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise IndexStoreError(f"{path} is not a readable .npy file: {error}") from error
    if vectors.ndim != 2 or vectors.shape[1] != context.dimension:
        raise DimensionMismatchError(
            f"{path} has shape {vectors.shape}; the index has vectors of dimension "
            f"{context.dimension}."
        )
    rows = _lines(context, path.with_suffix(".jsonl"), len(vectors))
    for start in range(0, len(vectors), _PAGE):
        block = np.asarray(vectors[start : start + _PAGE], dtype=np.float32)
        yield list(islice(rows, len(block))), block


def _lines(context: IndexContext, path: Path, count: int) -> Iterator[Row]:
    """Yield the rows of the JSON lines file; without one, row numbers as keys."""
    if not path.exists():
        yield from (Row(str(n)) for n in range(count))
        return
    documents = _documents(path)
    if facts := next(documents):
        _check_facts(context, facts, path)
    if (present := sum(1 for _ in _documents(path)) - 1) != count:
        raise IndexStoreError(
            f"{path} lists {present:,} images, but {path.with_suffix('.npy').name} contains "
            f"{count:,} vectors: the files do not belong together; export again."
        )
    for document in documents:
        text = json.dumps(document.get("metadata") or {}, ensure_ascii=False)
        yield Row(document["key"], document.get("id"), text)


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the header of a file (empty if it has none), then a document for each row."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                document = json.loads(line)
                facts = document.get("pyimgret")
                valid = facts is not None or isinstance(document["key"], str)
            except (ValueError, KeyError, AttributeError):
                valid = False
            if not valid:
                raise IndexStoreError(
                    f'{path}, line {number}: expected {{"key": …, "metadata": {{…}}}}, not '
                    f"{line.strip()!r:.80}."
                )
            if number == 1:
                yield facts or {}
            if facts is None:
                yield document


def import_pyarrow() -> Any:
    """Import pyarrow, or raise an error that says what to install."""
    try:
        import pyarrow
    except ImportError:
        raise IndexStoreError(
            "Parquet needs the package pyarrow: pip install 'pyimgret[index]'."
        ) from None
    return pyarrow
