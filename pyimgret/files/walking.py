"""Walking a folder: the common rule for everything that reads images from folders.

Hidden files and folders are skipped by default: names that begin with a dot, and
files created by operating systems (`SYSTEM_NAMES`, in any case). Every other name is
included. The rule is the same in ``org.pyimgret.spark.ImageFolder``.
"""

from __future__ import annotations

import heapq
import os
import stat
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

SYSTEM_NAMES: Final = frozenset(
    b"thumbs.db|ehthumbs.db|desktop.ini|__macosx|$recycle.bin|system volume information".split(b"|")
)

BROKEN_LINK: Final = "broken symbolic link"


class FoundFile(NamedTuple):
    """A regular file: absolute path and path below the folder, both in raw bytes."""

    path: bytes
    relative: bytes
    size: int
    mtime_ns: int


class Unreadable(NamedTuple):
    """Something that is not a readable file or folder."""

    path: bytes
    relative: bytes
    reason: str


class Hidden(NamedTuple):
    """A hidden file, or a hidden folder with its contents."""

    path: bytes
    relative: bytes


Entry = FoundFile | Unreadable | Hidden


def is_hidden(name: bytes) -> bool:
    """Return whether a file or folder of this name is hidden.

    Examples
    --------
    >>> is_hidden(b".git"), is_hidden(b"Thumbs.db"), is_hidden(b"thumbs.png")
    (True, True, False)
    """
    return name.startswith(b".") or name.lower() in SYSTEM_NAMES


def walk(root: bytes, *, hidden: bool = False) -> Iterator[Entry]:
    """Yield the files below a folder, in no particular order.

    Symbolic links are followed. Each folder is visited once: under its real path if that is
    below the root, so that circular links are safe; of several links to a folder elsewhere,
    the first by name is used.

    Parameters
    ----------
    root : bytes
        The folder itself may have any name.
    hidden : bool
        Include hidden files; otherwise they are yielded as `Hidden`.
    """
    return _Walk(root, hidden).files()


class _Walk:
    """One walk, and the folders visited so far by device and inode."""

    def __init__(self, root: bytes, hidden: bool) -> None:
        self.hidden = hidden
        status = os.stat(root)  # noqa: PTH116  (pathlib knows no bytes)
        self.entered = {(status.st_dev, status.st_ino)}
        self.folders: deque[tuple[bytes, bytes]] = deque([(root, b"")])
        self.links: list[tuple[bytes, bytes, tuple[int, int]]] = []

    def files(self) -> Iterator[Entry]:
        """Yield all entries; linked folders come after all real ones."""
        while self.folders or self.links:
            if not self.folders:
                path, below, place = heapq.heappop(self.links)
                if place in self.entered:
                    continue
                self.entered.add(place)
                self.folders.append((path, below))
            yield from self._scan_folder(*self.folders.popleft())

    def _scan_folder(self, folder: bytes, relative: bytes) -> Iterator[Entry]:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    found = self._classify(entry, relative + entry.name)
                    if found is not None:
                        yield found
        except OSError as error:
            yield Unreadable(folder, relative.rstrip(b"/"), _reason(error))

    def _classify(self, entry: os.DirEntry[bytes], relative: bytes) -> Entry | None:
        """Return an entry that is not a folder; queue folders."""
        if not self.hidden and is_hidden(entry.name):
            return Hidden(entry.path, relative)
        try:
            status = entry.stat()
        except OSError as error:
            reason = BROKEN_LINK if entry.is_symlink() else _reason(error)
            return Unreadable(entry.path, relative, reason)
        if stat.S_ISREG(status.st_mode):
            return FoundFile(entry.path, relative, status.st_size, status.st_mtime_ns)
        if not stat.S_ISDIR(status.st_mode):
            return Unreadable(entry.path, relative, "not a regular file")
        # NB: on Windows the entry itself has neither device nor inode.
        status = os.stat(entry.path)  # noqa: PTH116
        place = (status.st_dev, status.st_ino)
        if entry.is_symlink():
            heapq.heappush(self.links, (entry.path, relative + b"/", place))
        elif place not in self.entered:
            self.entered.add(place)
            self.folders.append((entry.path, relative + b"/"))
        return None


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
