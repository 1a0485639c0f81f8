"""Facts about the file of an image: path, size, modification time and checksum."""

from __future__ import annotations

import hashlib
import os
import stat

from pyimgret.exceptions import ImageDecodeError
from pyimgret.index.storage.items import Source

_BLOCK = 1 << 20


def source_of(path: bytes | str | os.PathLike[str], *, root: int | None = None) -> Source:
    """Return path, size, time and checksum of a file; reads it once, a megabyte at a time.

    Raises
    ------
    OSError
        If it cannot be read.
    ImageDecodeError
        If it is not a regular file (opening a pipe would block forever).
    """
    raw = os.path.abspath(os.fsencode(path))  # noqa: PTH100  (pathlib knows no bytes)
    status = os.stat(raw)  # noqa: PTH116
    if not stat.S_ISREG(status.st_mode):
        raise ImageDecodeError("not a regular file")
    return Source(raw, status.st_size, status.st_mtime_ns, checksum(raw), root)


def checksum(path: bytes) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:  # noqa: PTH123
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
