"""Reading and validating request bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, get_origin

from flask import Request
from pydantic import BaseModel, ValidationError

from pyimgret_server.problems import ProblemError

Body = TypeVar("Body", bound=BaseModel)
Form = TypeVar("Form", bound=BaseModel)

JSON = "application/json"
FORM = "multipart/form-data"


def read(request: Request, body: type[Body], form: type[Form]) -> Body | Form:
    """Parse and validate a request body, JSON or form.

    Raises
    ------
    ProblemError
        415 for another media type, 400 for invalid JSON.
    ValidationError
        If a field is invalid.
    """
    if request.mimetype == JSON:
        return _from_json(request, body)
    if request.mimetype == FORM:
        return form.model_validate(_fields(request, form))
    raise ProblemError(
        415, "unsupported-media-type",
        f"Send {FORM} or {JSON}, not {request.mimetype[:80] or 'a body without a media type'}.",
        {"Accept": f"{FORM}, {JSON}"},
    )  # fmt: skip


def _from_json(request: Request, body: type[Body]) -> Body:
    try:
        # NB: strict, to match the OpenAPI document.
        return body.model_validate_json(request.get_data(), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] != "json_invalid":
            raise
        raise ProblemError(
            400, "invalid-json", f"The body is not valid JSON: {first['msg']}."
        ) from error


def _fields(request: Request, form: type[BaseModel]) -> dict[str, Any]:
    """Return the fields and files of a form; only lists may be repeated."""
    values: dict[str, Any] = {}
    sent: list[tuple[str, Sequence[str | bytes]]] = [*request.form.lists(), *_files(request)]
    for name, parts in sent:
        field = form.model_fields.get(name)
        many = field is not None and get_origin(field.annotation) is list
        if name in values or (len(parts) > 1 and not many):
            raise ProblemError(422, "invalid-request", f"{name[:80]}: sent more than once.")
        values[name] = parts if many else parts[0]
    return values


def _files(request: Request) -> list[tuple[str, list[bytes]]]:
    return [
        (name, [upload.stream.read() for upload in uploads])
        for name, uploads in request.files.lists()
    ]
