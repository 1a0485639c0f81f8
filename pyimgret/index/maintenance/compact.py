"""`Index.compact`: reclaiming the space of deleted images."""

from __future__ import annotations

from pyimgret.index.context import IndexContext


def compact_index(context: IndexContext) -> tuple[int, int]:
    """Reclaim the space of deleted images; return the bytes before and after.

    Needs as much free space as the database uses. Caches are rebuilt when needed, but a graph
    has to be built again.
    """
    before = _size(context)
    with context.database.write() as connection:
        connection.execute("DELETE FROM removed")
        connection.execute(
            "DELETE FROM roots WHERE number NOT IN (SELECT root FROM items WHERE root NOT NULL)"
        )
        connection.execute("UPDATE state SET log_start = revision")
    with context.database.exclusive() as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    context.searcher.forget(files=True)
    return before, _size(context)


def _size(context: IndexContext) -> int:
    """Return the size of the database in bytes, including its write-ahead log."""
    with context.database.exclusive() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        return int(pages * connection.execute("PRAGMA page_size").fetchone()[0])
