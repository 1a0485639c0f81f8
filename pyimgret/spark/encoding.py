"""Bulk encoding of images or vectors with a saved model, to Parquet."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pyimgret.encoder import Encoder
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
