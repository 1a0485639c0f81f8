"""Errors as ``application/problem+json`` (RFC 9457): one shape for all of them."""

from __future__ import annotations

import json
import logging
import random
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request
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
from pyimgret_server.logs import without_data

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("pyimgret_server")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class ProblemDetails(BaseModel):
    """What an answer with a status of 400 or more says (RFC 9457)."""

    type: str = Field(description="Names the kind of problem; the same words for the same cause.")
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status, again.")
    detail: str = Field(description="What was got, what was expected, what to do.")
    request_id: str = Field(description="Stands in the service's log as well.")


class ProblemError(Exception):
    """An answer that is an error.

    Parameters
    ----------
    status : int
    kind : str
        A few words with hyphens, such as "undecodable-image".
    detail : str
        For people: what was got, what was expected, what to do.
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
        # NB: ASCII, so that a lone surrogate of the request cannot break the answer.
        return json.dumps(document).encode("ascii")

    def response(self) -> Response:
        """Return the answer."""
        return Response(self.body(g.request_id), self.status, self.headers, content_type=MEDIA_TYPE)


def busy(detail: str, *, after: int = 1) -> ProblemError:
    """Return the answer of a service that cannot take more at the moment."""
    return ProblemError(503, "busy", detail, {"Retry-After": str(after)})


def too_large(limit: int) -> ProblemError:
    """Return the answer to a body of more bytes than are taken."""
    return ProblemError(
        413, "request-entity-too-large",
        f"The body is larger than the {limit} bytes that this service takes (--max-upload).",
    )  # fmt: skip


def request_id(given: str | None) -> str:
    """Return the id of a request: the one that the client gave if it is harmless, or a new one."""
    if given and _REQUEST_ID.fullmatch(given):
        return given
    # NB: no secret; those of the operating system give the GIL up.
    return f"{random.getrandbits(64):016x}"


def install(app: Flask) -> None:
    """Make an application answer every error as a problem."""
    app.register_error_handler(Exception, lambda error: as_problem(error).response())


def as_problem(error: Exception) -> ProblemError:
    """Return the problem that an exception is for the client."""
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
    # NB: not by exc_info, for then every handler would write the messages, which quote keys.
    told = {"request_id": g.get("request_id")}
    if isinstance(error, IndexStoreError):
        # NB: the message names the server's folders, which are nobody's business.
        _log.error("the index failed: %s", without_data(error), extra=told)
        return busy("The index cannot be read or written at the moment; try again later.", after=5)
    _log.error("unexpected error: %s", without_data(error), extra=told)
    return ProblemError(500, "internal-error", "Something went wrong; the log says what.")


_KEY_EXISTS = "There is an item with this key; send replace=true to take its place."
KEY_EXISTS = f"urn:pyimgret:problem:key-exists. {_KEY_EXISTS}"
"""What the OpenAPI document says of 409, which has no other cause."""

_KNOWN: tuple[tuple[type[Exception], int, str], ...] = (
    (ImageDecodeError, 422, "undecodable-image"),
    (KeyNotFoundError, 404, "no-such-item"),
    (DimensionMismatchError, 422, "wrong-dimension"),
    (FilterError, 422, "invalid-filter"),
)


def _from_http(error: HTTPException) -> ProblemError:
    """Return the problem for an error of Werkzeug, its headers (``Allow``, …) kept."""
    if isinstance(error, RequestEntityTooLarge):
        return _from_too_much()
    code = error.code or 500
    kind = HTTPStatus(code).phrase.lower().replace(" ", "-").replace("'", "")
    headers = {n: v for n, v in error.get_headers() if n.lower() != "content-type"}
    return ProblemError(code, kind, error.description or HTTPStatus(code).phrase, headers)


def _from_too_much() -> ProblemError:
    """Name the limit that a request went beyond."""
    limit = request.max_content_length
    if limit is not None and (request.content_length or 0) > limit:
        return too_large(limit)
    return ProblemError(
        413, "request-entity-too-large", f"A form may have {request.max_form_parts} parts at most."
    )


def _explained(error: ValidationError) -> str:
    """Return what is wrong with a request, field by field, without repeating what it held."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(map(_sentence, found[:5])) + "."


def _sentence(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    place = ".".join(str(part)[:80] for part in error["loc"])
    return f"{place}: {message}" if place else message
