"""The HTTP service of pyimgret: search by image, and a page to do it with.

`create_app` makes a WSGI application; ``pyimgret serve`` runs one on Waitress. Requests are
parsed here, answered by `pyimgret.index.Index`, and described by ``/openapi.json``.
"""

from __future__ import annotations

from pyimgret_server.app import create_app
from pyimgret_server.settings import Settings

__all__ = ["Settings", "create_app"]
