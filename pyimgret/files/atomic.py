"""Files that are there whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def check_file(path: Path) -> None:
    """Raise, before any work is done, when no file can be put at ``path``.

    Raises
    ------
    OSError
        With the folder that is missing, is none, or cannot be written.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # NB: only a try tells: permissions say nothing to root, and nothing of a read-only disk.
    with _explained(path.parent), tempfile.TemporaryFile(dir=path.parent):
        pass


def check_folder(path: Path) -> None:
    """Raise, before any work is done, when a folder can be neither written nor made.

    Raises
    ------
    OSError
    """
    check_file(next(place for place in (path, *path.absolute().parents) if place.exists()) / "x")


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Name the folder in an error, not the temporary file."""
    try:
        yield
    except OSError as error:
        missing = error.errno == errno.ENOENT and not folder.exists()
        reason = "does not exist; make it first" if missing else error.strerror
        raise OSError(error.errno, reason, str(folder)) from error


def write_atomically(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> None:
    """Call ``write(temporary)``, then put the result in the place of ``path``.

    Parameters
    ----------
    path : Path
    write : callable
    durable : bool
        Wait until the contents are on disk; not needed for what can be made again.

    Raises
    ------
    OSError
        When the folder is missing or cannot be written; ``path`` is then as it was.
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
        # NB: mkstemp's file is the user's alone; a model is as readable as any new file.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
