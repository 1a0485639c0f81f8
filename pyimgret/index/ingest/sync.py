"""Synchronizing an index with a folder of images."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyimgret.exceptions import ImageDecodeError, IndexStoreError
from pyimgret.files.failures import ImageFailure
from pyimgret.files.walking import walk
from pyimgret.index.context import IndexContext
from pyimgret.index.ingest import roots
from pyimgret.index.ingest.encoding import Outcome, Prepared, checksum, encode_stream, prepare
from pyimgret.index.ingest.reports import SyncReport
from pyimgret.index.ingest.sync_plan import Plan, Work
from pyimgret.index.storage import items
from pyimgret.index.storage.records import Record, Source

_KEY_TAKEN = "another image of the index has this key; sync this folder with a different prefix"

_TOUCH = "UPDATE items SET size = ?, mtime_ns = ? WHERE path = ? AND root = ?"

_MOVE = """
UPDATE items SET key = ?, path = ?, size = ?, mtime_ns = ?, metadata = ? WHERE key = ?
"""

_COUNTERS = {
    "add": "added",
    "update": "updated",
    "move": "moved",
    "touch": "touched",
    "delete": "deleted",
}


def sync_folder(
    context: IndexContext,
    folder: str | bytes | os.PathLike[str],
    *,
    prefix: str = "",
    delete: bool = True,
    dry_run: bool = False,
    strict: bool = False,
    hidden: bool = False,
    thumbnails: bool = True,
    metadata: Callable[[str], dict[str, Any]] | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_change: Callable[[str, str], None] | None = None,
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
    return Sync(
        context=context,
        folder=os.path.realpath(os.fsencode(folder)),
        prefix=prefix,
        delete=delete,
        dry_run=dry_run,
        strict=strict,
        hidden=hidden,
        thumbnails=thumbnails,
        metadata=metadata or _folder_of,
        progress=progress or (lambda done, total: None),  # noqa: ARG005
        on_change=on_change or (lambda kind, key: None),  # noqa: ARG005
    ).run()


@dataclass(kw_only=True)
class Sync:
    """One run over one folder; see `sync_folder` for the parameters."""

    context: IndexContext
    folder: bytes
    prefix: str
    delete: bool
    dry_run: bool
    strict: bool
    hidden: bool
    thumbnails: bool
    metadata: Callable[[str], dict[str, Any]]
    progress: Callable[[int, int], None]
    on_change: Callable[[str, str], None]

    def __post_init__(self) -> None:
        self.report = SyncReport()
        self._moving: set[str] = set()
        # The folder's path in the index: the old one in a dry run of a folder that has moved.
        self._known_folder = self.folder

    def run(self) -> SyncReport:
        """Run the synchronization and return its report."""
        database = self.context.database
        if not os.path.isdir(self.folder):  # noqa: PTH112  (pathlib knows no bytes)
            raise IndexStoreError(f"{os.fsdecode(self.folder)} is not a folder.")
        if not self.dry_run:
            database.check_writable()
        root, self._known_folder = roots.register(
            database, self.folder, self.prefix, dry_run=self.dry_run
        )
        entries = (
            entry._replace(path=self._known_folder + entry.path[len(self.folder) :])
            for entry in walk(self.folder, hidden=self.hidden)
        )
        with database.exclusive() as connection:
            plan = Plan(connection, root, self.prefix)
            try:
                plan.scan(entries)
                self._execute_plan(plan)
            finally:
                plan.close()
        return self.report

    def _execute_plan(self, plan: Plan) -> None:
        todo, self.report.unchanged, _ = plan.counts()
        self.report.hidden_skipped = plan.hidden_skipped
        self.report.hidden_kept = plan.hidden_kept
        for failure in (*plan.failures, *plan.known_failures()):
            self._fail(failure)
        self._moving = plan.gone_checksums() if self.delete else set()
        done = 0
        for outcomes in self._outcomes(plan):
            if self.dry_run:
                for outcome in outcomes:
                    self._apply(plan, None, outcome)
            else:
                with self.context.database.write() as connection:
                    applied = [self._apply(plan, connection, outcome) for outcome in outcomes]
                    items.store(connection, [r for r in applied if r], replace=True)
            done += len(outcomes)
            self.progress(done, todo)
        if self.delete:
            self._delete_gone(plan)

    def _outcomes(self, plan: Plan) -> Iterator[list[Outcome[Work]]]:
        """Yield the files that are new or changed, encoded; with a checksum only in a dry run."""
        # NB: load the encoder (and with it a JVM) only when there is something to do.
        if next(plan.work(), None) is not None:
            encoder = None if self.dry_run else self.context.encoder
            yield from encode_stream(plan.work(), lambda work: self._load(work, plan.root), encoder)

    def _load(self, work: Work, root: int) -> Prepared:
        """Read one file in a decoding thread; known content is not decoded."""
        content = checksum(self.folder + work.path[len(self._known_folder) :])
        # NB: size and time from before the read, so that a later change is detected.
        source = Source(work.path, work.size, work.mtime_ns, content, root)
        if self.dry_run or content == work.known_checksum or content in self._moving:
            return Prepared(None, None, source)
        return self._decoded(source)

    def _decoded(self, source: Source) -> Prepared:
        made = prepare(os.fsdecode(source.path), self.context.encoder, thumbnails=self.thumbnails)
        return Prepared(made.pixels, made.thumbnail, source)

    def _apply(
        self, plan: Plan, connection: sqlite3.Connection | None, outcome: Outcome[Work]
    ) -> Record | None:
        """Apply the outcome of one image; return the record to insert, if any.

        Without a connection (in a dry run) only the report changes.
        """
        work, prepared = outcome.task, outcome.prepared
        if prepared is None or prepared.source is None:
            self._fail(ImageFailure(work.key, outcome.reason))
            if connection is not None and outcome.permanent:
                plan.record_failure(connection, work, outcome.reason)
        elif prepared.source.checksum == work.known_checksum:
            self._count("touch", work.key)
            if connection is not None:
                connection.execute(_TOUCH, (work.size, work.mtime_ns, work.path, plan.root))
        elif plan.is_taken(connection or plan.connection, work):
            self._fail(ImageFailure(work.key, _KEY_TAKEN))
        elif work.known_checksum is None and self._move(plan, connection, work, prepared.source):
            self._count("move", work.key)
        else:
            self._count("add" if work.known_checksum is None else "update", work.key)
            if connection is not None:
                return self._record(connection, outcome, prepared, prepared.source)
        return None

    def _record(
        self,
        connection: sqlite3.Connection,
        outcome: Outcome[Work],
        prepared: Prepared,
        source: Source,
    ) -> Record:
        """Return the record to store for an image that was read."""
        work, vector = outcome.task, outcome.vector
        if vector is None:  # several new files, fewer vanished ones of the same content
            prepared = self._decoded(source)
            vector = self.context.encoder.encode(np.asarray(prepared.pixels)[None])[0]
        connection.execute("DELETE FROM failures WHERE path = ?", (work.path,))
        text = self._metadata(connection, work.key, work.key)
        return Record(work.key, vector, text, source, prepared.thumbnail)

    def _metadata(self, connection: sqlite3.Connection, old_key: str, key: str) -> str:
        """Return the stored metadata of an image, updated from its current key."""
        return items.to_json(items.metadata(connection, old_key) | self.metadata(key))

    def _move(
        self, plan: Plan, connection: sqlite3.Connection | None, work: Work, source: Source
    ) -> bool:
        """Rename a missing image of the same content; return False if there is none left."""
        while source.checksum in self._moving and (old_key := plan.claim(source.checksum)):
            if connection is None:
                return True
            text = self._metadata(connection, old_key, work.key)
            values = (work.key, work.path, work.size, work.mtime_ns, text, old_key)
            if connection.execute(_MOVE, values).rowcount:
                return True
            # Another process deleted it meanwhile.
        return False

    def _delete_gone(self, plan: Plan) -> None:
        for rows in plan.gone():
            for _, key in rows:
                self._count("delete", key)
            if not self.dry_run:
                with self.context.database.write() as connection:
                    numbers = [(number,) for number, _ in rows]
                    connection.executemany("DELETE FROM items WHERE number = ?", numbers)
        if not self.dry_run:
            plan.delete_stale_failures()

    def _fail(self, failure: ImageFailure) -> None:
        if self.strict:
            raise ImageDecodeError(f"{failure.key}: {failure.reason}")
        self.report.failed.append(failure)
        self.on_change("fail", failure.key)

    def _count(self, kind: str, key: str) -> None:
        name = _COUNTERS[kind]
        setattr(self.report, name, getattr(self.report, name) + 1)
        self.on_change(kind, key)


def _folder_of(key: str) -> dict[str, Any]:
    """Return the default metadata of an image.

    Examples
    --------
    >>> _folder_of("animals/cats/tom.jpg"), _folder_of("tom.jpg")
    ({'folder': 'animals/cats'}, {'folder': ''})
    """
    return {"folder": key.rpartition("/")[0]}
