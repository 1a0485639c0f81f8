"""Images to network input: decoding, resizing and scaling, defined once."""

from pyimgret.preprocessing.decoding import FORMATS, MAX_PIXELS, decode
from pyimgret.preprocessing.preprocessor import MAX_SIDE, Preprocessor

__all__ = ["FORMATS", "MAX_PIXELS", "MAX_SIDE", "Preprocessor", "decode"]
