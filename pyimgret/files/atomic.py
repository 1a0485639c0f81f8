"""Atomic writing of files, and checks of output paths."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def check_file(path: Path) -> None:
    """Raise an `OSError` that names the folder if no file can be written to ``path``.

    To be called before any work is done.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # NB: try it: permissions do not apply to root, and do not show a read-only disk.
    with _explained(path.parent), tempfile.TemporaryFile(dir=path.parent):
        pass


def check_folder(path: Path) -> None:
    """Raise an `OSError` if a folder can be neither written nor created; as `check_file`."""
    check_file(next(place for place in (path, *path.absolute().parents) if place.exists()) / "x")


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Report the folder in an error, instead of the temporary file."""
    try:
        yield
    except OSError as error:
        missing = error.errno == errno.ENOENT and not folder.exists()
        reason = "does not exist; create it first" if missing else error.strerror
        raise OSError(error.errno, reason, str(folder)) from error


def write_atomically(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> None:
    """Call ``write(temporary)``, then replace ``path`` with the result.

    If the folder is missing or cannot be written, an `OSError` says so, and ``path`` is unchanged.
    A ``durable`` file is on disk when this returns; data that can be recreated need not be.
    """
    with _explained(path.parent):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        if durable:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        # NB: mkstemp creates a private file; use the default permissions of new files.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
