"""Embeddings that Spark made, into an index."""

from __future__ import annotations

import os

from pyimgret.index import Index
from pyimgret.index.ingest.parquet import pages
from pyimgret.index.maintenance.exchange import import_folder
from pyimgret.index.milvus import MilvusIndex


def import_embeddings(
    index: Index | MilvusIndex,
    folder: str | os.PathLike[str],
    *,
    prefix: str = "",
    replace: bool = False,
    batch_size: int = 8192,
) -> int:
    """Put the embeddings of `encode` into an index and return how many there were.

    Parameters
    ----------
    index : Index or MilvusIndex
    folder : path
        What `encode` wrote.
    prefix : str
        In front of the keys.
    replace : bool
        Put them in the place of those that have the same keys.
    batch_size : int
        Vectors that are in memory at a time.

    Raises
    ------
    ModelMismatchError
        When the embeddings are of another model than the index.
    IndexStoreError
        When the folder does not hold all embeddings that it says it does, or a key is there
        already (unless ``replace``); an `Index` is then as it was.
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
