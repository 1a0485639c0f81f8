"""Errors of full or closed disks and of missing packages, with advice."""

from __future__ import annotations

import errno
import importlib
import warnings
from typing import Any

from pyimgret.exceptions import IndexStoreError, MissingExtraError

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}


def not_written(what: str, error: Exception) -> IndexStoreError:
    """Return the error for something that could not be written, with reason and advice.

    Examples
    --------
    >>> print(not_written("the graph", OSError(errno.ENOSPC, "No space left on device")))
    Cannot write the graph: [Errno 28] No space left on device. No stored data is \
lost; free some space and try again.
    """
    number, text, advice = getattr(error, "errno", None), str(error), ""
    # NB: faiss raises RuntimeError with only the system's message.
    if number in _FULL or "No space left" in text or "File too large" in text:
        advice = " No stored data is lost; free some space and try again."
    elif number in _CLOSED:
        advice = " Choose a folder that can be written to."
    return IndexStoreError(f"Cannot write {what}: {text}.{advice}")


def import_extra(module: str, *, package: str, extra: str, what: str) -> Any:
    """Import a module of an optional package, or raise an error that says what to install."""
    try:
        with warnings.catch_warnings():
            # NB: the generated wrappers of faiss raise deprecation warnings on newer Pythons.
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(
            f"{what} needs the package {package}: pip install 'pyimgret[{extra}]'."
        ) from None
