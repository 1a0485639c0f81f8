"""The cache folder, for files that can be recreated or downloaded again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Return the cache folder: ``PYIMGRET_CACHE``, or one in the user's cache.

    If the home folder is not writable, a folder of this user in the system's temporary
    folder is used.
    """
    chosen = os.environ.get("PYIMGRET_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    for folder in (Path(base) if base else None, Path.home() / ".cache"):
        if folder and _writable(folder / "pyimgret"):
            return folder / "pyimgret"
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"pyimgret-{user}"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
