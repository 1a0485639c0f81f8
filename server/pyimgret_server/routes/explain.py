"""``POST /v1/explain``: which regions make two images similar."""

from __future__ import annotations

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from pyimgret_server.documents import accepts, answer, problems
from pyimgret_server.problems import ProblemError
from pyimgret_server.reading import read
from pyimgret_server.schemas import ExplainAnswer, ExplainForm, ExplainRequest
from pyimgret_server.service import current_service

blueprint = APIBlueprint("explain", __name__, url_prefix="/v1", abp_tags=[Tag(name="search")])


@blueprint.post(
    "/explain",
    summary="Heat maps of an image and an item",
    responses={200: ExplainAnswer, **problems(404, 413, 415, 422)},
    openapi_extensions=accepts(ExplainRequest, ExplainForm),
)
def explain() -> Response:
    """Return a heat map for each of the two images."""
    service = current_service()
    wanted = read(request, ExplainRequest, ExplainForm)
    with service.engine() as engine:
        if not engine.has_model:
            raise ProblemError(422, "no-explanation", "This index has no model.")
        small = engine.index.thumbnail(engine.index.get_by_id(wanted.id).key)
        if small is None:
            raise ProblemError(404, "no-thumbnail", "No thumbnail of this image is stored.")
        image = engine.checked(wanted.image)
        score, query, match = service.explainer(engine.index.encoder, image, small.image)
    return answer(ExplainAnswer(score=score, query=query.tolist(), match=match.tolist()))
