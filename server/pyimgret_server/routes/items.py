"""``/v1/items``: items of the index; adding and deleting with an API key."""

from __future__ import annotations

from typing import Any

from flask import Response, g, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from pyimgret.index import Item as StoredItem
from pyimgret_server.documents import WRITE, accepts, answer, cacheable, problems
from pyimgret_server.engine import Engine, current_service, unit
from pyimgret_server.keys import authorise
from pyimgret_server.problems import ProblemError
from pyimgret_server.schemas import Added, Item, ItemPath, ItemQuery, NewItem, NewItemForm, read

blueprint = APIBlueprint("items", __name__, url_prefix="/v1/items", abp_tags=[Tag(name="items")])

_IMAGE = {"schema": {"type": "string", "format": "binary"}}


@blueprint.get(
    "", summary="Look an item up by its key", responses={200: Item, **problems(404, 422)}
)
def by_key(query: ItemQuery) -> Response:
    """Return the item with a key."""
    with current_service().engine() as engine:
        return _described(engine.index.get(query.key))


@blueprint.get("/<id>", summary="Look an item up", responses={200: Item, **problems(404, 422)})
def by_id(path: ItemPath) -> Response:
    """Return the item with an id."""
    with current_service().engine() as engine:
        return _described(engine.index.get_by_id(path.id))


@blueprint.get(
    "/<id>/thumbnail",
    summary="The thumbnail of an item",
    responses={
        200: {"content": {"image/png": _IMAGE, "image/jpeg": _IMAGE}},
        304: {"description": "The client's copy is current."},
        **problems(404, 422),
    },
)
def thumbnail(path: ItemPath) -> Response:
    """Return the thumbnail stored in the index."""
    with current_service().engine() as engine:
        found = engine.index.thumbnail(engine.index.get_by_id(path.id).key)
    if found is None or found.media_type not in ("image/png", "image/jpeg"):
        raise ProblemError(404, "no-thumbnail", "No thumbnail of this image is stored.")
    response = cacheable(Response(found.image, content_type=found.media_type))
    response.cache_control.private = True
    return response


@blueprint.post(
    "",
    summary="Add an item",
    security=WRITE,
    responses={201: Added, **problems(401, 403, 409, 413, 415, 422)},
    openapi_extensions=accepts(NewItem, NewItemForm),
)
def add() -> Response:
    """Add an image or a vector; it is stored when the response is sent."""
    _check_may_write()
    body = read(request, NewItem, NewItemForm)
    with current_service().engine() as engine:
        added = _added(engine, body)
    response = answer(added, 201)
    response.headers["Location"] = f"{request.script_root}/v1/items/{added.id}"
    return response


@blueprint.delete(
    "/<id>",
    summary="Delete an item",
    security=WRITE,
    responses={204: None, **problems(401, 403, 404, 422)},
)
def delete(path: ItemPath) -> Response:
    """Delete the item with an id; it is deleted when the response is sent."""
    _check_may_write()
    with current_service().engine() as engine:
        engine.index.delete_by_id(path.id)
    return Response(status=204)


def _check_may_write() -> None:
    service = current_service()
    if not service.settings.writable:
        raise ProblemError(403, "read-only", "This service was started without --writable.")
    assert service.keys is not None, "Settings requires keys for a writable service"
    g.key_name = authorise(request, service.keys.current())


def _described(item: StoredItem) -> Response:
    # NB: the path of the image's file must not be exposed.
    return answer(
        Item(id=item.id, key=item.key, metadata=item.metadata, vector=item.vector.tolist())
    )


def _added(engine: Engine, body: NewItem | NewItemForm) -> Added:
    """Add an item to the index and return its key and id."""
    image = engine.checked(body.image) if body.image is not None else None
    given: Any = [image] if image is not None else unit(body.vector, engine.index.dimension)[None]
    keys = None if body.key is None else [body.key]
    report = engine.index.add(
        given, keys=keys, metadata=body.metadata, replace=body.replace, strict=True
    )
    return Added(id=report.ids[0], key=report.added[0])
