"""The OpenAPI document: what flask-openapi3 makes of the routes, and the two forms of bodies.

flask-openapi3 was chosen among the kept libraries. flask-smorest and APIFlask describe
marshmallow schemas in OpenAPI 3.0; with pydantic the same classes check a request (in Rust,
and JSON strictly) and become JSON Schema 2020-12, the dialect of OpenAPI 3.1, word for word.
None of the three knows one operation that takes JSON or a form, hence `accepts`.
"""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from pyimgret import __version__
from pyimgret_server.problems import KEY_EXISTS, MEDIA_TYPE, ProblemDetails
from pyimgret_server.reading import FORM, JSON

INFO = Info(
    title="pyimgret",
    version=__version__,
    description="Find the images of an index that look like this one.",
)
SECURITY: dict[str, Any] = {"api_key": {"type": "http", "scheme": "bearer"}}
WRITE: list[dict[str, list[Any]]] = [{"api_key": []}]
"""The security of an operation that writes."""

_REF = "#/components/schemas/{model}"
_RETRY = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_bodies: set[type[BaseModel]] = {ProblemDetails}


def accepts(body: type[BaseModel], form: type[BaseModel]) -> dict[str, Any]:
    """Return the description of a body that is a form or JSON."""
    _bodies.update((body, form))
    content = {FORM: _content(form), JSON: _content(body)}
    return {"requestBody": {"required": True, "content": content}}


def problems(*statuses: int) -> dict[int | str, Any]:
    """Return the descriptions of an operation's errors; 429 and 503 are always among them."""
    described: dict[int | str, Any] = {}
    for status in sorted({*statuses, 400, 429, 503}):
        described[status] = {"content": {MEDIA_TYPE: _content(ProblemDetails)}}
        if status == 409:
            described[status]["description"] = KEY_EXISTS
        if status in (429, 503):
            described[status]["headers"] = _RETRY
    return described


def answer(model: BaseModel, status: int = 200) -> Response:
    """Return a model as JSON."""
    return Response(model.model_dump_json(), status, content_type=JSON)


def document(app: OpenAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application."""
    described: dict[str, Any] = app.api_doc
    _, schemas = models_json_schema(
        [(model, "validation") for model in sorted(_bodies, key=lambda m: m.__name__)],
        ref_template=_REF,
    )
    described["components"]["schemas"].update(schemas["$defs"])
    for path in described["paths"].values():
        for operation in path.values():
            # NB: flask-openapi3 lets every operation answer 422, in a form of its own.
            if JSON in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
    return described


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": _REF.format(model=model.__name__)}}
