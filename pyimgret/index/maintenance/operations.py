"""What is done with an index as a whole: sync, build, check, compact, publish, export."""

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
    """The methods of `Index` that concern all of its pictures."""

    context: IndexContext

    def sync(
        self, folder: str | bytes | os.PathLike[str], **options: Unpack[SyncOptions]
    ) -> SyncReport:
        """Bring the index in step with a folder and all folders below it.

        New pictures are added, changed ones encoded again, moved ones (same content, another
        name) renamed, vanished ones deleted. What was committed stays, whenever the process
        is stopped; the next sync goes on from there. A picture that cannot be read is
        reported; it is tried again when the file has changed.

        Parameters
        ----------
        folder : path
        prefix : str
            In front of the keys, which are the paths below the folder.
        delete : bool
            Delete what has vanished (the default).
        dry_run : bool
            Only report what would be done.
        strict : bool
            Raise at the first picture that cannot be read.
        hidden : bool
            Take hidden and system files too (see `pyimgret.files.walking`). Without it they are
            counted in the report; images of such files that the index holds already are
            neither updated nor deleted as long as the files are there.
        thumbnails : bool
            Keep a small copy of each picture (the default).
        metadata : callable, optional
            From the key of a picture to its metadata; by default ``{"folder": …}``, the
            folder's name below the one that is kept in step.
        progress : callable, optional
            Called with the number of pictures done and of those to do.
        on_change : callable, optional
            Called with what was done ("add", "update", "move", "touch", "delete", "fail")
            and the key.

        Raises
        ------
        IndexStoreError
            When there is no such folder, or it is kept under another prefix.
        ImageDecodeError
            With ``strict``.
        """
        return Sync(self.context, folder, **options).run()

    def build(self, kind: Kind = "hnsw", **options: Any) -> dict[str, Any]:
        """Build what makes searching a large index faster, or smaller.

        Parameters
        ----------
        kind : {"hnsw", "int8", "binary", "exact"}
            The graph; the int8 codes; the binary codes; the memory-mapped vectors. Only the
            graph and the binary codes need building; the others come by themselves.
        connectivity, construction, expansion : int
            Of the graph: edges a node (M, 16), width while building (128), width while
            searching (128). More of them: better recall, slower.
        progress : callable, optional
            Called with the number of vectors done and of all.
        """
        return build(self.context, kind, **options)

    def recall_check(
        self, *, method: Method = "hnsw", k: int = 10, queries: int = 100, seed: int = 0
    ) -> dict[str, Any]:
        """Measure how many of the true k nearest a method finds, with pictures of the index.

        Returns
        -------
        dict
            ``{"method", "k", "queries", "recall"}``.
        """
        return recall_check(self.context, method=method, k=k, queries=queries, seed=seed)

    def duplicates(self, threshold: float = 0.97) -> list[DuplicateGroup]:
        """Return groups of pictures that are nearly, or exactly, the same.

        Two pictures belong together when their cosine is at least the threshold, or their
        files are equal; so do pictures that are linked by others. All pairs are compared,
        a block at a time.
        """
        return duplicates(self.context, threshold)

    def publish(self, target: str | os.PathLike[str]) -> Path:
        """Write a read-only copy that can be served from anywhere, and return its folder.

        An older copy in the folder is replaced in one step; readers notice. Never copy a
        live index by hand: what is still in its write-ahead log would be missing.

        Raises
        ------
        IndexStoreError
            When the folder holds a live index, or cannot be written.
        """
        return publish(self.context, target)

    def check(self, *, load_model: bool = True, repair: bool = False) -> CheckReport:
        """Examine the database, every vector, the model and the caches.

        Parameters
        ----------
        load_model : bool
            Load ``model.zip`` and compare it with what the index was built with.
        repair : bool
            Delete caches that are damaged or belong to nothing; they are made anew.
        """
        return check(self.context, load_model=load_model, repair=repair)

    def compact(self) -> tuple[int, int]:
        """Give the space of deleted pictures back; return the bytes before and after.

        Needs as much free space as the database has. The caches are made anew, but a graph
        has to be built again.
        """
        return compact(self.context)

    def export(self, target: str | os.PathLike[str]) -> int:
        """Write all pictures to ``.parquet``, or ``.npy`` with ``.jsonl``; return how many.

        Parquet holds keys, ids, metadata (JSON), sources and vectors; ``.npy`` the vectors,
        ``.jsonl`` keys, ids and metadata in the same order. Thumbnails are left out.
        """
        return export(self.context, target)

    def salvage(self, target: str | os.PathLike[str]) -> tuple[int, int]:
        """Write what can be read of a damaged index, as `export` does.

        Returns
        -------
        saved, lost : int
            Pictures that were written, and those that could not be read (or were deleted
            before, where nothing tells any more).
        """
        return salvage(self.context, target)

    def import_from(self, source: str | os.PathLike[str], *, replace: bool = False) -> int:
        """Add what `export` wrote, or any such file, and return how many.

        A Parquet file needs the columns ``key`` and ``vector``. A ``.npy`` file without
        ``.jsonl`` beside it gets its row numbers for keys. A folder is what
        ``pyimgret spark embed`` wrote.

        Raises
        ------
        ModelMismatchError
            When the file says that its vectors are another model's.
        DimensionMismatchError
            When its vectors have another length.
        IndexStoreError
            When a key is there already (unless ``replace``), or the file is damaged.
        """
        return import_from(self.context, source, replace=replace)

    def info(self) -> dict[str, Any]:
        """Return the facts about the index: counts, model, revision, folders, files."""
        return lifecycle.info(self.context.directory, self.context.database)
