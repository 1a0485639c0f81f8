"""``/v1/search``, ``/v1/embed`` and ``/v1/explain``: what takes an image and needs the model."""

from __future__ import annotations

import json
import time

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from pyimgret.index import Matches
from pyimgret.index.filters import parse
from pyimgret_server.documents import accepts, answer, problems
from pyimgret_server.engine import Engine, Search, current_service, unit
from pyimgret_server.problems import ProblemError
from pyimgret_server.schemas import (
    JSON,
    EmbedAnswer,
    EmbedForm,
    EmbedRequest,
    ExplainAnswer,
    ExplainForm,
    ExplainRequest,
    SearchAnswer,
    SearchForm,
    SearchRequest,
    read,
)

blueprint = APIBlueprint("search", __name__, url_prefix="/v1", abp_tags=[Tag(name="search")])


@blueprint.post(
    "/search",
    summary="Find the items nearest to an image, a vector or another item",
    responses={200: SearchAnswer, **problems(404, 413, 415, 422)},
    openapi_extensions=accepts(SearchRequest, SearchForm),
)
def search() -> Response:
    """Return the matches, best first."""
    start = time.perf_counter()
    body = read(request, SearchRequest, SearchForm)
    service = current_service()
    if body.k > service.settings.max_k:
        raise ProblemError(
            422,
            "k-out-of-range",
            f"k={body.k} is out of range; this service returns 1 to "
            f"{service.settings.max_k} matches.",
        )
    with service.engine() as engine:
        found = _found(engine, body)
    # NB: plain dictionaries for speed: this is the most frequent response.
    document = {**found.to_dict(), "took_ms": _milliseconds(start)}
    return Response(json.dumps(document), content_type=JSON)


def _found(engine: Engine, body: SearchRequest | SearchForm) -> Matches:
    """Search by image, vector, or key of an item."""
    least = None if body.min_score <= -1 else body.min_score
    search = Search(body.k, parse(body.where), least)
    if isinstance(body, SearchForm) or body.image is not None:
        return engine.search_image(body.image, search)
    if body.key is None:
        return engine.search(unit(body.vector, engine.index.dimension), search)
    vector = engine.index.get(body.key).vector
    exclude = (body.key,) if body.exclude_self else ()
    return engine.search(vector, search._replace(exclude=exclude))


@blueprint.post(
    "/embed",
    summary="Encode images to vectors",
    responses={200: EmbedAnswer, **problems(413, 415, 422)},
    openapi_extensions=accepts(EmbedRequest, EmbedForm),
)
def embed() -> Response:
    """Return one vector per image."""
    start = time.perf_counter()
    body = read(request, EmbedRequest, EmbedForm)
    images = body.images if isinstance(body, EmbedRequest) else body.image
    service = current_service()
    most = service.settings.max_images
    if len(images) > most:
        raise ProblemError(422, "too-many-images", f"{len(images)} images; send at most {most}.")
    with service.engine() as engine:
        vectors = [vector.tolist() for vector in engine.embed(images)]
    return answer(EmbedAnswer(vectors=vectors, took_ms=_milliseconds(start)))


@blueprint.post(
    "/explain",
    summary="Heat maps of an image and an item",
    responses={200: ExplainAnswer, **problems(404, 413, 415, 422)},
    openapi_extensions=accepts(ExplainRequest, ExplainForm),
)
def explain() -> Response:
    """Return a heat map for each of the two images."""
    service = current_service()
    body = read(request, ExplainRequest, ExplainForm)
    with service.engine() as engine:
        if not engine.has_model:
            raise ProblemError(422, "no-explanation", "This index has no model.")
        small = engine.index.thumbnail(engine.index.get_by_id(body.id).key)
        if small is None:
            raise ProblemError(404, "no-thumbnail", "No thumbnail of this image is stored.")
        image = engine.checked(body.image)
        score, query, match = service.explainer(engine.index.encoder, image, small.image)
    return answer(ExplainAnswer(score=score, query=query.tolist(), match=match.tolist()))


def _milliseconds(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 3)
