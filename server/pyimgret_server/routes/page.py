"""``GET /``: the web page, its style sheet and script."""

from __future__ import annotations

import hashlib
from pathlib import Path

from flask import Blueprint, Response, request

blueprint = Blueprint("page", __name__)

_FOLDER = Path(__file__).resolve().parent.parent / "static"
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


@blueprint.get("/")
def page() -> Response:
    """Return the page."""
    return _file("index.html")


@blueprint.get("/assets/<any('app.js', 'style.css', 'icon.svg'):name>")
def asset(name: str) -> Response:
    """Return one of the page's files; other names never reach the file system."""
    return _file(name)


def _file(name: str) -> Response:
    path = _FOLDER / name
    response = Response(path.read_bytes(), mimetype=_TYPES[path.suffix])
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
    response.cache_control.no_cache = True
    response.make_conditional(request)
    return response
