"""``POST /v1/embed``: encode images."""

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
    summary="Encode images to vectors",
    responses={200: EmbedAnswer, **problems(413, 415, 422)},
    openapi_extensions=accepts(EmbedRequest, EmbedForm),
)
def embed() -> Response:
    """Return one vector per image."""
    start = time.perf_counter()
    wanted = read(request, EmbedRequest, EmbedForm)
    images = wanted.images if isinstance(wanted, EmbedRequest) else wanted.image
    most = current_service().settings.max_images
    if len(images) > most:
        raise ProblemError(422, "too-many-images", f"{len(images)} images; send at most {most}.")
    with current_service().engine() as engine:
        vectors = [vector.tolist() for vector in engine.embed(images)]
    seconds = time.perf_counter() - start
    return answer(EmbedAnswer(vectors=vectors, took_ms=round(seconds * 1000, 3)))
