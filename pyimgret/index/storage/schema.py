"""The database of an index: tables, format version, and migrations.

``index.sqlite`` is the system of record and may be read by other programs too.
Vectors are little-endian float32 of Euclidean length 1, ``dimension`` of them. An item's
``number`` is never reused and its vector never changes: a changed vector gets a new
number with the same ``id``. So a reader at revision r catches up with
the numbers above the largest it has seen and the rows of ``removed`` after r.
"""

from __future__ import annotations

import sqlite3

from pyimgret.exceptions import IndexStoreError

FORMAT = 1
"""The format version that this library writes (``PRAGMA user_version``)."""

APPLICATION_ID = 0x70796967
"""``PRAGMA application_id``: "pyig"."""

_VERSION_1 = """
CREATE TABLE meta (                 -- uuid, dimension, model_checksum, metric, created, library
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE state (                -- one row
    only INTEGER PRIMARY KEY CHECK (only = 1),
    revision INTEGER NOT NULL,      -- incremented by every write transaction
    log_start INTEGER NOT NULL,     -- "removed" is complete after this revision
    published INTEGER NOT NULL      -- 1 in a read-only copy
);
INSERT INTO state VALUES (1, 0, 0, 0);
CREATE TABLE models (
    number INTEGER PRIMARY KEY,
    checksum TEXT NOT NULL UNIQUE
);
CREATE TABLE roots (                -- synchronized folders
    number INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,      -- absolute, the file system's own bytes
    prefix TEXT NOT NULL            -- prepended to the keys of its images
);
CREATE TABLE items (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,        -- opaque, never changes
    key TEXT NOT NULL UNIQUE,       -- UTF-8; undecodable bytes and % are percent-encoded
    metadata TEXT NOT NULL,         -- a JSON object
    model INTEGER NOT NULL REFERENCES models (number),
    root INTEGER REFERENCES roots (number),
    path BLOB,                      -- absolute, the file system's own bytes
    size INTEGER,                   -- bytes
    mtime_ns INTEGER,
    checksum TEXT                   -- SHA-256 of the file, hexadecimal
);
CREATE INDEX items_path ON items (path) WHERE path IS NOT NULL;
CREATE INDEX items_checksum ON items (checksum) WHERE checksum IS NOT NULL;
CREATE TABLE vectors (
    number INTEGER PRIMARY KEY REFERENCES items (number) ON DELETE CASCADE,
    vector BLOB NOT NULL,
    crc INTEGER NOT NULL            -- CRC-32 of the vector's bytes
);
CREATE TABLE thumbnails (
    number INTEGER PRIMARY KEY REFERENCES items (number) ON DELETE CASCADE,
    media_type TEXT NOT NULL,
    image BLOB NOT NULL
);
CREATE TABLE removed (
    number INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL
);
CREATE INDEX removed_revision ON removed (revision);
CREATE TABLE failures (             -- images of a root that could not be read
    path BLOB PRIMARY KEY,
    root INTEGER NOT NULL REFERENCES roots (number) ON DELETE CASCADE,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER log_removal AFTER DELETE ON items BEGIN
    INSERT INTO removed VALUES (old.number, (SELECT revision FROM state));
END;
"""

_MIGRATIONS = (_VERSION_1,)
"""The statements that upgrade each format version, from 0 on, to the next one."""


def migrate(connection: sqlite3.Connection) -> None:
    """Upgrade a database to the format of this library, in one transaction."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > FORMAT:
        raise IndexStoreError(
            f"The index has format {version}, but this version of pyimgret reads formats up to "
            f"{FORMAT}; upgrade pyimgret."
        )
    if version < FORMAT:
        steps = "".join(_MIGRATIONS[version:])
        stamps = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};"
        # NB: executescript would commit an open transaction, so BEGIN is part of the script.
        connection.executescript(f"BEGIN IMMEDIATE; {steps} {stamps} COMMIT;")
