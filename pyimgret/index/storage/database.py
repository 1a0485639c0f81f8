"""Connections to ``index.sqlite``: snapshots to read, one transaction to write."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from pyimgret.exceptions import IndexStoreError
from pyimgret.index.storage import schema

FILE = "index.sqlite"


Identity = tuple[int, int, int]
"""The process, and device and inode of the database's file."""


class State(NamedTuple):
    """How far the database is: its revision, and since when its log of removals is whole."""

    revision: int
    log_start: int


class _Connection(sqlite3.Connection):
    """A connection that knows which file it was opened on, and what it sees of it."""

    identity: Identity | None = None
    reading = False
    state: State | None = None


def identity_of(connection: sqlite3.Connection) -> Identity | None:
    """Return what tells two databases apart that were at the same place, one after another."""
    return connection.identity if isinstance(connection, _Connection) else None


def state_of(connection: sqlite3.Connection) -> State:
    """Return the state that a transaction sees; in one that reads it is asked for once."""
    known = connection.state if isinstance(connection, _Connection) else None
    if known is None:
        known = State(*connection.execute("SELECT revision, log_start FROM state").fetchone())
        if isinstance(connection, _Connection) and connection.reading:
            connection.state = known
    return known


class Database:
    """The database of an index, for any number of threads and processes.

    Every transaction borrows a connection of its own from a pool. Readers see the state of
    one moment and wait for nobody; a writer waits for another one up to ``timeout`` seconds.

    Parameters
    ----------
    directory : Path
        The index's directory.
    timeout : float
        Seconds to wait for another writer.
    """

    def __init__(self, directory: Path, *, timeout: float = 30.0) -> None:
        self.path = directory / FILE
        self.timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._identity: Identity | None = None
        self._immutable = False
        self._closed = False

    def read(self) -> Reading:
        """Give a connection whose statements all see the same state."""
        return Reading(self)

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are kept together, or not at all.

        Raises
        ------
        IndexStoreError
            When another writer did not finish in time, the disk is full, or the index is a
            published (read-only) copy.
        """
        with translated(self.path), self._borrow() as connection:
            self._refuse_copy()
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("UPDATE state SET revision = revision + 1")
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def refuse_copy(self) -> None:
        """Raise `IndexStoreError` when this is a published copy, which cannot be changed."""
        with self.read():
            self._refuse_copy()

    def _refuse_copy(self) -> None:
        if self._immutable:
            raise IndexStoreError(
                f"{self.path.parent} is a published copy, which is read-only; change the "
                "index it was made from and publish again."
            )

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """Give a connection outside any transaction (for VACUUM and backups)."""
        with translated(self.path), self._borrow() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections, those in use when they are given back; no new one is opened."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def refuse_closed(self) -> None:
        """Raise `IndexStoreError` after `close`."""
        if self._closed:
            raise IndexStoreError(
                f"The index {self.path.parent} was closed; open it again with Index.open."
            )

    @contextlib.contextmanager
    def _borrow(self) -> Iterator[_Connection]:
        """Lend a connection for the body of a ``with``."""
        connection = self.lend()
        healthy = True
        try:
            yield connection
        except sqlite3.Error:
            healthy = False
            raise
        finally:
            self.take_back(connection, healthy=healthy)

    def lend(self) -> _Connection:
        """Return a connection that belongs to this process and to the file now in place."""
        self.refuse_closed()
        identity = self._current()
        with self._lock:
            if identity != self._identity:
                self._forget(identity)
            connection = self._idle.pop() if self._idle else None
        return connection or self._connect(identity)

    def take_back(self, connection: _Connection, *, healthy: bool) -> None:
        """Keep a connection for the next borrower, or close it when it serves no more."""
        if healthy:
            with self._lock:
                if connection.identity == self._identity and not self._closed:
                    self._idle.append(connection)
                    return
        connection.close()

    def _current(self) -> Identity:
        """Return what must be the same for a connection to be of use again."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            raise IndexStoreError(
                f"{self.path.parent} holds no index ({FILE} is missing); make one with "
                "Index.create, or 'pyimgret index add --model ZIP'."
            ) from None
        return (os.getpid(), status.st_dev, status.st_ino)

    def _forget(self, identity: Identity) -> None:
        """Drop the connections of another file; leave a parent process's alone."""
        same_process = self._identity is not None and self._identity[0] == identity[0]
        if same_process:
            for connection in self._idle:
                connection.close()
        # NB: closing a connection that was inherited by fork() would drop the parent's locks.
        _inherited.extend([] if same_process else self._idle)
        self._idle = []
        self._identity = identity

    def _connect(self, identity: Identity) -> _Connection:
        """Open a connection; a published copy is opened without any locking."""
        published = self._is_published()
        mode = "mode=ro&immutable=1" if published else "mode=rw"
        connection = sqlite3.connect(
            f"{self.path.resolve().as_uri()}?{mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=self.timeout,
            factory=_Connection,
        )
        connection.identity = identity
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._immutable = published
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Check that this is an index and set what every connection needs."""
        if connection.execute("PRAGMA application_id").fetchone()[0] != schema.APPLICATION_ID:
            raise IndexStoreError(f"{self.path} is an SQLite database, but not a pyimgret index.")
        schema.migrate(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -16384")

    def _is_published(self) -> bool:
        """Tell a published copy by its header: the file is not in WAL mode."""
        with self.path.open("rb") as file:
            header = file.read(20)
        # NB: bytes 18 and 19 of an SQLite file are 2 in WAL mode, 1 otherwise.
        return header[:15] == b"SQLite format 3" and header[18:20] == b"\x01\x01"


class Reading(contextlib.AbstractContextManager[sqlite3.Connection]):
    """A transaction that only reads.

    A class and no generator, because its steps are a part of every search that is felt.
    """

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        """Begin: what follows sees one state."""
        with translated(self._database.path):
            connection = self._database.lend()
            try:
                connection.execute("BEGIN")
            except BaseException:
                self._database.take_back(connection, healthy=False)
                raise
        self._connection = connection
        connection.reading = True
        return connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; an error of SQLite becomes an `IndexStoreError`."""
        connection = self._connection
        connection.reading, connection.state = False, None
        failed = isinstance(error, sqlite3.Error)
        with translated(self._database.path):
            try:
                connection.rollback()
            except BaseException:
                failed = True
                raise
            finally:
                self._database.take_back(connection, healthy=not failed)
            if isinstance(error, sqlite3.Error):
                raise error


def initialise(connection: sqlite3.Connection) -> None:
    """Turn an empty database into that of an index."""
    connection.execute("PRAGMA journal_mode = WAL")
    schema.migrate(connection)


_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process, kept so that they are never closed here."""


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into `IndexStoreError` with what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise IndexStoreError(_explain(path, error)) from error


def _explain(path: Path, error: sqlite3.Error) -> str:
    """Return the message for an error of SQLite."""
    text = str(error)
    for part, advice in _ADVICE.items():
        if part in text:
            return f"{path}: {text}. {advice}"
    return f"{path}: {text}."


_ADVICE = {
    "locked": "Another process is writing to this index; try again when it has finished.",
    "full": "Nothing of this change was kept; free some space and repeat it.",
    "disk I/O": "Nothing of this change was kept; is the disk full, or a size limit reached?",
    "readonly": "Serve read-only folders from a copy made by 'pyimgret index publish'.",
    "unable to open": (
        "A live index needs a folder that can be written to; serve read-only folders from a "
        "copy made by 'pyimgret index publish'."
    ),
    "malformed": (
        "The database is damaged; 'pyimgret index check' says where. Restore a published copy, "
        "or save what can be read with 'pyimgret index export --salvage'."
    ),
    "not a database": "The file is damaged or no index; restore a published copy.",
}
