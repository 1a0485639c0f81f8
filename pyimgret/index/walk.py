"""Walking a folder: every file below it, whatever its name, and no loops."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple


class FoundFile(NamedTuple):
    """A regular file: absolute path and path below the folder, both in raw bytes."""

    path: bytes
    relative: bytes
    size: int
    mtime_ns: int


class Problem(NamedTuple):
    """Something that is no readable file or folder."""

    path: bytes
    relative: bytes
    reason: str
    is_folder: bool


def walk(root: bytes) -> Iterator[FoundFile | Problem]:
    """Yield the files below a folder, in no particular order.

    Links are followed. Each folder is entered once, by its real place where that lies below
    the root, so that no link leads in circles.

    Parameters
    ----------
    root : bytes
        An absolute path.
    """
    return _Walk(root).files()


class _Walk:
    """One walk and the folders it has seen, by device and inode."""

    def __init__(self, root: bytes) -> None:
        status = os.stat(root)  # noqa: PTH116  (pathlib knows no bytes)
        self.entered = {(status.st_dev, status.st_ino)}
        self.folders: deque[tuple[bytes, bytes]] = deque([(root, b"")])
        self.links: deque[tuple[bytes, bytes, tuple[int, int]]] = deque()

    def files(self) -> Iterator[FoundFile | Problem]:
        """Yield what there is; linked folders come after all real ones."""
        while self.folders or self.links:
            if not self.folders:
                path, below, place = self.links.popleft()
                if place in self.entered:
                    continue
                self.entered.add(place)
                self.folders.append((path, below))
            yield from self._inside(*self.folders.popleft())

    def _inside(self, folder: bytes, relative: bytes) -> Iterator[FoundFile | Problem]:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    found = self._look_at(entry, relative + entry.name)
                    if found is not None:
                        yield found
        except OSError as error:
            yield Problem(folder, relative.rstrip(b"/"), _reason(error), is_folder=True)

    def _look_at(self, entry: os.DirEntry[bytes], relative: bytes) -> FoundFile | Problem | None:
        """Return a file or a problem; put a folder into its queue."""
        try:
            status = entry.stat()
        except OSError as error:
            reason = "a link that leads nowhere" if entry.is_symlink() else _reason(error)
            return Problem(entry.path, relative, reason, is_folder=False)
        if stat.S_ISREG(status.st_mode):
            return FoundFile(entry.path, relative, status.st_size, status.st_mtime_ns)
        if not stat.S_ISDIR(status.st_mode):
            return Problem(entry.path, relative, "no regular file", is_folder=False)
        place = (status.st_dev, status.st_ino)
        if entry.is_symlink():
            self.links.append((entry.path, relative + b"/", place))
        elif place not in self.entered:
            self.entered.add(place)
            self.folders.append((entry.path, relative + b"/"))
        return None


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
