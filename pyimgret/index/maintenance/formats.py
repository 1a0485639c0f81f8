"""The files that an index is exported to and imported from: Parquet and NumPy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pyimgret.exceptions import DimensionMismatchError, IndexStoreError, ModelMismatchError
from pyimgret.index.context import IndexContext
from pyimgret.index.ingest.parquet import import_parquet
from pyimgret.index.storage.arrays import Floats
from pyimgret.index.storage.items import PAGE


class Row(NamedTuple):
    """One exported or imported image; ``metadata`` is JSON text."""

    key: str
    id: str | None = None
    metadata: str = "{}"
    path: bytes | None = None
    size: int | None = None
    mtime_ns: int | None = None
    checksum: str | None = None


Page = tuple[list[Row], Floats]


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


def write_parquet(context: IndexContext, pages: Iterable[Page], temporary: Path, _: Path) -> int:
    """Write pages to a Parquet file and return the number of rows."""
    pq = import_parquet()
    import pyarrow as pa

    types = {"path": pa.binary(), "size": pa.int64(), "mtime_ns": pa.int64()}
    schema = pa.schema(
        [
            *((name, types.get(name, pa.string())) for name in Row._fields),
            ("vector", pa.list_(pa.float32(), context.dimension)),
        ],
        metadata={f"pyimgret.{name}": value for name, value in _facts(context).items()},
    )
    count = 0
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for rows, vectors in pages:
            columns = [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), schema)]  # noqa: B905
            flat = pa.array(vectors.ravel())
            columns.append(pa.FixedSizeListArray.from_arrays(flat, context.dimension))
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(rows)
    return count


def read_parquet(context: IndexContext, path: Path) -> Iterator[Page]:
    """Yield the pages of a Parquet file; only ``key`` and ``vector`` are required."""
    pq = import_parquet()
    import pyarrow as pa

    try:
        with pq.ParquetFile(path) as file:
            stored = file.schema_arrow.metadata or {}
            facts = {n.decode().removeprefix("pyimgret."): v.decode() for n, v in stored.items()}
            _check_facts(context, facts, path)
            for batch in file.iter_batches(PAGE):
                yield _rows_of(batch), _vectors_of(batch, context.dimension)
    except pa.ArrowInvalid as error:
        raise IndexStoreError(f"{path} is not a readable Parquet file: {error}") from error


def _rows_of(batch: Any) -> list[Row]:
    names, nothing = set(batch.schema.names), [None] * batch.num_rows
    if not {"key", "vector"} <= names:
        raise IndexStoreError("The Parquet file needs the columns 'key' and 'vector'.")
    columns = (batch.column(n).to_pylist() if n in names else nothing for n in Row._fields)
    rows = map(Row._make, zip(*columns, strict=True))
    return [row._replace(metadata=row.metadata or "{}") for row in rows]


def _vectors_of(batch: Any, dimension: int) -> Floats:
    flat = batch.column("vector").flatten().to_numpy(zero_copy_only=False)
    if len(flat) != batch.num_rows * dimension:
        raise DimensionMismatchError(
            f"The vectors have dimension {len(flat) / max(batch.num_rows, 1):g}; the index has "
            f"dimension {dimension}."
        )
    vectors: Floats = np.asarray(flat, dtype=np.float32).reshape(-1, dimension)
    return vectors


def write_numpy(context: IndexContext, pages: Iterable[Page], temporary: Path, path: Path) -> int:
    """Write the vectors, and a line of JSON for each in a file beside them."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (0, context.dimension)}
    lines = temporary.with_name(f"{temporary.name}.jsonl")
    count = 0
    try:
        with temporary.open("wb") as vectors_file, lines.open("w", encoding="utf-8") as rows_file:
            np.lib.format.write_array_header_1_0(vectors_file, header)
            rows_file.write(json.dumps({"pyimgret": _facts(context)}) + "\n")
            for rows, vectors in pages:
                vectors_file.write(vectors.tobytes())
                rows_file.writelines(_line(row) for row in rows)
                count += len(rows)
            # NB: NumPy pads the header, so that one with more rows has the same length.
            vectors_file.seek(0)
            header["shape"] = (count, context.dimension)
            np.lib.format.write_array_header_1_0(vectors_file, header)
        lines.replace(path.with_suffix(".jsonl"))
    finally:
        lines.unlink(missing_ok=True)
    return count


def _line(row: Row) -> str:
    document = {"key": row.key, "id": row.id, "metadata": json.loads(row.metadata)}
    return json.dumps(document, ensure_ascii=False) + "\n"


def read_numpy(context: IndexContext, path: Path) -> Iterator[Page]:
    """Yield the pages of a ``.npy`` file and the ``.jsonl`` file beside it."""
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
    for start in range(0, len(vectors), PAGE):
        block = np.asarray(vectors[start : start + PAGE], dtype=np.float32)
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
