"""The errors of pyimgret: one tree, so that ``except PyimgretError`` catches them all.

A message says what was got, what was expected, and what to do. Where a built-in
exception fits, the class is one of those as well.
"""

from __future__ import annotations


class PyimgretError(Exception):
    """The base of all errors that pyimgret raises on purpose."""


class InvalidArgumentError(PyimgretError, ValueError):
    """An argument, setting or input of a kind, range or size that makes no sense."""


class ModelInUseError(PyimgretError, RuntimeError):
    """A model that another thread is training."""


class ImageDecodeError(PyimgretError, ValueError):
    """A file, bytes or array that cannot be read as an image.

    Attributes
    ----------
    reason : str
        The message without the name of the file.
    """

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = message if reason is None else reason


class MissingExtraError(PyimgretError, ModuleNotFoundError):
    """A package that an optional part needs is not installed; the message names the extra."""


class NotFittedError(PyimgretError, ValueError):
    """A model was used before ``fit``."""


class DimensionMismatchError(PyimgretError, ValueError):
    """An array has another shape than the model or the index expects."""


class ModelFormatError(PyimgretError, ValueError):
    """A model file that is broken, too new, or could run code."""


class IndexStoreError(PyimgretError, RuntimeError):
    """The directory of an index cannot be read, written or trusted."""


class KeyNotFoundError(IndexStoreError, KeyError):
    """A key that the index does not hold."""

    def __str__(self) -> str:
        # NB: KeyError would print the repr of its argument.
        return RuntimeError.__str__(self)


class KeyExistsError(IndexStoreError, ValueError):
    """A key that the index holds already, where a new one was expected."""


class ModelMismatchError(IndexStoreError, ValueError):
    """Vectors of another model or preprocessing than the one the index was built with."""


class JvmStartError(PyimgretError, RuntimeError):
    """The Java virtual machine could not start, or cannot be used in this process."""


class TrainingError(PyimgretError, RuntimeError):
    """Training stopped because the loss or the parameters are no longer finite."""


class JavaCallError(PyimgretError, RuntimeError):
    """A call into Java failed.

    Attributes
    ----------
    java_class : str
        Name of the Java exception's class.
    java_stack : str
        The Java stack trace, as ``printStackTrace`` writes it.
    """

    def __init__(self, message: str, *, java_class: str = "", java_stack: str = "") -> None:
        super().__init__(message)
        self.java_class = java_class
        self.java_stack = java_stack


class WeightsNotFoundError(PyimgretError, FileNotFoundError):
    """The published weights of a network are nowhere to be had; the message says what to do."""
