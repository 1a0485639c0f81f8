"""Folders of jars in the cache: filled once, held while in use, removed when long unused."""

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

#: The empty file that a folder is complete with. Its time says when the folder was last taken
#: into use, and a process that uses the folder shares its lock.
MARK = "complete"
#: Seconds that a folder stays without being used.
LIFE = 30 * 24 * 3600.0

_held: dict[Path, int] = {}


def hold(folder: Path) -> bool:
    """Take a complete folder into use until this process ends; False when there is none."""
    if folder in _held and _is_same(folder / MARK, _held[folder]):
        return True
    try:
        descriptor = os.open(folder / MARK, os.O_RDONLY)
    except OSError:
        return False
    if fcntl is not None:
        # NB: waits for one who is just looking whether to remove the folder, and then looks again.
        # A file system without locks, or a cache of another user's, is used as it is.
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
    """Fill a folder by ``build``, in one step as others see it, and hold it.

    Raises
    ------
    OSError
        When the cache cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix="fetching-"))
    try:
        build(staging)
        (staging / MARK).touch()
        # NB: mkdtemp's folder is the user's alone; a cache may be shared.
        staging.chmod(0o755)
        try:
            staging.rename(folder)
        except OSError:
            # Another process was faster, and its jars are as good as ours.
            if not (folder / MARK).exists():
                staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    hold(folder)


def remove_unused(cache: Path, name: str) -> list[Path]:
    """Remove what older versions left in a cache; return the folders that are gone.

    A complete folder goes when no process holds it and none has taken it into use for `LIFE`
    seconds; so does what a process that was killed had begun to fetch or to remove.

    Parameters
    ----------
    cache : Path
        Where the folders lie.
    name : str
        What their names begin with, before the fingerprint of what they were made from.
    """
    if fcntl is None:
        return []
    complete = re.compile(rf"{re.escape(name)}-[0-9a-f]{{12}}-.+")
    gone = []
    for folder in sorted(cache.iterdir()):
        if complete.fullmatch(folder.name):
            away = _set_aside(folder)
        else:
            away = folder if _is_left_over(folder) else None
        if away is not None:
            shutil.rmtree(away, ignore_errors=True)
            gone.append(folder)
    return gone


def _set_aside(folder: Path) -> Path | None:
    """Rename an unused folder, so that nobody takes it into use while it vanishes."""
    away = folder.with_name(f"removing-{uuid.uuid4().hex}")
    try:
        with _alone(folder / MARK) as free:
            if not free or _age(folder / MARK) < LIFE:
                return None
            folder.rename(away)
    except OSError:
        return None  # no mark, or not ours to remove
    return away


@contextlib.contextmanager
def _alone(mark: Path) -> Iterator[bool]:
    """Say whether nobody holds a folder; nobody can while the block runs."""
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
        return folder.name.startswith(("fetching-", "removing-")) and _age(folder) >= LIFE
    return False


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime
