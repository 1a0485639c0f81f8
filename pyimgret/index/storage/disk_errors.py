"""What to do about a file that could not be written."""

from __future__ import annotations

import errno

from pyimgret.exceptions import IndexStoreError

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}


def not_written(what: str, error: Exception) -> IndexStoreError:
    """Return the error that says what could not be written, why, and what to do.

    Examples
    --------
    >>> print(not_written("the graph", OSError(errno.ENOSPC, "No space left on device")))
    Cannot write the graph: [Errno 28] No space left on device. Nothing that was stored is \
lost; free some space and repeat it.
    """
    return IndexStoreError(f"Cannot write {what}: {error}.{_advice(error)}")


def _advice(error: Exception) -> str:
    number, text = getattr(error, "errno", None), str(error)
    # NB: faiss raises RuntimeError with the system's words only.
    if number in _FULL or "No space left" in text or "File too large" in text:
        return " Nothing that was stored is lost; free some space and repeat it."
    if number in _CLOSED:
        return " Choose a folder that can be written to."
    return ""
