"""Reading embeddings from the Parquet files that Spark workers write, page by page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import IndexStoreError, ModelMismatchError
from pyimgret.index.storage.errors import import_extra

#: File beside the embeddings with their number and their model.
SUMMARY = "_pyimgret.json"


def read_embeddings(
    folder: str | os.PathLike[str], *, batch_size: int = 8192
) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """Yield keys and vectors (n, d) that `encode` wrote, at most ``batch_size`` at a time."""
    for batch in _batches(Path(folder) / "broken=false", ["key", "vector"], batch_size):
        vectors = batch.column("vector")
        values = np.asarray(vectors.flatten(), dtype=np.float32)
        yield batch.column("key").to_pylist(), values.reshape(len(vectors), -1)


def dimension(folder: str | os.PathLike[str]) -> int:
    """Return the length of the vectors that `encode` wrote; none is an error."""
    for _, vectors in read_embeddings(folder, batch_size=1):
        return int(vectors.shape[1])
    raise IndexStoreError(f"{folder} contains no embeddings: no image could be encoded.")


def read_failures(folder: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """Yield key and reason of every image that could not be encoded."""
    for batch in _batches(Path(folder) / "broken=true", ["key", "reason"], 8192):
        yield from zip(
            batch.column("key").to_pylist(), batch.column("reason").to_pylist(), strict=True
        )


def _batches(folder: Path, columns: list[str], batch_size: int) -> Iterator[Any]:
    for file in _files(folder):
        yield from file.iter_batches(batch_size, columns=columns)


def _files(folder: Path) -> Iterator[Any]:
    parquet = import_parquet()
    for path in sorted(folder.glob("*.parquet")):
        with parquet.ParquetFile(path) as file:
            yield file


def import_parquet() -> Any:
    """Import ``pyarrow.parquet``."""
    return import_extra("pyarrow.parquet", package="pyarrow", extra="index", what="Parquet")


def summary(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the summary that `encode` wrote beside its output when it was complete."""
    path = Path(folder) / SUMMARY
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise IndexStoreError(
            f"{folder} is not an output of 'pyimgret spark embed': {SUMMARY} cannot be read "
            f"({error}). It is written last, so the encoding may not have finished."
        ) from error
    return values


def pages(
    folder: str | os.PathLike[str], model_checksum: str, *, prefix: str = "", batch_size: int = 8192
) -> Iterator[tuple[list[str], NDArray[np.float32], list[dict[str, Any]]]]:
    """Yield keys, vectors and metadata that Spark wrote, for an index to add.

    ``model_checksum`` is the index's; the rest is as in `pyimgret.spark.import_embeddings`.
    If embeddings are missing from the folder, nothing is yielded.
    """
    facts = summary(folder)
    if model_checksum and facts.get("model_checksum") not in (None, model_checksum):
        raise ModelMismatchError(
            f"{folder} contains embeddings of model {facts['model_checksum'][:12]}, the index is "
            f"of model {model_checksum[:12]}; create a new index with the model that encoded them."
        )
    count = sum(file.metadata.num_rows for file in _files(Path(folder) / "broken=false"))
    if count != facts["embeddings"]:
        raise IndexStoreError(
            f"{folder} contains {count} embeddings, but {SUMMARY} says {facts['embeddings']}: "
            "files are missing. Nothing was imported."
        )
    for keys, vectors in read_embeddings(folder, batch_size=batch_size):
        # The metadata that a sync of the same folder stores.
        are_images = facts.get("kind") in ("images", "pictures")  # "pictures" in 0.1.0
        metadata = [{"folder": key.rpartition("/")[0]} if are_images else {} for key in keys]
        yield [prefix + key for key in keys], vectors, metadata
