"""Import of embeddings that Spark wrote into an index."""

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
