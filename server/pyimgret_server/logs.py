"""Logs: one JSON object a line, with the id of the request."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from typing import Any, TextIO

_FIELDS = ("request_id", "method", "route", "status", "ms", "client", "key_name")


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
            entry["exception"] = self.formatException(record.exc_info)
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
