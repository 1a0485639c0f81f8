"""Folders of jars in the cache: filled once, locked while in use, removed when unused."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, whose locks cannot be shared: nothing is removed there
    fcntl = None  # type: ignore[assignment]

#: The empty file that marks a complete folder. Its time is that of the last use,
#: and processes that use the folder hold a shared lock on it.
MARK = "complete"
#: Seconds after which an unused folder is removed.
MAX_UNUSED_SECONDS = 30 * 24 * 3600.0

_held: dict[Path, int] = {}


def hold(folder: Path) -> bool:
    """Lock a complete folder until this process ends; return False if there is none."""
    if folder in _held and _is_same(folder / MARK, _held[folder]):
        return True
    try:
        descriptor = os.open(folder / MARK, os.O_RDONLY)
    except OSError:
        return False
    if fcntl is not None:
        # NB: waits for a process that is checking whether to remove the folder, then checks again.
        # A file system without locks, or another user's cache, is used without locking.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
    if not _is_same(folder / MARK, descriptor):
        os.close(descriptor)
        return False
    with contextlib.suppress(OSError):
        os.utime(folder / MARK)
    _held[folder] = descriptor
    return True


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def fill(folder: Path, build: Callable[[Path], None]) -> None:
    """Fill a folder by ``build`` atomically, and lock it.

    Raises
    ------
    OSError
        If the cache is not writable.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix="fetching-"))
    try:
        build(staging)
        (staging / MARK).touch()
        # NB: mkdtemp creates a private folder; a cache may be shared.
        staging.chmod(0o755)
        try:
            staging.rename(folder)
        except OSError:
            # Another process was faster; use its jars.
            if not (folder / MARK).exists():
                staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    hold(folder)


def remove_unused(cache: Path, name: str) -> list[Path]:
    """Remove unused folders of older versions from a cache; return the removed folders.

    A complete folder is removed if no process uses it and it was not used for
    `MAX_UNUSED_SECONDS`; so are the temporary folders of killed processes.

    Parameters
    ----------
    cache : Path
        The folder with the jar folders.
    name : str
        Prefix of their names, before the fingerprint of their sources.
    """
    if fcntl is None:
        return []
    complete = re.compile(rf"{re.escape(name)}-[0-9a-f]{{12}}-.+")
    gone = []
    for folder in sorted(cache.iterdir()):
        if complete.fullmatch(folder.name):
            away = _move_away(folder)
        else:
            away = folder if _is_left_over(folder) else None
        if away is not None:
            shutil.rmtree(away, ignore_errors=True)
            gone.append(folder)
    return gone


def _move_away(folder: Path) -> Path | None:
    """Rename an unused folder, so that no process can use it while it is deleted."""
    away = folder.with_name(f"removing-{uuid.uuid4().hex}")
    try:
        with _lock_exclusively(folder / MARK) as free:
            if not free or _age(folder / MARK) < MAX_UNUSED_SECONDS:
                return None
            folder.rename(away)
    except OSError:
        return None  # no mark, or no permission
    return away


@contextlib.contextmanager
def _lock_exclusively(mark: Path) -> Iterator[bool]:
    """Yield whether a folder is unused; no process can lock it during the block."""
    descriptor = os.open(mark, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _is_left_over(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return (
            folder.name.startswith(("fetching-", "removing-"))
            and _age(folder) >= MAX_UNUSED_SECONDS
        )
    return False


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime
