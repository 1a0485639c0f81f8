"""``POST /v1/search``: the nearest items of an image, a vector or another item."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from pyimgret.index import Matches
from pyimgret.index.filters import parse
from pyimgret_server.documents import accepts, problems
from pyimgret_server.engine import Engine, Search, unit
from pyimgret_server.problems import ProblemError
from pyimgret_server.reading import JSON, read
from pyimgret_server.schemas import SearchAnswer, SearchForm, SearchRequest
from pyimgret_server.service import current_service

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
    wanted = read(request, SearchRequest, SearchForm)
    _check_k(wanted.k)
    with current_service().engine() as engine:
        found = _found(engine, wanted)
    return _answer(found, time.perf_counter() - start)


def _check_k(k: int) -> None:
    most = current_service().settings.max_k
    if k > most:
        raise ProblemError(
            422,
            "k-out-of-range",
            f"k={k} is out of range; this service returns 1 to {most} matches.",
        )


def _found(engine: Engine, wanted: SearchRequest | SearchForm) -> Matches:
    """Search by image, vector, or key of an item."""
    least = None if wanted.min_score <= -1 else wanted.min_score
    search = Search(None, wanted.k, parse(wanted.where), least)
    if isinstance(wanted, SearchForm) or wanted.image is not None:
        return engine.search_image(wanted.image, search)
    if wanted.key is None:
        return engine.search(replace(search, vector=unit(wanted.vector, engine.index.dimension)))
    vector = engine.index.get(wanted.key).vector
    exclude = (wanted.key,) if wanted.exclude_self else ()
    return engine.search(replace(search, vector=vector, exclude=exclude))


def _answer(found: Matches, seconds: float) -> Response:
    # NB: plain dictionaries for speed: this is the most frequent response.
    document = {**found.to_dict(), "took_ms": round(seconds * 1000, 3)}
    return Response(json.dumps(document), content_type=JSON)
