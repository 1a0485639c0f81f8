"""Logging: one JSON object per line, with the id of the request."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sqlite3
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any, TextIO

from pyimgret.exceptions import IndexStoreError

_QUOTED = re.compile(r"""(?<!\w)(['"])(?:\\.|(?!\1).)*(?:\1|$)""", re.DOTALL)
_FIELDS = ("request_id", "method", "route", "status", "ms", "client", "key_name")


def redacted_traceback(error: BaseException) -> str:
    """Return a traceback without data of clients or of the index.

    Messages may contain keys, metadata and files of users. So only messages about the state of
    the index are included, without quoted text.
    """
    parts = []
    for one in reversed(list(_chain(error))):
        parts += traceback.format_tb(one.__traceback__)
        parts.append(f"{type(one).__module__}.{type(one).__qualname__}: {_redacted(one)}\n")
    return "".join(parts)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _redacted(error: BaseException) -> str:
    if isinstance(error, (IndexStoreError, sqlite3.Error)):
        return _QUOTED.sub("'…'", str(error))
    if isinstance(error, OSError):
        return error.strerror or "(no message)"
    return "(message left out)"


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            entry["exception"] = redacted_traceback(record.exc_info[1] or BaseException())
        return json.dumps(entry)


class _NoLock(contextlib.nullcontext[None]):
    """Replaces a handler's lock: since Python 3.13 logging requires an object."""

    def acquire(self) -> None:
        pass

    def release(self) -> None:
        pass


class _Handler(logging.StreamHandler[TextIO]):
    """Writes each line with one call, so that threads do not wait for a lock."""

    def createLock(self) -> None:  # noqa: N802  (logging's name)
        """Create no lock: streams write a line as a whole."""
        self.lock = _NoLock()  # type: ignore[assignment]


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send the logs of the service and errors of the web server to a stream."""
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name, least in (("pyimgret_server", level), ("waitress", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(least)
        logger.propagate = False


def _timestamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
