"""Health endpoints (with KServe's paths), metrics, and the OpenAPI document."""

from __future__ import annotations

from typing import cast

from flask import Response, current_app, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI

from pyimgret_server.documents import answer, document, problems
from pyimgret_server.problems import busy
from pyimgret_server.schemas import Health
from pyimgret_server.service import current_service

blueprint = APIBlueprint("health", __name__, abp_tags=[Tag(name="operation")])


@blueprint.get("/v2/health/live", summary="Liveness", responses={200: Health, **problems()})
def live() -> Response:
    """Return 200 while the process is running."""
    return answer(Health(ready=current_service().ready))


@blueprint.get("/v2/health/ready", summary="Readiness", responses={200: Health, **problems()})
def ready() -> Response:
    """Return 200 if model and index are loaded and one encode has run, else 503."""
    if not current_service().ready:
        raise busy("The service is stopping.")
    return answer(Health(ready=True))


@blueprint.get("/metrics", summary="Prometheus metrics", doc_ui=False)
def metrics() -> Response:
    """Return the metrics in Prometheus' text format."""
    body, media_type = current_service().metrics.exposition()
    return Response(body, content_type=media_type)


@blueprint.get("/openapi.json", summary="This document", doc_ui=False)
def openapi() -> Response:
    """Return the OpenAPI document."""
    return jsonify(document(cast(OpenAPI, current_app)))
