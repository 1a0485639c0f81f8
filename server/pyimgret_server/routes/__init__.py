"""The endpoints, one blueprint per topic."""

from __future__ import annotations

from flask_openapi3.openapi import OpenAPI

from pyimgret_server.routes import embed, explain, health, index, items, page, search

_BLUEPRINTS = (
    search.blueprint,
    embed.blueprint,
    items.blueprint,
    explain.blueprint,
    index.blueprint,
    health.blueprint,
)


def register(app: OpenAPI) -> None:
    """Register all endpoints with an application."""
    for blueprint in _BLUEPRINTS:
        app.register_api(blueprint)
    app.register_blueprint(page.blueprint)
