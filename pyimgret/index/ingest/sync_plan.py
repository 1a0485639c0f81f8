"""The work of a sync: the differences between a folder and the index.

The comparison runs in SQL over temporary tables, which SQLite spills to disk when they
grow, so memory does not depend on the number of images.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from pyimgret.files.failures import ImageFailure
from pyimgret.files.keys import key_from_path
from pyimgret.files.walking import BROKEN_LINK, Entry, FoundFile, Hidden, Unreadable
from pyimgret.index.storage.items import paged

_DROP = """
DROP TABLE IF EXISTS temp.seen; DROP TABLE IF EXISTS temp.gone; DROP TABLE IF EXISTS temp.unseen;
"""

_TABLES = f"""
{_DROP}
CREATE TEMP TABLE seen (
    path BLOB PRIMARY KEY, key TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TEMP TABLE gone (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL, path BLOB NOT NULL, checksum TEXT NOT NULL
);
CREATE INDEX temp.gone_checksum ON gone (checksum);
CREATE INDEX temp.gone_path ON gone (path);
CREATE TEMP TABLE unseen (
    path BLOB PRIMARY KEY, low BLOB NOT NULL, high BLOB NOT NULL, hidden INTEGER NOT NULL
) WITHOUT ROWID;
"""

_PAGE = 1000


class Work(NamedTuple):
    """One image that is new (without a known checksum) or changed."""

    path: bytes
    key: str
    size: int
    mtime_ns: int
    known_checksum: str | None


class Plan:
    """The differences between a folder, known by its id ``root``, and the index.

    The connection owns the temporary tables and is outside any transaction.
    """

    def __init__(self, connection: sqlite3.Connection, root: int, prefix: str) -> None:
        self.connection = connection
        self.root = root
        self.prefix = prefix
        self.failures: list[ImageFailure] = []
        self.hidden_skipped = 0
        self.hidden_kept = 0
        connection.executescript(_TABLES)

    def scan(self, found: Iterable[Entry]) -> None:
        """Record the folder's entries, then the indexed images that it no longer contains."""
        iterator = iter(found)
        while batch := list(islice(iterator, _PAGE)):
            failures = [one for one in batch if isinstance(one, Unreadable)]
            hidden = [one for one in batch if isinstance(one, Hidden)]
            files = [one for one in batch if isinstance(one, FoundFile)]
            self.failures += [ImageFailure(self._key(one.relative), one.reason) for one in failures]
            self.hidden_skipped += len(hidden)
            # NB: images that are hidden or in an unreadable folder do not count as deleted.
            unseen: list[tuple[Entry, int]] = [
                (one, 0) for one in failures if one.reason != BROKEN_LINK
            ]
            unseen += [(one, 1) for one in hidden]
            self.connection.execute("BEGIN")
            self.connection.executemany(
                "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)",
                ((f.path, self._key(f.relative), f.size, f.mtime_ns) for f in files),
            )
            self.connection.executemany(
                "INSERT OR IGNORE INTO unseen VALUES (?, ?, ?, ?)",
                # All paths in a folder sort between its own followed by "/" and by "0".
                (
                    (e.path, e.path.rstrip(b"/") + b"/", e.path.rstrip(b"/") + b"0", h)
                    for e, h in unseen
                ),
            )
            self.connection.execute("COMMIT")
        self.connection.execute(_GONE, (self.root,))
        self.connection.execute(_KEEP_UNSEEN, (0, 0))
        self.hidden_kept = self.connection.execute(_KEEP_UNSEEN, (1, 1)).rowcount

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of images to read, unchanged, and missing."""
        total = self._count("SELECT count(*) FROM seen")
        unchanged = self._count(_UNCHANGED, self.root)
        broken = self._count(f"SELECT count(*) {_BROKEN}")
        return total - unchanged - broken, unchanged, self._count("SELECT count(*) FROM gone")

    def work(self) -> Iterator[Work]:
        """Yield new and changed images, ordered by path."""
        for rows in paged(self.connection, _WORK, self.root, after=b"", size=_PAGE):
            yield from map(Work._make, rows)

    def known_failures(self) -> Iterator[ImageFailure]:
        """Yield the images that failed before and have not changed since."""
        statement = f"SELECT seen.key, failures.reason {_BROKEN} ORDER BY seen.path"
        for key, reason in self.connection.execute(statement).fetchall():
            yield ImageFailure(key, reason)

    def gone_checksums(self) -> set[str]:
        """Return the checksums of the missing images."""
        return {row[0] for row in self.connection.execute("SELECT checksum FROM gone")}

    def claim(self, checksum: str) -> str | None:
        """Return the key of a missing image of this content, and count it as moved."""
        statement = "SELECT number, key FROM gone WHERE checksum = ? LIMIT 1"
        for number, key in self.connection.execute(statement, (checksum,)).fetchall():
            self.connection.execute("DELETE FROM gone WHERE number = ?", (number,))
            return str(key)
        return None

    def record_failure(self, connection: sqlite3.Connection, work: Work, reason: str) -> None:
        """Store a failure until the file changes, and delete the image's old row."""
        place = (work.path, self.root)
        connection.execute("DELETE FROM items WHERE path = ? AND root = ?", place)
        values = (*place, work.size, work.mtime_ns, reason)
        connection.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", values)

    def delete_stale_failures(self) -> None:
        """Delete the stored failures of files that no longer exist."""
        self.connection.execute(_FORGET, (self.root,))

    def gone(self) -> Iterator[list[tuple[int, str]]]:
        """Yield row id and key of the missing images, a page at a time."""
        statement = "SELECT number, key FROM gone WHERE number > ? ORDER BY number LIMIT ?"
        return paged(self.connection, statement, after=0, size=_PAGE)

    def is_taken(self, connection: sqlite3.Connection, work: Work) -> bool:
        """Return whether another image of the index has the key now."""
        values = (work.key, work.path, self.root, work.path)
        return connection.execute(_KEY_TAKEN, values).fetchone() is not None

    def close(self) -> None:
        """Drop the temporary tables."""
        self.connection.executescript(_DROP)

    def _key(self, relative: bytes) -> str:
        return self.prefix + key_from_path(relative)

    def _count(self, statement: str, *values: object) -> int:
        return int(self.connection.execute(statement, values).fetchone()[0])


_UNCHANGED = """
SELECT count(*) FROM seen JOIN items USING (path, size, mtime_ns) WHERE items.root = ?
"""

_BROKEN = """
FROM seen JOIN failures USING (path, size, mtime_ns)
WHERE NOT EXISTS (SELECT 1 FROM items WHERE items.path = seen.path)
"""

_GONE = """
INSERT INTO temp.gone
SELECT number, key, path, checksum FROM items
WHERE root = ? AND NOT EXISTS (SELECT 1 FROM seen WHERE seen.path = items.path)
"""

_FORGET = """
DELETE FROM failures
WHERE root = ? AND NOT EXISTS (SELECT 1 FROM seen WHERE seen.path = failures.path)
"""

_KEEP_UNSEEN = """
DELETE FROM temp.gone WHERE number IN (
    SELECT gone.number FROM temp.unseen CROSS JOIN temp.gone ON gone.path = unseen.path
    WHERE unseen.hidden = ?
    UNION ALL
    SELECT gone.number FROM temp.unseen CROSS JOIN temp.gone
    ON gone.path > unseen.low AND gone.path < unseen.high WHERE unseen.hidden = ?)
"""

_KEY_TAKEN = """
SELECT 1 FROM items WHERE key = ? AND NOT (path IS ? AND root IS ?)
AND (root IS NOT NULL OR path IS NOT ?)
"""

_WORK = """
SELECT seen.path, seen.key, seen.size, seen.mtime_ns, mine.checksum
FROM seen
LEFT JOIN items AS mine ON mine.path = seen.path AND mine.root = ?
WHERE seen.path > ?
  AND (mine.number IS NULL OR mine.size != seen.size OR mine.mtime_ns != seen.mtime_ns)
  AND (mine.number IS NOT NULL OR NOT EXISTS (
    SELECT 1 FROM failures AS f
    WHERE f.path = seen.path AND f.size = seen.size AND f.mtime_ns = seen.mtime_ns))
ORDER BY seen.path LIMIT ?
"""
