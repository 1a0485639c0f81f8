"""Creating and opening the directory of an index."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from numbers import Integral
from pathlib import Path
from typing import Any, cast

from pyimgret.exceptions import IndexStoreError, InvalidArgumentError, ModelMismatchError
from pyimgret.files.keys import key_from_path, new_uuid
from pyimgret.index.storage.arrays import EncoderLike
from pyimgret.index.storage.database import FILE, Database, translate_errors
from pyimgret.index.storage.errors import not_written
from pyimgret.index.storage.schema import FORMAT, migrate
from pyimgret.version import __version__

MODEL = "model.zip"


def create(directory: Path, encoder: EncoderLike | None, dimension: int | None) -> None:
    """Create the directory of a new index, or leave nothing behind."""
    size = _dimension(encoder, dimension)
    if (directory / FILE).exists():
        raise IndexStoreError(f"{directory} already contains an index; open it with Index.open.")
    meta = {
        "uuid": new_uuid(),
        "dimension": str(size),
        "model_checksum": encoder.model_checksum if encoder is not None else "",
        "metric": "cosine",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "library": f"pyimgret {__version__}",
    }
    try:
        with (
            made_folders(directory),
            translate_errors(directory / FILE),
            tempfile.TemporaryDirectory(dir=directory, prefix=".new-") as name,
        ):
            new = Path(name)
            if encoder is not None:
                encoder.save(new / MODEL)
            _write_database(new / FILE, meta)
            # NB: the database comes last: it makes the directory an index.
            for file in sorted(new.iterdir(), reverse=True):
                file.replace(directory / file.name)
    except OSError as error:
        raise not_written(f"the index {directory}", error) from error


@contextlib.contextmanager
def made_folders(directory: Path) -> Iterator[None]:
    """Create a folder and its parents; afterwards remove those that are still empty."""
    made = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


def remove(directory: Path) -> None:
    """Delete the files of an index, and no other files in its folder."""
    for name in (f"{FILE}-wal", f"{FILE}-shm", FILE, MODEL):
        (directory / name).unlink(missing_ok=True)
    shutil.rmtree(directory / "cache", ignore_errors=True)


def read_meta(database: Database) -> dict[str, str]:
    """Return the stored facts about an index."""
    with database.read() as connection:
        return dict(connection.execute("SELECT name, value FROM meta"))


def as_encoder(encoder: Any) -> EncoderLike | None:
    """Return an encoder (or None) unchanged, and a fitted model wrapped in an `Encoder`."""
    if encoder is None or (hasattr(encoder, "encode") and hasattr(encoder, "model_checksum")):
        return cast(EncoderLike | None, encoder)
    from pyimgret.encoder import Encoder

    return cast(EncoderLike, Encoder(encoder))


def load_encoder(directory: Path, expected: str) -> EncoderLike:
    """Load the model stored with an index."""
    path = directory / MODEL
    if not path.exists():
        raise IndexStoreError(
            f"{directory} was created without a model: pass vectors, or open it with "
            "Index.open(directory, encoder)."
        )
    from pyimgret.encoder import Encoder

    encoder = cast(EncoderLike, Encoder.load(path))
    check_model(encoder, expected)
    return encoder


def check_model(encoder: EncoderLike, expected: str) -> None:
    """Reject an encoder other than the one that the index was built with."""
    if encoder.model_checksum != expected:
        raise ModelMismatchError(
            f"The index contains vectors of model {expected[:12] or '(none)'}, but this one is "
            f"{encoder.model_checksum[:12]}: it was trained differently or has other "
            "preprocessing. Vectors of different models cannot be compared; create a new index."
        )


def _dimension(encoder: EncoderLike | None, dimension: int | None) -> int:
    size = encoder.embedding_size if encoder is not None else dimension
    if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
        raise InvalidArgumentError(
            f"Pass an encoder, or a dimension of at least 1 (got {dimension!r})."
        )
    if dimension not in (None, size):
        raise InvalidArgumentError(f"dimension={dimension}, but the encoder's vectors have {size}.")
    return int(size)


def _write_database(path: Path, meta: dict[str, str]) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as new:
        # NB: closing the last connection merges the write-ahead log into the file.
        new.execute("PRAGMA journal_mode = WAL")
        migrate(new)
        new.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        new.execute("INSERT INTO models (checksum) VALUES (?)", (meta["model_checksum"],))


def info(directory: Path, database: Database) -> dict[str, Any]:
    """Return facts about an index: counts, model, files."""
    meta = read_meta(database)
    with database.read() as connection:
        count, failed, revision, published = connection.execute(_COUNTS).fetchone()
        roots = connection.execute("SELECT path FROM roots ORDER BY number").fetchall()
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        "directory": str(directory),
        "count": count,
        "dimension": int(meta["dimension"]),
        "metric": meta["metric"],
        "model_checksum": meta["model_checksum"],
        "has_model": (directory / MODEL).exists(),
        "format": FORMAT,
        "created": meta["created"],
        "library": meta["library"],
        "uuid": meta["uuid"],
        "revision": revision,
        "published": bool(published),
        "folders": [key_from_path(row[0]) for row in roots],
        "failed_images": failed,
        "bytes": {path.name: path.stat().st_size for path in files},
    }


_COUNTS = """
SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM failures), revision, published FROM state
"""
