"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call ``write(temporary)``, then put the result in the place of ``path``.

    Raises
    ------
    OSError
        When the folder is missing or cannot be written; ``path`` is then as it was.
    """
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"The folder {folder} does not exist; make it first.")
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}-", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
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
