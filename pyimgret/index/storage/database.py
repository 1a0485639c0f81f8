"""Connections to ``index.sqlite``: snapshots to read, one transaction to write."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pyimgret.exceptions import IndexStoreError
from pyimgret.index.storage import schema

FILE = "index.sqlite"

Identity = tuple[int, int, int]
"""Process id, and device and inode of the database file."""


class State(NamedTuple):
    """The revision of the database, and the first one covered by its log of removals."""

    revision: int
    log_start: int


class _Connection(sqlite3.Connection):
    """A connection with the identity of its file and the state of its snapshot."""

    identity: Identity | None = None
    reading = False
    state: State | None = None


def identity_of(connection: sqlite3.Connection) -> Identity | None:
    """Return the identity that distinguishes successive databases at the same path."""
    assert isinstance(connection, _Connection)
    return connection.identity


def state_of(connection: sqlite3.Connection) -> State:
    """Return the state of a transaction's snapshot; queried once per read transaction."""
    assert isinstance(connection, _Connection)
    known = connection.state
    if known is None:
        known = State(*connection.execute("SELECT revision, log_start FROM state").fetchone())
        if connection.reading:
            connection.state = known
    return known


def uuid_of(connection: sqlite3.Connection) -> str:
    """Return the identity of the index, which its caches store too."""
    return str(connection.execute("SELECT value FROM meta WHERE name = 'uuid'").fetchone()[0])


class Database:
    """The database of an index, for any number of threads and processes.

    Every transaction uses its own connection from a pool. Readers see one snapshot and never
    wait; a writer waits up to ``timeout`` seconds for another writer.
    """

    def __init__(self, directory: Path, *, timeout: float = 30.0) -> None:
        self.path = directory / FILE
        self.timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._identity: Identity | None = None
        self._immutable = False
        self._closed = False

    def read(self) -> ReadTransaction:
        """Return a read transaction: a context manager that yields a connection."""
        return ReadTransaction(self)

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection in a write transaction.

        An error is raised if another writer did not finish in time, the disk is full, or the index
        is a published (read-only) copy.
        """
        with self.exclusive() as connection:
            self._check_writable()
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("UPDATE state SET revision = revision + 1")
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def check_writable(self) -> None:
        """Raise `IndexStoreError` if this is a published, read-only copy."""
        with self.read():
            self._check_writable()

    def _check_writable(self) -> None:
        if self._immutable:
            raise IndexStoreError(
                f"{self.path.parent} is a published copy, which is read-only; change the "
                "index it was made from and publish again."
            )

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection outside any transaction (for VACUUM and backups)."""
        with translate_errors(self.path):
            connection, healthy = self.acquire(), True
            try:
                yield connection
            except sqlite3.Error:
                healthy = False
                raise
            finally:
                self.release(connection, healthy=healthy)

    def close(self) -> None:
        """Close idle connections now and active ones when they are released."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def check_open(self) -> None:
        """Raise `IndexStoreError` after `close`."""
        if self._closed:
            raise IndexStoreError(
                f"The index {self.path.parent} was closed; open it again with Index.open."
            )

    def acquire(self) -> _Connection:
        """Return a connection of this process to the current file."""
        self.check_open()
        try:
            status = self.path.stat()
        except FileNotFoundError:
            raise IndexStoreError(
                f"{self.path.parent} contains no index ({FILE} is missing); create one with "
                "Index.create, or 'pyimgret index add --model ZIP'."
            ) from None
        identity = (os.getpid(), status.st_dev, status.st_ino)
        with self._lock:
            if identity != self._identity:
                self._reset(identity)
            connection = self._idle.pop() if self._idle else None
        return connection or self._connect(identity)

    def release(self, connection: _Connection, *, healthy: bool) -> None:
        """Return a connection to the pool, or close it if it cannot be reused."""
        if healthy:
            with self._lock:
                if connection.identity == self._identity and not self._closed:
                    self._idle.append(connection)
                    return
        connection.close()

    def _reset(self, identity: Identity) -> None:
        """Drop the connections to another file, without closing a parent process's."""
        same_process = self._identity is not None and self._identity[0] == identity[0]
        if same_process:
            for connection in self._idle:
                connection.close()
        # NB: closing a connection inherited through fork() would release the parent's locks.
        _inherited.extend([] if same_process else self._idle)
        self._idle = []
        self._identity = identity

    def _connect(self, identity: Identity) -> _Connection:
        """Open a connection; a published copy is opened without locking."""
        with self.path.open("rb") as file:
            header = file.read(20)
        # NB: bytes 18 and 19 of an SQLite file are 2 in WAL mode, 1 in a published copy.
        published = header[:15] == b"SQLite format 3" and header[18:20] == b"\x01\x01"
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
            if connection.execute("PRAGMA application_id").fetchone()[0] != schema.APPLICATION_ID:
                raise IndexStoreError(
                    f"{self.path} is an SQLite database, but not a pyimgret index."
                )
            schema.migrate(connection)
            for setting in ("foreign_keys = ON", "synchronous = FULL", "cache_size = -16384"):
                connection.execute(f"PRAGMA {setting}")
        except BaseException:
            connection.close()
            raise
        self._immutable = published
        return connection


class ReadTransaction(contextlib.AbstractContextManager[sqlite3.Connection]):
    """A read transaction.

    A class rather than a generator, because its overhead is noticeable in every search.
    """

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        """Begin a snapshot."""
        with translate_errors(self._database.path):
            connection = self._database.acquire()
            try:
                connection.execute("BEGIN")
            except BaseException:
                self._database.release(connection, healthy=False)
                raise
        self._connection = connection
        connection.reading = True
        return connection

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """End the snapshot; translate errors of SQLite to `IndexStoreError`."""
        connection = self._connection
        connection.reading, connection.state = False, None
        failed = isinstance(error, sqlite3.Error)
        with translate_errors(self._database.path):
            try:
                connection.rollback()
            except BaseException:
                failed = True
                raise
            finally:
                self._database.release(connection, healthy=not failed)
            if isinstance(error, sqlite3.Error):
                raise error


_inherited: list[sqlite3.Connection] = []
"""Connections of a parent process, referenced so that they are never closed here."""


@contextlib.contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Translate errors of SQLite to `IndexStoreError` with advice."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        advice = next((f" {advice}" for part, advice in _ADVICE.items() if part in text), "")
        raise IndexStoreError(f"{path}: {text}.{advice}") from error


_ADVICE = {
    "locked": "Another process is writing to this index; try again when it has finished.",
    "full": "Nothing was changed; free some space and try again.",
    "disk I/O": "Nothing was changed; is the disk full, or a size limit reached?",
    "readonly": "Serve read-only folders from a copy made by 'pyimgret index publish'.",
    "unable to open": (
        "A live index needs a folder that can be written to; serve read-only folders from a "
        "copy made by 'pyimgret index publish'."
    ),
    "malformed": (
        "The database is damaged; 'pyimgret index check' shows where. Restore a published copy, "
        "or export the readable part with 'pyimgret index export --salvage'."
    ),
    "not a database": "The file is damaged or not an index; restore a published copy.",
}
