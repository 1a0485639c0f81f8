"""Bulk encoding of images or vectors with a saved model, to Parquet, and import of the result."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pyimgret.encoder import Encoder
from pyimgret.index import Index
from pyimgret.index.ingest.parquet import pages
from pyimgret.index.maintenance.exchange import import_folder
from pyimgret.index.milvus import MilvusIndex
from pyimgret.spark.inputs import Arrays, Images, to_url
from pyimgret.spark.submission import Progress, SparkOptions, submit


@dataclass(frozen=True)
class EncodingReport:
    """The result of `encode`.

    Attributes
    ----------
    images, embeddings, broken : int
        Rows read, embeddings written, rows that could not be encoded.
    hidden_skipped : int
        Number of hidden files and folders that were skipped.
    seconds : float
        Duration from the first task to the last file, without start-up.
    """

    images: int
    embeddings: int
    broken: int
    hidden_skipped: int
    seconds: float


def encode(
    model: str | os.PathLike[str],
    data: Arrays | Images,
    output: str | os.PathLike[str],
    *,
    options: SparkOptions,
    batch_size: int = 256,
    part_rows: int | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> EncodingReport:
    """Encode images or vectors and write the embeddings, of length 1, as Parquet.

    ``output`` gets a folder ``broken=false`` with columns ``key`` and ``vector``, a folder
    ``broken=true`` with ``key`` and ``reason`` if there were failures, and
    ``_pyimgret.json``. The key of an image is its path relative to the folder, that of
    a row its number.

    Parameters
    ----------
    model : path
        A model zip on this machine; it is sent to each executor once.
    data : Arrays or Images
    output : path or URL
        A new folder that every machine can write to.
    options : SparkOptions
    batch_size : int
        Number of rows encoded together.
    part_rows : int, optional
        Number of rows per task and output file.
    strict : bool
        Fail at the first image that cannot be read.
    progress : callable, optional
        Called with the events of the job: dictionaries with the key "event".

    Raises
    ------
    JavaCallError
        If the job failed, or the output exists.
    """
    encoder = Encoder.load(model)
    preprocessor = encoder.preprocessor
    job: dict[str, Any] = {
        "input": data.to_dict(None if preprocessor is None else preprocessor.to_dict()),
        "model": str(Path(model).absolute()),
        "model_checksum": encoder.model_checksum,
        "output": to_url(output),
        "batch_size": batch_size,
        "strict": strict,
    }
    if part_rows is not None:
        job["part_rows"] = part_rows
    end = submit("SparkEncoder", job, options, progress=progress)
    return EncodingReport(**{field.name: end[field.name] for field in fields(EncodingReport)})


def import_embeddings(
    index: Index | MilvusIndex,
    folder: str | os.PathLike[str],
    *,
    prefix: str = "",
    replace: bool = False,
    batch_size: int = 8192,
) -> int:
    """Add the embeddings that `encode` wrote to an index; return their number.

    Parameters
    ----------
    index : Index or MilvusIndex
    folder : path
        The output of `encode`.
    prefix : str
        Prepended to the keys.
    replace : bool
        Replace images that have the same keys.
    batch_size : int
        Number of vectors in memory at a time.

    Raises
    ------
    ModelMismatchError
        If the embeddings were made by another model than the index's.
    IndexStoreError
        If embeddings are missing from the folder, or a key exists
        already (unless ``replace``); an `Index` is then unchanged.
    """
    if isinstance(index, Index):
        return import_folder(
            index.context, folder, prefix=prefix, replace=replace, batch_size=batch_size
        )
    count, of_model = 0, index.model_checksum
    for keys, vectors, metadata in pages(folder, of_model, prefix=prefix, batch_size=batch_size):
        index.add(vectors, keys=keys, metadata=metadata, replace=replace)
        count += len(keys)
    return count
