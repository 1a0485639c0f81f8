"""Synchronizing an index with a folder of images."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

import numpy as np

from pyimgret.exceptions import ImageDecodeError, IndexStoreError
from pyimgret.files.failures import ImageFailure
from pyimgret.files.walking import Entry, walk
from pyimgret.index.context import IndexContext
from pyimgret.index.ingest.adding import Adder
from pyimgret.index.ingest.encoding import Outcome, Prepared, encode_stream, prepare
from pyimgret.index.ingest.sources import checksum
from pyimgret.index.ingest.sync_plan import Plan, Work
from pyimgret.index.storage import items
from pyimgret.index.storage.items import Record, Source

_KEY_TAKEN = "another image of the index has this key; sync this folder with a different prefix"


class SyncOptions(TypedDict, total=False):
    """The keyword arguments of `Index.sync`, where they are documented."""

    prefix: str
    delete: bool
    dry_run: bool
    strict: bool
    hidden: bool
    thumbnails: bool
    metadata: Callable[[str], dict[str, Any]] | None
    progress: Callable[[int, int], None] | None
    on_change: Callable[[str, str], None] | None


@dataclass(slots=True)
class SyncReport:
    """The result of a sync, or of a dry run.

    Attributes
    ----------
    added, updated, moved, touched, deleted, unchanged : int
        Numbers of images; "touched" ones have a new time but the same content.
    hidden_skipped : int
        Number of hidden files and folders that were skipped.
    hidden_kept : int
        Images of hidden files that the index already contains; they are left unchanged.
    failed : list of ImageFailure
        Images that could not be read, and why.
    """

    added: int = 0
    updated: int = 0
    moved: int = 0
    touched: int = 0
    deleted: int = 0
    unchanged: int = 0
    hidden_skipped: int = 0
    hidden_kept: int = 0
    failed: list[ImageFailure] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON-serializable dict."""
        return asdict(self)


class Sync:
    """One run over one folder; see `Index.sync` for the parameters."""

    def __init__(
        self,
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
    ) -> None:
        self.context = context
        self.folder = os.path.realpath(os.fsencode(folder))
        self.prefix = prefix
        self.delete = delete
        self.dry_run = dry_run
        self.hidden = hidden
        self.thumbnails = thumbnails
        self.metadata = metadata or _folder_of
        self.progress = progress or (lambda done, total: None)  # noqa: ARG005
        self.on_change = on_change or (lambda kind, key: None)  # noqa: ARG005
        self.report = SyncReport()
        self._adder = Adder(context, replace=True, strict=strict)
        self._moving: set[str] = set()
        # The folder's path in the index: the old one in a dry run of a folder that has moved.
        self._known_folder = self.folder

    def run(self) -> SyncReport:
        """Run the synchronization and return its report."""
        if not os.path.isdir(self.folder):  # noqa: PTH112  (pathlib knows no bytes)
            raise IndexStoreError(f"{os.fsdecode(self.folder)} is not a folder.")
        if not self.dry_run:
            self.context.database.check_writable()
        root, self._known_folder = self._register()
        with self.context.database.exclusive() as connection:
            plan = Plan(connection, root, self.prefix)
            try:
                plan.scan(map(self._as_known, walk(self.folder, hidden=self.hidden)))
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
            self._commit(plan, outcomes)
            done += len(outcomes)
            self.progress(done, todo)
        if self.delete:
            self._delete_vanished(plan)

    def _outcomes(self, plan: Plan) -> Iterator[list[Outcome[Work]]]:
        if self.dry_run:
            yield from ([self._read_checksum(work, plan.root)] for work in plan.work())
            return
        # NB: load the encoder (and with it a JVM) only when there is something to do.
        if next(plan.work(), None) is not None:
            yield from encode_stream(
                plan.work(), lambda work: self._load(work, plan.root), self.context.encoder
            )

    def _load(self, work: Work, root: int) -> Prepared:
        """Read one file in a decoding thread; known content is not decoded."""
        source = self._source(work, root)
        if source.checksum == work.known_checksum or source.checksum in self._moving:
            return Prepared(None, None, source)
        return self._decoded(source)

    def _read_checksum(self, work: Work, root: int) -> Outcome[Work]:
        """Compute only the checksum of one file, for a dry run."""
        try:
            return Outcome(work, prepared=Prepared(None, None, self._source(work, root)))
        except OSError as error:
            return Outcome(work, reason=error.strerror or str(error))

    def _decoded(self, source: Source) -> Prepared:
        made = prepare(os.fsdecode(source.path), self.context.encoder, thumbnails=self.thumbnails)
        return Prepared(made.pixels, made.thumbnail, source)

    def _as_known(self, found: Entry) -> Entry:
        return found._replace(path=self._known_folder + found.path[len(self.folder) :])

    def _source(self, work: Work, root: int) -> Source:
        content = checksum(self.folder + work.path[len(self._known_folder) :])
        # NB: size and time from before the read, so that a later change is detected.
        return Source(work.path, work.size, work.mtime_ns, content, root)

    def _commit(self, plan: Plan, outcomes: list[Outcome[Work]]) -> None:
        """Store the results of a batch in one transaction."""
        if self.dry_run:
            for outcome in outcomes:
                self._apply(plan, None, outcome)
            return
        with self.context.database.write() as connection:
            records = [self._apply(plan, connection, outcome) for outcome in outcomes]
            self._adder.insert(connection, [record for record in records if record is not None])

    def _apply(
        self, plan: Plan, connection: sqlite3.Connection | None, outcome: Outcome[Work]
    ) -> Record | None:
        """Apply the outcome of one image; return the record to insert, if any."""
        work, prepared = outcome.task, outcome.prepared
        if prepared is None or prepared.source is None:
            self._fail_to_read(connection, plan.root, outcome)
        elif prepared.source.checksum == work.known_checksum:
            self._count("touch", work.key)
            _execute(connection, _TOUCH, (work.size, work.mtime_ns, work.path, plan.root))
        elif plan.is_taken(connection or plan.connection, work):
            self._fail(ImageFailure(work.key, _KEY_TAKEN))
        elif work.known_checksum is None and self._move(plan, connection, work, prepared.source):
            self._count("move", work.key)
        else:
            self._count("add" if work.known_checksum is None else "update", work.key)
            return None if connection is None else self._record(connection, outcome, prepared)
        return None

    def _record(
        self, connection: sqlite3.Connection, outcome: Outcome[Work], prepared: Prepared
    ) -> Record:
        """Return the record to store for an image that was read."""
        work, vector, source = outcome.task, outcome.vector, prepared.source
        assert source is not None
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
        old_key = plan.claim(source.checksum) if source.checksum in self._moving else None
        if old_key is None:
            return False
        if connection is not None:
            text = self._metadata(connection, old_key, work.key)
            values = (work.key, work.path, work.size, work.mtime_ns, text, old_key)
            if not connection.execute(_MOVE, values).rowcount:  # another deleted it meanwhile
                return self._move(plan, connection, work, source)
        return True

    def _fail_to_read(
        self, connection: sqlite3.Connection | None, root: int, outcome: Outcome[Work]
    ) -> None:
        """Report a failure, store it until the file changes, and delete the image's old row."""
        work = outcome.task
        self._fail(ImageFailure(work.key, outcome.reason))
        if not outcome.permanent:
            return
        _execute(connection, "DELETE FROM items WHERE path = ? AND root = ?", (work.path, root))
        values = (work.path, root, work.size, work.mtime_ns, outcome.reason)
        _execute(connection, "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", values)

    def _delete_vanished(self, plan: Plan) -> None:
        for rows in plan.gone():
            for _, key in rows:
                self._count("delete", key)
            if not self.dry_run:
                with self.context.database.write() as connection:
                    numbers = [(number,) for number, _ in rows]
                    connection.executemany("DELETE FROM items WHERE number = ?", numbers)
        if not self.dry_run:
            plan.delete_stale_failures()

    def _register(self) -> tuple[int, bytes]:
        """Return the id of the folder, and its path in the index.

        A folder that has moved replaces the old entry.
        """
        with self.context.database.read() as connection:
            roots = connection.execute("SELECT number, path, prefix FROM roots").fetchall()
        for number, path, prefix in roots:
            if path == self.folder:
                if prefix != self.prefix:
                    raise IndexStoreError(
                        f"{os.fsdecode(path)} is synchronized with the prefix {prefix!r}, not "
                        f"{self.prefix!r}; use that prefix, or delete its images first."
                    )
                return int(number), self.folder
        moved = next((root for root in roots if self._is_moved_folder(*root)), None)
        if self.dry_run:
            return (moved[0], moved[1]) if moved else (-1, self.folder)
        return (self._relocate(*moved[:2]) if moved else self._new_root()), self.folder

    def _is_moved_folder(self, number: int, path: bytes, prefix: str) -> bool:
        """Return whether the folder is a known one that has moved.

        NB: while a disk is not mounted, an unrelated folder must not replace its folder and
        delete its images: some of the known files must exist in the new place.
        """
        if prefix != self.prefix or os.path.exists(path):  # noqa: PTH110
            return False
        with self.context.database.read() as connection:
            known = connection.execute(
                "SELECT path, size FROM items WHERE root = ? ORDER BY number LIMIT ?",
                (number, _RELOCATION_SAMPLE),
            ).fetchall()
        found = sum(_size_of(self.folder + one[len(path) :]) == size for one, size in known)
        return bool(found >= _MOVED_SHARE * len(known))

    def _relocate(self, number: int, path: bytes) -> int:
        with self.context.database.write() as connection:
            connection.execute(_RELOCATE, (self.folder, len(path) + 1, number))
            connection.execute("UPDATE roots SET path = ? WHERE number = ?", (self.folder, number))
        return number

    def _new_root(self) -> int:
        with self.context.database.write() as connection:
            made = connection.execute(
                "INSERT INTO roots (path, prefix) VALUES (?, ?)", (self.folder, self.prefix)
            )
            return int(made.lastrowid or 0)

    def _fail(self, failure: ImageFailure) -> None:
        if self._adder.strict:
            raise ImageDecodeError(f"{failure.key}: {failure.reason}")
        self.report.failed.append(failure)
        self.on_change("fail", failure.key)

    def _count(self, kind: str, key: str) -> None:
        name = _COUNTERS[kind]
        setattr(self.report, name, getattr(self.report, name) + 1)
        self.on_change(kind, key)


def _size_of(path: bytes) -> int:
    """Return the size of a file; -1 if it does not exist."""
    try:
        return os.stat(path).st_size  # noqa: PTH116  (pathlib knows no bytes)
    except OSError:
        return -1


_RELOCATION_SAMPLE = 1000
_MOVED_SHARE = 0.1
"""Share of the known files that must exist in the new place of a moved folder."""

_COUNTERS = {
    "add": "added",
    "update": "updated",
    "move": "moved",
    "touch": "touched",
    "delete": "deleted",
}

_TOUCH = "UPDATE items SET size = ?, mtime_ns = ? WHERE path = ? AND root = ?"

_MOVE = """
UPDATE items SET key = ?, path = ?, size = ?, mtime_ns = ?, metadata = ? WHERE key = ?
"""

_RELOCATE = "UPDATE items SET path = CAST(? || substr(path, ?) AS BLOB) WHERE root = ?"


def _execute(
    connection: sqlite3.Connection | None, statement: str, values: tuple[object, ...]
) -> None:
    """Run a statement, unless in a dry run."""
    if connection is not None:
        connection.execute(statement, values)


def _folder_of(key: str) -> dict[str, Any]:
    """Return the default metadata of an image.

    Examples
    --------
    >>> _folder_of("animals/cats/tom.jpg"), _folder_of("tom.jpg")
    ({'folder': 'animals/cats'}, {'folder': ''})
    """
    return {"folder": key.rpartition("/")[0]}
