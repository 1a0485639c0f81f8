"""``GET /``: the page, and its style and script."""

from __future__ import annotations

from flask import Blueprint, Response, send_from_directory

blueprint = Blueprint("page", __name__)


@blueprint.get("/")
def page() -> Response:
    """Answer with the page."""
    return send_from_directory("static", "index.html", max_age=0)


@blueprint.get("/assets/<any('app.js', 'style.css', 'icon.svg'):name>")
def asset(name: str) -> Response:
    """Answer with one of the page's files."""
    return send_from_directory("static", name, max_age=0)
