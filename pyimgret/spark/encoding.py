"""Bulk encoding: a saved model over any number of pictures or vectors, into Parquet."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pyimgret.encoder import Encoder
from pyimgret.spark.inputs import Arrays, Pictures, to_url
from pyimgret.spark.submission import Progress, SparkOptions, submit


@dataclass(frozen=True)
class EncodingReport:
    """What an encoding did.

    Attributes
    ----------
    images, embeddings, broken : int
        Rows read, embeddings written, rows that could not be encoded.
    hidden_skipped : int
        Hidden files and folders that were left out.
    seconds : float
        From the first task to the last file, without start-up.
    """

    images: int
    embeddings: int
    broken: int
    hidden_skipped: int
    seconds: float


def encode(
    model: str | os.PathLike[str],
    data: Arrays | Pictures,
    output: str | os.PathLike[str],
    *,
    options: SparkOptions,
    batch_size: int = 256,
    part_rows: int | None = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> EncodingReport:
    """Encode everything and write the embeddings, of length 1, as Parquet.

    ``output`` gets a folder ``broken=false`` with columns ``key`` and ``vector``, a folder
    ``broken=true`` with ``key`` and ``reason`` when there was something broken, and
    ``_pyimgret.json``. A picture's key is its path below the folder, a row's its number.

    Parameters
    ----------
    model : path
        A model zip on this machine; it travels to each executor once.
    data : Arrays or Pictures
    output : path or URL
        A folder that does not exist yet, one that every machine can write.
    options : SparkOptions
    batch_size : int
        Rows that the network sees at a time.
    part_rows : int, optional
        Rows of a task, and of a file.
    strict : bool
        Fail at the first picture that is broken.
    progress : callable, optional
        Called with what the job tells: dictionaries with "event".

    Raises
    ------
    JavaCallError
        When the job failed, or the output exists.
    """
    encoder = Encoder.load(model)
    preprocessor = encoder.preprocessor
    job: dict[str, Any] = {
        "input": data.to_dict(None if preprocessor is None else preprocessor.to_dict()),
        "model": str(Path(model).absolute()), "model_checksum": encoder.model_checksum,
        "output": to_url(output), "batch_size": batch_size, "strict": strict,
    }  # fmt: skip
    if part_rows is not None:
        job["part_rows"] = part_rows
    end = submit("SparkEncoder", job, options, progress=progress)
    return EncodingReport(**{field.name: end[field.name] for field in fields(EncodingReport)})
