"""Input of a job: an array in a file, or the images in a folder."""

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
    """Return a path as a URL for Hadoop's file systems; URLs are unchanged.

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
        A path that is valid on every machine of the cluster.
    shape : tuple of int, optional
        Shape of one row; only needed if this machine cannot read the file.
    """

    path: str | os.PathLike[str]
    shape: tuple[int, ...] | None = None

    def sample(self) -> NDArray[Any]:
        """Return the first rows, or zeros if only the shape is known."""
        if self.shape is not None:
            return np.zeros((1, *self.shape), dtype=np.uint8)
        return np.ascontiguousarray(_open(Path(self.path))[:_SAMPLE])

    def to_dict(self, preprocessing: dict[str, Any] | None) -> dict[str, Any]:
        """Return the description that ``org.pyimgret.spark.Records`` reads."""
        described: dict[str, Any] = {"kind": "array", "path": to_url(self.path)}
        return described if preprocessing is None else described | {"preprocessing": preprocessing}


@dataclass(frozen=True)
class Images:
    """The image files in a folder.

    Attributes
    ----------
    path : path or URL
        A path that is valid on every machine of the cluster.
    hidden : bool
        Include hidden and system files; see `pyimgret.files.walking`.
    """

    path: str | os.PathLike[str]
    hidden: bool = False

    def to_dict(self, preprocessing: dict[str, Any] | None) -> dict[str, Any]:
        """Return the description that ``org.pyimgret.spark.Records`` reads."""
        if preprocessing is None:
            raise DimensionMismatchError(
                "Images need a preprocessing that defines their size, and this model has none: it "
                "takes vectors. Encode vectors with Arrays(path)."
            )
        described = {"kind": "images", "path": to_url(self.path), "hidden": self.hidden}
        return described | {"preprocessing": preprocessing}


def _open(path: Path) -> NDArray[Any]:
    """Memory-map the array of a file."""
    with path.open("rb") as file:
        start = file.read(4)
        if start[:2] == b"\x1f\x8b":
            raise InvalidArgumentError(
                f"{path} is compressed by gzip, which cannot be read in parts; decompress it with "
                "gunzip -k."
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
