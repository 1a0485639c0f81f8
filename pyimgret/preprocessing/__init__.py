"""Preprocessing: decoding, resizing and scaling of images."""

from pyimgret.preprocessing.decoding import FORMATS, MAX_PIXELS, decode
from pyimgret.preprocessing.preprocessor import MAX_SIDE, Preprocessor
from pyimgret.preprocessing.vectors import as_vectors, check_image, normalize, unit_vectors

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "MAX_SIDE",
    "Preprocessor",
    "as_vectors",
    "check_image",
    "decode",
    "normalize",
    "unit_vectors",
]
