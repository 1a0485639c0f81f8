"""The exceptions of pyimgret, all derived from `PyimgretError`.

Messages state the actual and the expected value, and what to do. Where a built-in
exception fits, the class is derived from that too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


class PyimgretError(Exception):
    """The base class of all errors that pyimgret raises intentionally."""


class InvalidArgumentError(PyimgretError, ValueError):
    """An argument, setting or input of an invalid type, range or size."""


class ModelInUseError(PyimgretError, RuntimeError):
    """A model that is being trained by another thread."""


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


if TYPE_CHECKING:

    class NotFittedError(PyimgretError, ValueError, AttributeError):
        """A model was used before ``fit``; also scikit-learn's error of that name."""


class DimensionMismatchError(PyimgretError, ValueError):
    """An array does not have the shape that the model or the index expects."""


class ModelFormatError(PyimgretError, ValueError):
    """A model file that is damaged, too new, or unsafe to load."""


class IndexStoreError(PyimgretError, RuntimeError):
    """The directory of an index cannot be read or written, or is damaged."""


class KeyNotFoundError(IndexStoreError, KeyError):
    """A key that the index does not contain."""

    def __str__(self) -> str:
        # NB: KeyError would print the repr of its argument.
        return RuntimeError.__str__(self)


class KeyExistsError(IndexStoreError, ValueError):
    """A key that the index already contains, where a new one was expected."""


class ModelMismatchError(IndexStoreError, ValueError):
    """A model or preprocessing other than the one the index was built with."""


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
    """The published weights of a network were not found; the message says what to do."""


def __getattr__(name: str) -> Any:
    # NB: importing scikit-learn is slow, so its error becomes a base only when it is needed.
    if name != "NotFittedError":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sklearn import exceptions

    class NotFittedError(PyimgretError, exceptions.NotFittedError):  # type: ignore[misc]
        """A model was used before ``fit``; also scikit-learn's error of that name."""

    NotFittedError.__qualname__ = name
    return globals().setdefault(name, NotFittedError)
