"""The web page, facts about the index, health (KServe's paths), metrics, the OpenAPI document."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from flask import Blueprint, Response, current_app, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.openapi import OpenAPI
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from pyimgret_server.documents import answer, cacheable, document, problems
from pyimgret_server.engine import current_service
from pyimgret_server.problems import busy
from pyimgret_server.schemas import Health, IndexAnswer

blueprint = APIBlueprint("operation", __name__)
page = Blueprint("page", __name__)

_HEALTH = [Tag(name="operation")]
_FOLDER = Path(__file__).resolve().parent.parent / "static"
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


@page.get("/")
@page.get("/assets/<any('app.js', 'style.css', 'icon.svg'):name>")
def asset(name: str = "index.html") -> Response:
    """Return the page or one of its files; other names never reach the file system."""
    path = _FOLDER / name
    return cacheable(Response(path.read_bytes(), mimetype=_TYPES[path.suffix]))


@blueprint.get(
    "/v1/index",
    summary="Facts about the index",
    tags=[Tag(name="index")],
    responses={200: IndexAnswer, **problems()},
)
def facts() -> Response:
    """Return model, dimension, count, metric and checksum."""
    service = current_service()
    with service.engine() as engine:
        info = engine.index.info()
        shown = ("count", "dimension", "metric", "model_checksum", "uuid", "revision")
        return answer(
            IndexAnswer(
                **{name: info[name] for name in shown},
                model=engine.model_name,
                writable=service.settings.writable,
                explain=engine.has_model,
                max_k=service.settings.max_k,
                max_upload=service.settings.max_upload,
            )
        )


@blueprint.get(
    "/v2/health/live", summary="Liveness", tags=_HEALTH, responses={200: Health, **problems()}
)
def live() -> Response:
    """Return 200 while the process is running."""
    return answer(Health(ready=not current_service().stopping))


@blueprint.get(
    "/v2/health/ready", summary="Readiness", tags=_HEALTH, responses={200: Health, **problems()}
)
def ready() -> Response:
    """Return 200 if model and index are loaded and one encode has run, else 503."""
    if current_service().stopping:
        raise busy("The service is stopping.")
    return answer(Health(ready=True))


@blueprint.get("/metrics", summary="Prometheus metrics", doc_ui=False)
def metrics() -> Response:
    """Return the metrics in Prometheus' text format."""
    body = generate_latest(current_service().metrics.registry)
    return Response(body, content_type=CONTENT_TYPE_LATEST)


@blueprint.get("/openapi.json", summary="This document", doc_ui=False)
def openapi() -> Response:
    """Return the OpenAPI document."""
    return jsonify(document(cast(OpenAPI, current_app)))
