"""The HTTP service of pyimgret: search by image, with a web page.

`create_app` creates a WSGI application; ``pyimgret serve`` runs it on Waitress. Requests are
parsed here, processed by `pyimgret.index.Index`, and documented in ``/openapi.json``.
"""

from __future__ import annotations

from pyimgret_server.app import create_app
from pyimgret_server.settings import Settings

__all__ = ["Settings", "create_app"]
