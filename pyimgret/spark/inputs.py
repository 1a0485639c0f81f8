"""What a job reads: an array in a file, or the pictures below a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import DimensionMismatchError, InvalidArgumentError

_SAMPLE = 256


def to_url(path: str | os.PathLike[str]) -> str:
    """Return a path as Hadoop's file systems know it; a URL stays as it is.

    Examples
    --------
    >>> to_url("hdfs://host/photos")
    'hdfs://host/photos'
    >>> to_url("/data/my photos")
    'file:/data/my photos'
    """
    text = os.fspath(path)
    return text if "://" in text else f"file:{Path(text).absolute()}"


@dataclass(frozen=True)
class Arrays:
    """Rows of an array: an IDX file (not gzipped) or NumPy's ``.npy``, uint8 or float32.

    Attributes
    ----------
    path : path or URL
        One that every machine of the cluster sees under this name.
    shape : tuple of int, optional
        Of one row, and needed only where this machine cannot read the file itself.
    """

    path: str | os.PathLike[str]
    shape: tuple[int, ...] | None = None

    def sample(self) -> NDArray[Any]:
        """Return the first rows, to learn type and shape from; zeros where only those are known."""
        if self.shape is not None:
            return np.zeros((1, *self.shape), dtype=np.uint8)
        return np.ascontiguousarray(_open(Path(self.path))[:_SAMPLE])

    def to_dict(self, preprocessing: dict[str, Any] | None) -> dict[str, Any]:
        """Return the description that ``org.pyimgret.spark.Records`` reads."""
        described: dict[str, Any] = {"kind": "array", "path": to_url(self.path)}
        return described if preprocessing is None else described | {"preprocessing": preprocessing}


@dataclass(frozen=True)
class Pictures:
    """The picture files below a folder.

    Attributes
    ----------
    path : path or URL
        One that every machine of the cluster sees under this name.
    hidden : bool
        Take hidden and system files too; see `pyimgret.files.walking`.
    """

    path: str | os.PathLike[str]
    hidden: bool = False

    def to_dict(self, preprocessing: dict[str, Any] | None) -> dict[str, Any]:
        """Return the description that ``org.pyimgret.spark.Records`` reads."""
        if preprocessing is None:
            raise DimensionMismatchError(
                "Pictures need a preprocessing that says their size, and this model has none: it "
                "takes vectors. Encode vectors with Arrays(path)."
            )
        return {
            "kind": "pictures", "path": to_url(self.path), "hidden": self.hidden,
            "preprocessing": preprocessing,
        }  # fmt: skip


def _open(path: Path) -> NDArray[Any]:
    """Map the array of a file, reading next to nothing of it."""
    with path.open("rb") as file:
        start = file.read(4)
        if start[:2] == b"\x1f\x8b":
            raise InvalidArgumentError(
                f"{path} is packed by gzip, which cannot be read in parts; unpack it by gunzip -k."
            )
        if start == b"\x93NUM":
            mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
            return mapped
        types = {8: ">u1", 13: ">f4"}
        if start[:2] != b"\0\0" or len(start) < 4 or start[2] not in types:
            raise InvalidArgumentError(
                f"{path} is neither an IDX file of uint8 or float32 nor a .npy file."
            )
        shape = tuple(int(n) for n in np.frombuffer(file.read(4 * start[3]), ">u4"))
    return np.memmap(path, types[start[2]], "r", 4 + 4 * len(shape), shape)
