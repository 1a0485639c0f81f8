"""The application factory: limits, headers and logs of every request."""

from __future__ import annotations

import io
import logging
import math
import os
import random
import re
import time
from pathlib import Path
from typing import IO, Any, NoReturn

from flask import Request, Response, g, request
from flask_openapi3.openapi import OpenAPI
from pydantic import ValidationError
from werkzeug.middleware.proxy_fix import ProxyFix

from pyimgret.index import Index
from pyimgret_server.documents import INFO, SECURITY
from pyimgret_server.engine import Explainer, Service
from pyimgret_server.problems import ProblemDetails, ProblemError, as_problem, busy
from pyimgret_server.routes import items, operation, search
from pyimgret_server.settings import Settings

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_access = logging.getLogger("pyimgret_server.access")


class BoundedRequest(Request):
    """A request that never touches the file system."""

    max_form_parts = 128

    def _get_file_stream(self, *_args: Any, **_options: Any) -> IO[bytes]:
        # NB: Werkzeug would use a temporary file, impossible on a read-only file system.
        return io.BytesIO()


def create_app(
    index: Index | str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    explainer: Explainer | None = None,
) -> OpenAPI:
    """Return the WSGI application that serves an index.

    On return the model is loaded and has encoded once.

    Parameters
    ----------
    index : Index or path
        With a path, `Service.reload` opens the path again.
    settings : Settings, optional
    explainer : callable, optional
        Computes the heat maps; see `pyimgret.explain.heat_maps`, the default.

    Raises
    ------
    PyimgretError
        If the index or its model cannot be loaded.
    """
    chosen = settings or Settings()
    app = OpenAPI(
        "pyimgret_server",
        info=INFO,
        security_schemes=SECURITY,
        doc_ui=False,
        validation_error_callback=_invalid,
        validation_error_model=ProblemDetails,
        static_folder=None,
    )
    app.request_class = BoundedRequest
    app.config["MAX_CONTENT_LENGTH"] = chosen.max_upload
    app.config["MAX_FORM_MEMORY_SIZE"] = chosen.max_upload
    place = index if isinstance(index, Index) else Path(index)
    service = app.extensions["pyimgret"] = Service(place, chosen, explainer)
    app.register_error_handler(Exception, lambda error: as_problem(error).response())
    for blueprint in (search.blueprint, items.blueprint, operation.blueprint):
        app.register_api(blueprint)
    app.register_blueprint(operation.page)
    _install_hooks(app, service)
    if chosen.behind_proxy:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1
        )
    return app


def _invalid(error: ValidationError) -> NoReturn:
    """Pass validation errors of flask-openapi3 to the error handler."""
    raise error


def _install_hooks(app: OpenAPI, service: Service) -> None:
    """Register the hooks that run before and after every request."""

    @app.before_request
    def begin() -> None:
        g.start = time.perf_counter()
        g.request_id = request_id(request.headers.get("X-Request-Id"))
        if request.path.startswith("/v1/"):
            _check_limits(service)

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers.extend(_HEADERS)
        response.headers["X-Request-Id"] = g.request_id
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        _record_request(service, response)
        return response


def _check_limits(service: Service) -> None:
    """Reject requests above the rate limit, and all requests while stopping."""
    if service.stopping:
        raise busy("The service is stopping.")
    if service.limiter is None:
        return
    if wait := service.limiter.wait(request.remote_addr or ""):
        detail = f"At most {service.settings.rate:g} requests a second."
        headers = {"Retry-After": str(math.ceil(wait))}
        raise ProblemError(429, "too-many-requests", detail, headers)


def _record_request(service: Service, response: Response) -> None:
    """Update the metrics and write the access log."""
    seconds = time.perf_counter() - g.start
    # NB: the rule, not the path: paths are arbitrary and unlimited in number.
    route = request.url_rule.rule if request.url_rule else "(unknown)"
    method = request.method if request.method in _METHODS else "(other)"
    service.metrics.requests.labels(method, route, str(response.status_code)).inc()
    service.metrics.request_seconds.labels(route).observe(seconds)
    log_request(
        request_id=g.request_id,
        method=method,
        route=route,
        status=response.status_code,
        ms=round(seconds * 1000, 2),
        client=request.remote_addr,
        **({"key_name": g.key_name} if "key_name" in g else {}),
    )


def request_id(given: str | None) -> str:
    """Return the id of a request: the client's if it is well-formed, else a new one."""
    if given and _REQUEST_ID.fullmatch(given):
        return given
    # NB: not secret; the operating system's random source would release the GIL.
    return f"{random.getrandbits(64):016x}"


def log_request(**fields: object) -> None:
    """Write an access log record."""
    _access.info("request", extra=fields)
