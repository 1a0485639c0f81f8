"""``POST /v1/search``: the nearest items of a picture, a vector or another item."""

from __future__ import annotations

import json
import time

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from pyimgret.index import Matches
from pyimgret.index.filters import parse
from pyimgret_server.documents import accepts, problems
from pyimgret_server.engine import Engine, Search, Vector, unit
from pyimgret_server.problems import ProblemError
from pyimgret_server.reading import JSON, read
from pyimgret_server.schemas import SearchAnswer, SearchForm, SearchRequest
from pyimgret_server.service import current_service

blueprint = APIBlueprint("search", __name__, url_prefix="/v1", abp_tags=[Tag(name="search")])


@blueprint.post(
    "/search",
    summary="Find the items nearest to a picture, a vector or another item",
    responses={200: SearchAnswer, **problems(404, 413, 415, 422)},
    openapi_extensions=accepts(SearchRequest, SearchForm),
)
def search() -> Response:
    """Answer with matches, best first."""
    began = time.perf_counter()
    wanted = read(request, SearchRequest, SearchForm)
    _check_k(wanted.k)
    with current_service().engine() as engine:
        found = engine.search(_search(engine, wanted))
    return _answer(found, time.perf_counter() - began)


def _check_k(k: int) -> None:
    most = current_service().settings.max_k
    if k > most:
        raise ProblemError(422, "k-out-of-range", f"k={k}; this service gives 1 to {most} matches.")


def _search(engine: Engine, wanted: SearchRequest | SearchForm) -> Search:
    key = getattr(wanted, "key", None)
    return Search(
        _vector(engine, wanted),
        wanted.k,
        parse(wanted.where),
        None if wanted.min_score <= -1 else wanted.min_score,
        (key,) if key is not None and wanted.exclude_self else (),
    )


def _vector(engine: Engine, wanted: SearchRequest | SearchForm) -> Vector:
    if isinstance(wanted, SearchRequest) and wanted.image is None:
        if wanted.key is not None:
            return engine.index.get(wanted.key).vector
        return unit(wanted.vector, engine.index.dimension)
    return engine.embed([wanted.image])[0]


def _answer(found: Matches, seconds: float) -> Response:
    # NB: plain dictionaries, for this is the answer that thousands a second are made of.
    document = {**found.to_dict(), "took_ms": round(seconds * 1000, 3)}
    return Response(json.dumps(document), content_type=JSON)
