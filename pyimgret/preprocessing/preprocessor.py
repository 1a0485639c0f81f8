"""Preprocessing of images to network input, stored in every model.

The rules below are exact: Python and Java give bit-identical results
(``org.pyimgret.encoder.ImagePreprocessor``). ``//`` is integer division.

1. **Decode.** Pillow reads the first frame at full size (JPEG never in draft mode); colour
   profiles are ignored. Only the formats in `FORMATS` are tried. A truncated file is an
   error. More than ``max_pixels`` pixels (width x height in the header) is an error.
2. **Orientation.** The EXIF tag 0x0112 (JPEG, PNG ``eXIf``, WebP, TIFF) rotates the image:
   2 mirror left-right, 3 rotate by 180 degrees, 4 mirror top-bottom, 5 transpose,
   6 rotate clockwise by 90, 7 transverse, 8 rotate counter-clockwise by 90. Any other
   value, or EXIF data that cannot be read, means upright. XMP is not read.
3. **Eight bits.** 16-bit grey (also Pillow's mode ``I``, clipped to 0..65535): ``p >> 8``,
   and so 16-bit colour, which Pillow reads by its high bytes. Mode ``F``: clipped to
   0..255, rounded down, NaN is 0. Mode ``1``: 0 and 255. Palettes are expanded.
   CMYK: ``n = 255 - k``, ``t = c * n + 128``, ``r = n - (((t >> 8) + t) >> 8)``, likewise g
   from m, b from y; below zero is 0.
4. **Alpha** (an alpha channel, a palette with alpha, or a transparent colour), over white:
   ``(c * a + 255 * (255 - a) + 127) // 255`` for every channel. Alpha of 16-bit grey
   (a transparent grey value) is ignored, and so is a transparent colour above 255.
5. **Mode.** To "L": ``(19595 * r + 38470 * g + 7471 * b + 32768) >> 16``; to "RGB": grey is
   repeated three times.
6. **Resize**, on 8 bits, by Pillow's ``Image.resize`` (antialiased, ``reducing_gap=None``)
   with the named filter, only when the size differs; first across, then down, except that an
   image that grows in width and shrinks in height goes down first:
   "stretch" goes to (width, height) at once; "crop" brings the shorter side to
   ``short_side`` and the longer one to ``short_side * longer // shorter``, and then cuts
   height x width out of the middle, starting at ``round((size - wanted) / 2)``, halves
   rounded to even (as torchvision does). "crop" whose resized image would hold more
   than ``max_pixels`` pixels is an error.
7. **Scale**, by a table of 256 values a channel: ``(p / 255 - mean) / std``, computed in
   float64 and rounded to float32 once.

The result is float32, ``(height, width)`` for "L", ``(height, width, 3)`` for "RGB",
C-contiguous.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from pyimgret.choices import choose
from pyimgret.exceptions import ImageDecodeError, InvalidArgumentError, ModelFormatError
from pyimgret.preprocessing.decoding import FORMATS, MAX_PIXELS, decode

__all__ = ["FORMATS", "MAX_PIXELS", "MAX_SIDE", "Preprocessor", "decode"]

if TYPE_CHECKING:
    from PIL import Image

    from pyimgret.preprocessing.decoding import ImageLike

MAX_SIDE: Final = 16_384
_FILTERS: Final = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
_CHANNELS: Final = {"L": 1, "RGB": 3}


@dataclass(frozen=True)
class Preprocessor:
    """Converts images to float32 arrays of one size; see the module for the exact rules.

    Parameters
    ----------
    mode : {"L", "RGB"}
        Grey or colour.
    height, width : int
        Size of the result in pixels.
    resize : {"stretch", "crop"}
        Directly to the size, or the shorter side to `short_side` and then a centre crop.
    short_side : int, optional
        Only for "crop": at least `height` and `width`.
    filter : {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"}
    mean, std : sequence of float
        One value, or one per channel, for pixels in 0..1.
    max_pixels : int
        Maximum size of an image to decode. A safety limit, not part of the definition, and not
        stored; Pillow's own ``Image.MAX_IMAGE_PIXELS`` applies too.

    Examples
    --------
    >>> Preprocessor(height=2, width=2)(np.array([[0, 255], [51, 102]], dtype=np.uint8))
    array([[0. , 1. ],
           [0.2, 0.4]], dtype=float32)
    >>> Preprocessor("RGB", 224, 224).shape
    (224, 224, 3)
    """

    mode: str = "L"
    height: int = 28
    width: int = 28
    resize: str = "stretch"
    short_side: int | None = None
    filter: str = "bilinear"
    mean: Sequence[float] = (0.0,)
    std: Sequence[float] = (1.0,)
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        choose("mode", self.mode, _CHANNELS)
        choose("resize", self.resize, ("stretch", "crop"))
        choose("filter", self.filter, _FILTERS)
        _check_side("height", self.height)
        _check_side("width", self.width)
        self._check_short_side()
        for name in ("mean", "std"):
            values = _channel_values(name, getattr(self, name), _CHANNELS[self.mode])
            object.__setattr__(self, name, values)
        if min(self.std) <= 0:
            raise InvalidArgumentError(f"std={self.std} must be positive in every channel.")

    def _check_short_side(self) -> None:
        if self.resize == "stretch":
            if self.short_side is not None:
                raise InvalidArgumentError(
                    f"short_side={self.short_side} is only valid with resize='crop'."
                )
            return
        _check_side("short_side", self.short_side)
        if self.short_side is None or self.short_side < max(self.height, self.width):
            raise InvalidArgumentError(
                f"short_side={self.short_side} is smaller than the crop of "
                f"{self.height} x {self.width}; choose at least {max(self.height, self.width)}."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one result: ``(height, width)`` or ``(height, width, 3)``."""
        size = (self.height, self.width)
        return size if self.mode == "L" else (*size, 3)

    def __call__(self, image: ImageLike) -> npt.NDArray[np.float32]:
        """Preprocess one image to float32 of shape `shape`.

        Parameters
        ----------
        image : ndarray of uint8 (h, w) or (h, w, 3), path, bytes, or PIL image
            ``bytes`` are the content of a file, not its name.

        Raises
        ------
        ImageDecodeError
            If it is not a readable image.
        """
        return self._scale(self.pixels(image))

    def batch(self, images: npt.NDArray[np.uint8] | Iterable[ImageLike]) -> npt.NDArray[np.float32]:
        """Preprocess images to float32 ``(n, *shape)``.

        Parameters
        ----------
        images : ndarray of uint8 (n, h, w) or (n, h, w, 3), or iterable of images

        Raises
        ------
        ImageDecodeError
            If an image cannot be read; the message contains its position.
        """
        if isinstance(images, np.ndarray):
            _check_batch(images)
            if images.shape[1:] == self.shape:
                return self._scale(images)
        elif isinstance(images, (str, bytes, bytearray, os.PathLike)):
            raise TypeError("batch() takes several images; put a single image into a list.")
        results = []
        for position, image in enumerate(images):
            try:
                results.append(self(image))
            except ImageDecodeError as error:
                raise ImageDecodeError(f"image {position}: {error}") from error
        return np.stack(results) if results else np.empty((0, *self.shape), np.float32)

    def pixels(self, image: ImageLike) -> npt.NDArray[np.uint8]:
        """Preprocess one image to uint8 of shape `shape`, without the scaling.

        Raises
        ------
        ImageDecodeError
            If it is not a readable image.
        """
        resized = decode(image, self.mode, max_pixels=self.max_pixels)
        if self.resize == "crop":
            resized = self._resize_short_side(resized)
            # NB: Python's round() rounds halves to even, as torchvision does.
            left = round((resized.width - self.width) / 2)
            top = round((resized.height - self.height) / 2)
            resized = resized.crop((left, top, left + self.width, top + self.height))
        else:
            resized = _resize(resized, self.width, self.height, self.filter)
        # NB: np.array would release the GIL for the copy and have to wait for it on a busy server.
        return np.frombuffer(bytearray(resized.tobytes()), dtype=np.uint8).reshape(self.shape)

    def _resize_short_side(self, image: Image.Image) -> Image.Image:
        shorter, longer = sorted(image.size)
        assert self.short_side is not None  # resize is "crop"
        new_longer = self.short_side * longer // shorter
        if self.short_side * new_longer > self.max_pixels:
            raise ImageDecodeError(
                f"an image of {image.width} x {image.height} is too long: with its shorter "
                f"side at {self.short_side} it has more than {self.max_pixels} pixels."
            )
        wide = image.width > image.height
        size = (new_longer, self.short_side) if wide else (self.short_side, new_longer)
        return _resize(image, *size, self.filter)

    def _scale(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        tables = self.table()
        scaled: npt.NDArray[np.float32]
        if self.mode == "L":
            scaled = tables[0].take(pixels)
            return scaled
        scaled = np.empty(pixels.shape, np.float32)
        for channel, table in enumerate(tables):
            scaled[..., channel] = table.take(pixels[..., channel])
        return scaled

    def unscale(self, tensors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Invert the scaling of tensors (or reconstructions), to 0..1."""
        mean, std = np.array(self.mean), np.array(self.std)
        if self.mode == "L":
            mean, std = mean[0], std[0]
        unscaled: npt.NDArray[np.float32] = tensors * std + mean
        return unscaled

    def table(self) -> npt.NDArray[np.float32]:
        """Return the scaled value of each pixel level, (channels, 256)."""
        return _tables(tuple(self.mean), tuple(self.std))

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as a JSON-serializable dict, for `from_dict`."""
        values = {name: getattr(self, name) for name in _STORED}
        return values | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Create a preprocessor from the result of `to_dict`.

        Raises
        ------
        ModelFormatError
            If a field is missing or unknown, or has an unknown value.

        Examples
        --------
        >>> stored = Preprocessor("RGB", 64, 64).to_dict()
        >>> Preprocessor.from_dict(stored) == Preprocessor("RGB", 64, 64)
        True
        """
        if not isinstance(values, Mapping):
            raise ModelFormatError(f"the preprocessing is {type(values).__name__}, not an object.")
        if unknown := sorted(map(str, values.keys() - set(_STORED))):
            raise ModelFormatError(
                f"the preprocessing has unknown fields: {unknown}; a newer pyimgret wrote it."
            )
        if missing := sorted(set(_STORED) - values.keys()):
            raise ModelFormatError(f"the preprocessing lacks the fields {missing}.")
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ModelFormatError(f"the preprocessing is not usable: {error}") from error


_STORED: Final = tuple(f.name for f in fields(Preprocessor) if f.name != "max_pixels")


def _resize(image: Image.Image, width: int, height: int, name: str) -> Image.Image:
    from PIL import Image

    # NB: each pass rounds to 8 bits, and Pillow 12 and 13 order them differently.
    down_first = width > image.width and height < image.height
    between = (image.width, height) if down_first else (width, image.height)
    for size in (between, (width, height)):
        if image.size != size:
            image = image.resize(size, Image.Resampling[name.upper()], reducing_gap=None)
    return image


@functools.lru_cache(maxsize=64)
def _tables(mean: tuple[float, ...], std: tuple[float, ...]) -> npt.NDArray[np.float32]:
    levels = np.arange(256, dtype=np.float64) / 255
    tables: npt.NDArray[np.float64] = levels - np.array(mean)[:, None]
    tables /= np.array(std)[:, None]
    return tables.astype(np.float32)


def _check_batch(images: npt.NDArray[Any]) -> None:
    if images.ndim not in (3, 4) or (images.ndim == 3 and images.shape[2] == 3):
        raise ImageDecodeError(
            f"an array of shape {images.shape} is not a batch; expected uint8 (n, h, w) or "
            "(n, h, w, 3). Put a single image into a list."
        )
    if images.dtype != np.uint8:
        raise ImageDecodeError(f"an array of {images.dtype} is not a batch of uint8 images.")


def _check_side(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SIDE:
        raise InvalidArgumentError(f"{name}={value!r} must be a whole number from 1 to {MAX_SIDE}.")


def _channel_values(name: str, values: Any, channels: int) -> tuple[float, ...]:
    """Return `values` as one float per channel."""
    numbers = [values] if isinstance(values, Real) else list(values)
    if len(numbers) == 1:
        numbers *= channels
    if len(numbers) != channels or not all(
        isinstance(v, Real) and math.isfinite(v) for v in numbers
    ):
        raise InvalidArgumentError(f"{name}={values!r} must be {channels} finite numbers (or one).")
    return tuple(float(v) for v in numbers)
