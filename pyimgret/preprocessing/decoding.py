"""Decoding of images: steps 1 to 5 of `pyimgret.preprocessing.preprocessor`."""

from __future__ import annotations

import functools
import io
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from pyimgret.exceptions import ImageDecodeError

if TYPE_CHECKING:
    from PIL import Image

    ImageLike: TypeAlias = (
        npt.NDArray[np.uint8]
        | str
        | os.PathLike[str]
        | bytes
        | bytearray
        | memoryview
        | Image.Image
    )

FORMATS: Final = ("BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP", "AVIF")
"""Pillow's names of the accepted file formats (if this build of Pillow supports them)."""

MAX_PIXELS: Final = 100_000_000
_STRIP: Final = 1 << 20
"""Pixels composited at a time, to limit the memory for large images with alpha."""


def decode(image: ImageLike, mode: str = "RGB", *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image: upright, 8-bit, without alpha (steps 1 to 5 of the preprocessing).

    Parameters
    ----------
    image : ndarray of uint8 (h, w) or (h, w, 3), path, bytes, or PIL image
    mode : {"L", "RGB"}
    max_pixels : int

    Returns
    -------
    PIL.Image.Image
        In `mode`, at full size. The input is not modified.

    Raises
    ------
    ImageDecodeError
        If it is not a readable image.
    """
    from PIL import Image

    try:
        if isinstance(image, np.ndarray):
            return _to_mode(_from_array(image), mode)
        if isinstance(image, Image.Image):
            return _convert(image, mode, max_pixels)
        if isinstance(image, (bytes, bytearray, memoryview)):
            with Image.open(io.BytesIO(image), formats=_formats()) as opened:
                return _convert(opened, mode, max_pixels)
        if not isinstance(image, (str, os.PathLike)):
            raise ImageDecodeError(f"a {type(image).__name__} is not an image; {_EXPECTED}.")
        with _open_regular(image) as file, Image.open(file, formats=_formats()) as opened:
            return _convert(opened, mode, max_pixels)
    except ImageDecodeError as error:
        raise ImageDecodeError(f"{_name(image)}{error}", reason=str(error)) from error
    except Exception as error:
        # NB: on malformed files Pillow's decoders raise many exceptions (OSError,
        # SyntaxError, struct.error, MemoryError, DecompressionBombError ...).
        reason = _reason(error)
        raise ImageDecodeError(f"{_name(image)}{reason}", reason=reason) from error


_EXPECTED: Final = "expected a uint8 array (h, w) or (h, w, 3), a path, bytes, or a PIL image"


def _convert(image: Image.Image, mode: str, max_pixels: int) -> Image.Image:
    """Rotate a PIL image upright and convert it to `mode`."""
    width, height = image.size
    if not 0 < width * height <= max_pixels:
        raise ImageDecodeError(
            f"{width} x {height} pixels; between 1 and {max_pixels} are accepted."
        )
    image.load()
    return _to_mode(_without_alpha(_eight_bits(_upright(image))), mode)


def _upright(image: Image.Image) -> Image.Image:
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,  # Pillow counts counter-clockwise
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    turn = turns.get(_orientation(image))
    if turn is None:
        return image
    upright = image.transpose(turn)
    # NB: remove the EXIF data, or decoding the copy again would rotate it once more.
    upright.info.pop("exif", None)
    return upright


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 if there is none (Pillow itself rotates TIFF)."""
    from PIL import Image

    data = image.info.get("exif")
    if not isinstance(data, bytes):
        return 1
    try:
        exif = Image.Exif()
        exif.load(data)
        value = exif.get(0x0112)
    except Exception:  # damaged EXIF data must not make the image unreadable
        return 1
    return value if isinstance(value, int) else 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """Convert wider pixel types to mode L, and other colour spaces to RGB."""
    from PIL import Image

    if image.mode.startswith("I"):
        values = np.clip(np.asarray(image), 0, 65535)
        return Image.fromarray((values >> 8).astype(np.uint8))
    if image.mode == "F":
        reals = np.nan_to_num(np.asarray(image), nan=0.0, posinf=255.0, neginf=0.0)
        return Image.fromarray(np.clip(reals, 0, 255).astype(np.uint8))
    if image.mode in ("La", "RGBa"):
        return image.convert(image.mode.upper())
    if image.mode in ("CMYK", "YCbCr", "HSV", "LAB", "RGBX"):
        return image.convert("RGB")
    return image


def _without_alpha(image: Image.Image) -> Image.Image:
    """Return an image in mode 1, L or RGB, composited over white if it has alpha."""
    from PIL import Image

    if not _has_alpha(image):
        return image.convert("RGB") if image.mode == "P" else image
    image = image.convert("LA" if image.mode in ("1", "L", "LA") else "RGBA")
    values = np.asarray(image)
    flat = np.empty((*values.shape[:2], values.shape[2] - 1), np.uint8)
    rows = max(1, _STRIP // values.shape[1])
    for top in range(0, len(values), rows):
        # Over white, in 16-bit arithmetic.
        strip = values[top : top + rows].astype(np.uint16)
        alpha = strip[..., -1:]
        flat[top : top + rows] = (strip[..., :-1] * alpha + (255 * (255 - alpha) + 127)) // 255
    return Image.fromarray(flat[..., 0] if flat.shape[2] == 1 else flat)


def _has_alpha(image: Image.Image) -> bool:
    if image.mode in ("LA", "PA", "RGBA"):
        return True
    key = image.info.get("transparency")
    if image.mode == "P":
        return key is not None or (image.palette is not None and image.palette.mode == "RGBA")
    if image.mode == "RGB":
        return isinstance(key, tuple) and max(key) <= 255
    return image.mode in ("1", "L") and isinstance(key, int) and key <= 255


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    from PIL import Image

    colour = array.ndim == 3 and array.shape[2] == 3
    if array.dtype != np.uint8 or not (array.ndim == 2 or colour) or array.size == 0:
        raise ImageDecodeError(
            f"an array of shape {array.shape} and type {array.dtype} is not an image; {_EXPECTED}."
        )
    return Image.fromarray(np.ascontiguousarray(array))


def is_url(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a URL rather than a file name."""
    name = os.fsdecode(path)
    return bool(_URL.match(name)) and not os.path.exists(name)  # noqa: PTH110  (keeps "//")


URL_ADVICE: Final = "URLs are not fetched; download the image and give its file or its bytes."
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def _open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a regular file; reject pipes and devices, which could block or never end."""
    if is_url(path):
        raise ImageDecodeError(URL_ADVICE)
    kind = os.stat(path).st_mode  # noqa: PTH116  (the path may be a str)
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "not a regular file"
        raise ImageDecodeError(f"it is {what}.")
    return Path(path).open("rb")


@functools.cache
def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def printable(path: str | os.PathLike[str]) -> str:
    """Return a file name for a message, with undecodable bytes escaped."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _name(image: object) -> str:
    return f"{printable(image)}: " if isinstance(image, (str, os.PathLike)) else ""


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"not an image in a known format ({', '.join(_formats())})."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    return f"cannot be decoded: {str(error) or type(error).__name__}"
