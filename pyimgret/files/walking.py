"""Walking a folder: the one rule for everything that reads images below a folder.

Hidden files and folders are left out unless they are wanted: names that begin with a dot, and
what systems leave in folders (`SYSTEM_NAMES`, in upper or lower case). Every other name is
taken. The rule is the same in ``org.pyimgret.spark.PictureFolder``.
"""

from __future__ import annotations

import heapq
import os
import stat
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

SYSTEM_NAMES: Final = frozenset(
    {
        b"thumbs.db", b"ehthumbs.db", b"desktop.ini", b"__macosx", b"$recycle.bin",
        b"system volume information",
    }
)  # fmt: skip


class FoundFile(NamedTuple):
    """A regular file: absolute path and path below the folder, both in raw bytes."""

    path: bytes
    relative: bytes
    size: int
    mtime_ns: int


class Unreadable(NamedTuple):
    """Something that is no readable file or folder."""

    path: bytes
    relative: bytes
    reason: str


class Hidden(NamedTuple):
    """A hidden file, or a hidden folder with all that is below it."""

    path: bytes
    relative: bytes


Entry = FoundFile | Unreadable | Hidden


def is_hidden(name: bytes) -> bool:
    """Tell whether a file or folder of this name is left out.

    Examples
    --------
    >>> is_hidden(b".git"), is_hidden(b"Thumbs.db"), is_hidden(b"thumbs.png")
    (True, True, False)
    """
    return name.startswith(b".") or name.lower() in SYSTEM_NAMES


def walk(root: bytes, *, hidden: bool = False) -> Iterator[Entry]:
    """Yield the files below a folder, in no particular order.

    Links are followed. Each folder is entered once, by its real place where that lies below
    the root, so that no link leads in circles; of several links to a folder elsewhere, the
    first by name gives it its name.

    Parameters
    ----------
    root : bytes
        The folder itself may have any name.
    hidden : bool
        Take hidden files too; otherwise they are yielded as `Hidden`.
    """
    return _Walk(root, hidden).files()


class _Walk:
    """One walk and the folders it has seen, by device and inode."""

    def __init__(self, root: bytes, hidden: bool) -> None:
        self.hidden = hidden
        status = os.stat(root)  # noqa: PTH116  (pathlib knows no bytes)
        self.entered = {(status.st_dev, status.st_ino)}
        self.folders: deque[tuple[bytes, bytes]] = deque([(root, b"")])
        self.links: list[tuple[bytes, bytes, tuple[int, int]]] = []

    def files(self) -> Iterator[Entry]:
        """Yield what there is; linked folders come after all real ones."""
        while self.folders or self.links:
            if not self.folders:
                path, below, place = heapq.heappop(self.links)
                if place in self.entered:
                    continue
                self.entered.add(place)
                self.folders.append((path, below))
            yield from self._inside(*self.folders.popleft())

    def _inside(self, folder: bytes, relative: bytes) -> Iterator[Entry]:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    found = self._look_at(entry, relative + entry.name)
                    if found is not None:
                        yield found
        except OSError as error:
            yield Unreadable(folder, relative.rstrip(b"/"), _reason(error))

    def _look_at(self, entry: os.DirEntry[bytes], relative: bytes) -> Entry | None:
        """Return what is no folder; put a folder into its queue."""
        if not self.hidden and is_hidden(entry.name):
            return Hidden(entry.path, relative)
        try:
            status = entry.stat()
        except OSError as error:
            reason = "a link that leads nowhere" if entry.is_symlink() else _reason(error)
            return Unreadable(entry.path, relative, reason)
        if stat.S_ISREG(status.st_mode):
            return FoundFile(entry.path, relative, status.st_size, status.st_mtime_ns)
        if not stat.S_ISDIR(status.st_mode):
            return Unreadable(entry.path, relative, "no regular file")
        # NB: on Windows the entry itself knows neither device nor inode.
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
