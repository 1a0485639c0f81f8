"""Logs: one JSON object a line, with the id of the request."""

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

_access = logging.getLogger("pyimgret_server.access")
_QUOTED = re.compile(r"""(?<!\w)(['"])(?:\\.|(?!\1).)*(?:\1|$)""", re.DOTALL)
_FIELDS = ("request_id", "method", "route", "status", "ms", "client", "key_name")


def note_request(**fields: object) -> None:
    """Write the line about one request."""
    _access.info("request", extra=fields)


def without_data(error: BaseException) -> str:
    """Return a traceback that holds nothing of what was sent or indexed.

    Messages may quote keys, metadata and files of users. So only those that say what is wrong
    with the index are kept, and what stands in quotation marks there is left out.
    """
    parts = []
    for one in reversed(list(_chain(error))):
        parts += traceback.format_tb(one.__traceback__)
        parts.append(f"{type(one).__module__}.{type(one).__qualname__}: {_harmless(one)}\n")
    return "".join(parts)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _harmless(error: BaseException) -> str:
    if isinstance(error, (IndexStoreError, sqlite3.Error)):
        return _QUOTED.sub("'…'", str(error))
    if isinstance(error, OSError):
        return error.strerror or "(no message)"
    return "(message left out)"


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON; line breaks in it are escaped."""

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
            entry["exception"] = without_data(record.exc_info[1] or BaseException())
        return json.dumps(entry)


class _NoLock(contextlib.nullcontext[None]):
    """Takes the place of a handler's lock: from Python 3.13 on logging does not ask for None."""

    def acquire(self) -> None:
        pass

    def release(self) -> None:
        pass


class _Handler(logging.StreamHandler[TextIO]):
    """Writes a line by one call; threads that finish together do not wait for each other."""

    def createLock(self) -> None:  # noqa: N802  (logging's name)
        """Make none: a stream takes a line as a whole."""
        self.lock = _NoLock()  # type: ignore[assignment]


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send the service's logs, and its web server's warnings, to a stream."""
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
