"""``POST /v1/embed``: pictures to vectors."""

from __future__ import annotations

import time

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from pyimgret_server.documents import accepts, answer, problems
from pyimgret_server.problems import ProblemError
from pyimgret_server.reading import read
from pyimgret_server.schemas import EmbedAnswer, EmbedForm, EmbedRequest
from pyimgret_server.service import current_service

blueprint = APIBlueprint("embed", __name__, url_prefix="/v1", abp_tags=[Tag(name="search")])


@blueprint.post(
    "/embed",
    summary="Turn pictures into vectors",
    responses={200: EmbedAnswer, **problems(413, 415, 422)},
    openapi_extensions=accepts(EmbedRequest, EmbedForm),
)
def embed() -> Response:
    """Answer with one vector a picture."""
    began = time.perf_counter()
    wanted = read(request, EmbedRequest, EmbedForm)
    images = wanted.images if isinstance(wanted, EmbedRequest) else wanted.image
    most = current_service().settings.max_images
    if len(images) > most:
        raise ProblemError(422, "too-many-images", f"{len(images)} pictures; send at most {most}.")
    with current_service().engine() as engine:
        vectors = [vector.tolist() for vector in engine.embed(images)]
    seconds = time.perf_counter() - began
    return answer(EmbedAnswer(vectors=vectors, took_ms=round(seconds * 1000, 3)))
