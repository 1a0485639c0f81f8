"""Errors as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response, g, request
from pydantic import BaseModel, Field, ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from pyimgret.exceptions import (
    DimensionMismatchError,
    ImageDecodeError,
    IndexStoreError,
    KeyExistsError,
    KeyNotFoundError,
)
from pyimgret.index.filters import FilterError
from pyimgret_server.logs import redacted_traceback

MEDIA_TYPE = "application/problem+json"
_TOO_LARGE = "request-entity-too-large"
_log = logging.getLogger("pyimgret_server")


class ProblemDetails(BaseModel):
    """The body of an error response (RFC 9457)."""

    type: str = Field(description="URN of the kind of problem.")
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="The actual and the expected value, and what to do.")
    request_id: str = Field(description="The id of the request in the service's log.")


class ProblemError(Exception):
    """An error response.

    Parameters
    ----------
    status : int
    kind : str
        A few words with hyphens, such as "undecodable-image".
    detail : str
        For people: the actual and the expected value, and what to do.
    headers : dict of str to str, optional
    """

    def __init__(
        self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})

    def body(self, request_id: str) -> bytes:
        """Return the JSON document."""
        title = self.kind.replace("-", " ").capitalize()
        document = {
            "type": f"urn:pyimgret:problem:{self.kind}",
            "title": title,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        # NB: ASCII, so that a lone surrogate of the request cannot break the response.
        return json.dumps(document).encode("ascii")

    def response(self) -> Response:
        """Return the response."""
        return Response(self.body(g.request_id), self.status, self.headers, content_type=MEDIA_TYPE)


def busy(detail: str, *, after: int = 1) -> ProblemError:
    """Return the error of a service that is temporarily overloaded."""
    return ProblemError(503, "busy", detail, {"Retry-After": str(after)})


def too_large(limit: int) -> ProblemError:
    """Return the error for a request body above the size limit."""
    detail = f"The body is larger than the limit of {limit} bytes (--max-upload)."
    return ProblemError(413, _TOO_LARGE, detail)


def as_problem(error: Exception) -> ProblemError:
    """Convert an exception to a problem for the client."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, HTTPException):
        return _from_http(error)
    if isinstance(error, ValidationError):
        return ProblemError(422, "invalid-request", _explained(error))
    if isinstance(error, KeyExistsError):
        return ProblemError(409, "key-exists", _KEY_EXISTS)
    for kind, status, name in _KNOWN:
        if isinstance(error, kind):
            return ProblemError(status, name, str(error))
    # NB: not exc_info: handlers would then write messages that contain keys.
    extra = {"request_id": g.get("request_id")}
    if isinstance(error, IndexStoreError):
        # NB: the message contains paths of the server, which must not be exposed.
        _log.error("the index failed: %s", redacted_traceback(error), extra=extra)
        return busy("The index cannot be read or written at the moment; try again later.", after=5)
    _log.error("unexpected error: %s", redacted_traceback(error), extra=extra)
    return ProblemError(500, "internal-error", "Something went wrong; the log says what.")


_KEY_EXISTS = "An item with this key exists; send replace=true to replace it."
KEY_EXISTS = f"urn:pyimgret:problem:key-exists. {_KEY_EXISTS}"
"""The OpenAPI description of 409, which has no other cause."""

_KNOWN: tuple[tuple[type[Exception], int, str], ...] = (
    (ImageDecodeError, 422, "undecodable-image"),
    (KeyNotFoundError, 404, "no-such-item"),
    (DimensionMismatchError, 422, "wrong-dimension"),
    (FilterError, 422, "invalid-filter"),
)


def _from_http(error: HTTPException) -> ProblemError:
    """Convert an error of Werkzeug, keeping its headers (``Allow``, …)."""
    if isinstance(error, RequestEntityTooLarge):
        limit = request.max_content_length
        if limit is not None and (request.content_length or 0) > limit:
            return too_large(limit)
        detail = f"A form may have {request.max_form_parts} parts at most."
        return ProblemError(413, _TOO_LARGE, detail)
    code = error.code or 500
    kind = HTTPStatus(code).phrase.lower().replace(" ", "-").replace("'", "")
    headers = {n: v for n, v in error.get_headers() if n.lower() != "content-type"}
    return ProblemError(code, kind, error.description or HTTPStatus(code).phrase, headers)


def _explained(error: ValidationError) -> str:
    """Describe the validation errors of a request, without its data."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(map(_sentence, found[:5])) + "."


def _sentence(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    place = ".".join(str(part)[:80] for part in error["loc"])
    return f"{place}: {message}" if place else message
