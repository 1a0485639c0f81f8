"""Maintenance methods: sync, build, check, compact, publish, export."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Unpack

from pyimgret.index.context import IndexContext
from pyimgret.index.ingest.sync import Sync, SyncOptions, SyncReport
from pyimgret.index.maintenance.build import build, recall_check
from pyimgret.index.maintenance.check import CheckReport, check, compact
from pyimgret.index.maintenance.duplicates import DuplicateGroup, duplicates
from pyimgret.index.maintenance.exchange import export, import_from, salvage
from pyimgret.index.maintenance.publish import publish
from pyimgret.index.search.methods import Kind, Method
from pyimgret.index.storage import lifecycle


class Maintenance:
    """The methods of `Index` that work on the whole index."""

    context: IndexContext

    def sync(
        self, folder: str | bytes | os.PathLike[str], **options: Unpack[SyncOptions]
    ) -> SyncReport:
        """Synchronize the index with a folder and its subfolders.

        New images are added, changed ones encoded again, moved ones (same content, new
        name) renamed, missing ones deleted. Every batch is committed, so after an
        interruption the next sync resumes there. An image that cannot be read is
        reported and tried again when the file has changed.

        Parameters
        ----------
        folder : path
        prefix : str
            Prepended to the keys, which are the paths relative to the folder.
        delete : bool
            Delete images whose files are missing (the default).
        dry_run : bool
            Only report the changes.
        strict : bool
            Raise an error at the first image that cannot be read.
        hidden : bool
            Include hidden and system files (see `pyimgret.files.walking`). Otherwise they are
            counted in the report; images of such files that are in the index already are
            neither updated nor deleted as long as the files exist.
        thumbnails : bool
            Store a thumbnail of each image (the default).
        metadata : callable, optional
            Maps the key of an image to its metadata; by default ``{"folder": …}``, the
            path of its subfolder.
        progress : callable, optional
            Called with the number of images done and the total.
        on_change : callable, optional
            Called with the kind of change ("add", "update", "move", "touch", "delete", "fail")
            and the key.

        Raises
        ------
        IndexStoreError
            If there is no such folder, or it was synchronized under another prefix.
        ImageDecodeError
            With ``strict``.
        """
        return Sync(self.context, folder, **options).run()

    def build(self, kind: Kind = "hnsw", **options: Any) -> dict[str, Any]:
        """Build a search structure that makes a large index faster or smaller.

        Parameters
        ----------
        kind : {"hnsw", "int8", "binary", "exact"}
            The graph; the int8 codes; the binary codes; the memory-mapped vectors. Only the
            graph and the binary codes must be built; the others are made automatically.
        connectivity, construction, expansion : int
            Of the graph: edges per node (M, 16), width while building (128), width while
            searching (128). Higher values give better recall and slower searches.
        progress : callable, optional
            Called with the number of vectors done and the total.
        """
        return build(self.context, kind, **options)

    def recall_check(
        self, *, method: Method = "hnsw", k: int = 10, queries: int = 100, seed: int = 0
    ) -> dict[str, Any]:
        """Measure the recall of a method, with images of the index as queries.

        Returns
        -------
        dict
            ``{"method", "k", "queries", "recall"}``.
        """
        return recall_check(self.context, method=method, k=k, queries=queries, seed=seed)

    def duplicates(self, threshold: float = 0.97) -> list[DuplicateGroup]:
        """Return groups of near and exact duplicates.

        Two images are in one group if their cosine is at least the threshold, or their
        files are equal, or if other images connect them. All pairs are compared,
        a block at a time.
        """
        return duplicates(self.context, threshold)

    def publish(self, target: str | os.PathLike[str]) -> Path:
        """Write a self-contained read-only copy and return its folder.

        An older copy in the folder is replaced atomically; readers notice. Never copy a
        live index by hand: changes in its write-ahead log would be lost.

        Raises
        ------
        IndexStoreError
            If the folder contains a live index, or cannot be written.
        """
        return publish(self.context, target)

    def check(self, *, load_model: bool = True, repair: bool = False) -> CheckReport:
        """Examine the database, every vector, the model and the caches.

        Parameters
        ----------
        load_model : bool
            Load ``model.zip`` and verify that the index was built with it.
        repair : bool
            Delete damaged and orphaned caches; they are rebuilt when needed.
        """
        return check(self.context, load_model=load_model, repair=repair)

    def compact(self) -> tuple[int, int]:
        """Reclaim the space of deleted images; return the bytes before and after.

        Needs as much free space as the database uses. Caches are rebuilt when needed, but a graph
        has to be built again.
        """
        return compact(self.context)

    def export(self, target: str | os.PathLike[str]) -> int:
        """Export all images to ``.parquet``, or ``.npy`` with ``.jsonl``; return their number.

        Parquet holds keys, ids, metadata (JSON), sources and vectors; ``.npy`` the vectors,
        ``.jsonl`` keys, ids and metadata in the same order. Thumbnails are not exported.
        """
        return export(self.context, target)

    def salvage(self, target: str | os.PathLike[str]) -> tuple[int, int]:
        """Export the readable part of a damaged index, as `export` does.

        Returns
        -------
        saved, lost : int
            Numbers of images written, and of those that could not be read (or were deleted
            before, where that is no longer known).
        """
        return salvage(self.context, target)

    def import_from(self, source: str | os.PathLike[str], *, replace: bool = False) -> int:
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
        return import_from(self.context, source, replace=replace)

    def info(self) -> dict[str, Any]:
        """Return facts about the index: counts, model, revision, folders, files."""
        return lifecycle.info(self.context.directory, self.context.database)
