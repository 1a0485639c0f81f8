"""``GET /v1/index``: facts about the served index."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from pyimgret_server.documents import answer, problems
from pyimgret_server.schemas import IndexAnswer
from pyimgret_server.service import current_service

blueprint = APIBlueprint("index", __name__, url_prefix="/v1", abp_tags=[Tag(name="index")])


@blueprint.get(
    "/index", summary="Facts about the index", responses={200: IndexAnswer, **problems()}
)
def facts() -> Response:
    """Return model, dimension, count, metric and checksum."""
    service = current_service()
    with service.engine() as engine:
        info = engine.index.info()
        kept = ("count", "dimension", "metric", "model_checksum", "uuid", "revision")
        return answer(
            IndexAnswer(
                **{name: info[name] for name in kept},
                model=engine.model_name,
                writable=service.settings.writable,
                explain=engine.has_model,
                max_k=service.settings.max_k,
                max_upload=service.settings.max_upload,
            )
        )
