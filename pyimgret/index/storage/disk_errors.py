"""Errors for files that could not be written, with advice."""

from __future__ import annotations

import errno

from pyimgret.exceptions import IndexStoreError

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
    return IndexStoreError(f"Cannot write {what}: {error}.{_advice(error)}")


def _advice(error: Exception) -> str:
    number, text = getattr(error, "errno", None), str(error)
    # NB: faiss raises RuntimeError with only the system's message.
    if number in _FULL or "No space left" in text or "File too large" in text:
        return " No stored data is lost; free some space and try again."
    if number in _CLOSED:
        return " Choose a folder that can be written to."
    return ""
