"""Embeddings in a folder of Parquet files, as Spark's workers write them, page by page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import IndexStoreError, MissingExtraError, ModelMismatchError

#: Beside the embeddings: how many there are, and of which model.
SUMMARY = "_pyimgret.json"


def read_embeddings(
    folder: str | os.PathLike[str], *, batch_size: int = 8192
) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """Yield keys and vectors (n, d) of what `encode` wrote, at most so many at a time."""
    for batch in _batches(Path(folder) / "broken=false", ["key", "vector"], batch_size):
        vectors = batch.column("vector")
        values = np.asarray(vectors.flatten(), dtype=np.float32)
        yield batch.column("key").to_pylist(), values.reshape(len(vectors), -1)


def dimension(folder: str | os.PathLike[str]) -> int:
    """Return the length of the vectors that `encode` wrote.

    Raises
    ------
    IndexStoreError
        When it wrote none.
    """
    for _, vectors in read_embeddings(folder, batch_size=1):
        return int(vectors.shape[1])
    raise IndexStoreError(f"{folder} holds no embedding: no picture could be encoded.")


def read_broken(folder: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """Yield key and reason of everything that could not be encoded."""
    for batch in _batches(Path(folder) / "broken=true", ["key", "reason"], 8192):
        yield from zip(
            batch.column("key").to_pylist(), batch.column("reason").to_pylist(), strict=True
        )


def _batches(folder: Path, columns: list[str], batch_size: int) -> Iterator[Any]:
    for file in _files(folder):
        yield from file.iter_batches(batch_size, columns=columns)


def _files(folder: Path) -> Iterator[Any]:
    try:
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        raise MissingExtraError(
            "Parquet is read by pyarrow, which is not installed; install the extra: "
            "pip install 'pyimgret[spark]'."
        ) from None
    for path in sorted(folder.glob("*.parquet")):
        with ParquetFile(path) as file:
            yield file


def summary(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what `encode` says of its output.

    Raises
    ------
    IndexStoreError
        When the folder is not an output of `encode`, or not a whole one.
    """
    path = Path(folder) / SUMMARY
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise IndexStoreError(
            f"{folder} holds no embeddings of 'pyimgret spark embed': {SUMMARY} cannot be read "
            f"({error}). It is written last, so the encoding may not have come to its end."
        ) from error
    return values


def pages(
    folder: str | os.PathLike[str],
    model_checksum: str,
    *,
    prefix: str = "",
    batch_size: int = 8192,
) -> Iterator[tuple[list[str], NDArray[np.float32], list[dict[str, Any]]]]:
    """Yield keys, vectors and metadata of what Spark wrote, for an index to add.

    Parameters
    ----------
    folder : path
        What `pyimgret.spark.encode` wrote.
    model_checksum : str
        Of the index; empty where it has no model.
    prefix : str
        In front of the keys.
    batch_size : int
        Vectors that are in memory at a time.

    Raises
    ------
    ModelMismatchError
        When the embeddings are of another model than the index.
    IndexStoreError
        When the folder does not hold all embeddings that it says it does; nothing was yielded.
    """
    told = summary(folder)
    if model_checksum and told.get("model_checksum") not in (None, model_checksum):
        raise ModelMismatchError(
            f"{folder} holds embeddings of the model {told['model_checksum'][:12]}, the index is "
            f"of {model_checksum[:12]}; make a new index with the model that encoded."
        )
    count = sum(file.metadata.num_rows for file in _files(Path(folder) / "broken=false"))
    if count != told["embeddings"]:
        raise IndexStoreError(
            f"{folder} holds {count} embeddings, but {SUMMARY} says {told['embeddings']}: "
            "files are missing. Nothing was imported."
        )
    for keys, vectors in read_embeddings(folder, batch_size=batch_size):
        # As a sync of the same folder would have it.
        pictures = told.get("kind") == "pictures"
        metadata = [{"folder": key.rpartition("/")[0]} if pictures else {} for key in keys]
        yield [prefix + key for key in keys], vectors, metadata
