"""The web server: Waitress with threads in one process; stopped and reloaded by signals.

Waitress was chosen over gunicorn because a JVM belongs to one process and must start after any
fork, so gunicorn's preloading and multiple workers are of no use here, while Waitress
reads a request completely before it occupies a thread: a hundred slow clients cost sockets,
not threads, as they would with gunicorn's threads.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from flask_openapi3.openapi import OpenAPI
from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from pyimgret_server.app import log_request, request_id
from pyimgret_server.engine import Service
from pyimgret_server.problems import MEDIA_TYPE, ProblemError, busy, too_large

_log = logging.getLogger("pyimgret_server")
_HEADERS_LIMIT = 30_000
_IDLE_SECONDS = 60
_CONNECTIONS = 1_000
_DRAIN_SECONDS = 30.0


class _Task(WSGITask):  # type: ignore[misc]
    """Sends the head of a response with its body, in one packet and one system call."""

    def build_response_header(self) -> bytes:
        self.channel.held = super().build_response_header()
        return b""

    def finish(self) -> None:
        super().finish()
        self.channel.write_held()


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers malformed HTTP requests with problem documents."""

    def execute(self) -> None:
        error = self.request.error
        problem = ProblemError(error.code, error.reason.lower().replace(" ", "-"), str(error.body))
        if error.code == 413:
            problem = too_large(self.channel.server.max_upload)
        body, headers = _refusal(problem, self.request.headers.get("X_REQUEST_ID"))
        self.status = f"{error.code} {error.reason}"
        self.response_headers += headers
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


def _refusal(problem: ProblemError, given_id: str | None) -> tuple[bytes, list[tuple[str, str]]]:
    """Return body and headers of a response outside the application, and log it."""
    identifier = request_id(given_id)
    log_request(request_id=identifier, route="(refused)", status=problem.status)
    headers = {"Content-Type": MEDIA_TYPE, "X-Request-Id": identifier, **problem.headers}
    return problem.body(identifier), list(headers.items())


class _ServerProxy:
    """A proxy of a connection's server that wakes its loop only when necessary."""

    def __init__(self, server: Any, channel: _Channel) -> None:
        self._server = server
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def pull_trigger(self) -> None:
        if self._channel.busy or not self._channel.watched:
            # NB: the loop now reads the data that arrived early.
            self._channel.early = False
            self._server.pull_trigger()


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that wakes the server's loop only when necessary.

    Waitress does not poll a connection while its request is processed, and so has to wake
    the loop after each response. Here the loop keeps polling, leaves early data
    unread, and records that it must be woken.
    """

    task_class = _Task
    error_task_class = _ErrorTask
    held = b""
    """The head of a response whose body has not been sent."""
    early = False
    """Whether data arrived, or the client disconnected, while a request was processed."""
    watched = False
    """Whether the loop polls this client for input."""

    def __init__(self, server: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(server, *arguments, **options)
        self.server = _ServerProxy(server, self)

    @property
    def busy(self) -> bool:
        """Whether there is data to send, to close, or to read later."""
        return bool(
            self.early or self.total_outbufs_len or self.will_close or self.close_when_flushed
        )

    def readable(self) -> bool:
        # NB: false first: at worst a thread wakes the loop once too often.
        self.watched = False
        self.watched = not self.busy
        return self.watched

    def handle_read(self) -> None:
        with self.requests_lock:
            self.early = bool(self.requests)
        if not self.early:
            super().handle_read()

    def write_soon(self, data: Any) -> int:
        if not data:
            return 0
        if isinstance(data, bytes):
            data, self.held = self.held + data, b""
        self.write_held()
        written: int = super().write_soon(data)
        if self.total_outbufs_len:
            self.server.pull_trigger()
        return written

    def writable(self) -> bool:
        """Return whether the server's loop has to send.

        Not while a thread is sending; Waitress would return true and poll repeatedly, holding
        the GIL that the thread needs.
        """
        if not self.outbuf_lock.acquire(blocking=False):
            return False
        self.outbuf_lock.release()
        return bool(super().writable())

    def write_held(self) -> None:
        """Send the head of a response that has no body."""
        held, self.held = self.held, b""
        super().write_soon(held)


class Server:
    """Serves an application until it is stopped.

    Parameters
    ----------
    app : OpenAPI
        The result of `create_app`.
    host : str
    port : int
        0 for a free port.
    """

    def __init__(self, app: OpenAPI, host: str = "127.0.0.1", port: int = 8080) -> None:
        self.service: Service = app.extensions["pyimgret"]
        settings = self.service.settings
        self._server: Any = create_server(
            _limit_queue(app, lambda: len(self._server.task_dispatcher.queue), settings.queue_size),
            host=host,
            port=port,
            threads=settings.threads,
            ident=None,
            # NB: slightly more than the application allows, so that it sends the error itself.
            max_request_body_size=settings.max_upload + (1 << 16),
            max_request_header_size=_HEADERS_LIMIT,
            # NB: bodies stay in memory; a read-only file system has no temporary files.
            inbuf_overflow=settings.max_upload + (1 << 17),
            channel_timeout=_IDLE_SECONDS,
            connection_limit=_CONNECTIONS,
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=False,
        )
        self._server.channel_class = _Channel
        self._server.max_upload = settings.max_upload
        self._stopping = threading.Event()
        self.host, self.port = self._server.effective_host, int(self._server.effective_port)

    def run(self) -> None:
        """Serve; returns after `stop` when running requests have finished."""
        _log.info("serving on http://%s:%d/", self.host, self.port)
        while not self._stopping.is_set():
            self._poll(1.0)
        self._drain()
        self.service.close()
        _log.info("stopped")

    def stop(self) -> None:
        """Finish running requests, reject new ones, and let `run` return."""
        self._stopping.set()
        self._server.pull_trigger()

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, reload the index on SIGHUP, during the block."""
        actions = dict.fromkeys((signal.SIGTERM, signal.SIGINT), self.stop)
        actions[signal.SIGHUP] = self._reload
        before = {number: signal.getsignal(number) for number in actions}

        def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            actions[signal.Signals(number)]()

        for number in actions:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _reload(self) -> None:
        # NB: on its own thread, so that requests are still processed.
        threading.Thread(target=self.service.reload, name="reload", daemon=True).start()

    def _poll(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, map=self._server._map, use_poll=True, count=1)

    def _drain(self) -> None:
        """Stop accepting connections, and wait for running requests."""
        _log.info("stopping: finishing running requests")
        self.service.stopping = True
        wasyncore.dispatcher.close(self._server)
        until = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < until and any(map(_is_busy, self._channels())):
            self._poll(0.1)
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=1)
        wasyncore.close_all(self._server._map)

    def _channels(self) -> list[HTTPChannel]:
        return list(self._server.active_channels.values())


def _is_busy(channel: HTTPChannel) -> bool:
    """Return whether a connection has a running request or unsent data."""
    return bool(channel.requests or channel.request or channel.total_outbufs_len)


def _limit_queue(app: OpenAPI, depth: Callable[[], int], most: int) -> Callable[..., Any]:
    """Respond with 503 while too many requests are waiting for a thread."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if depth() <= most or not environ.get("PATH_INFO", "").startswith("/v1/"):
            return app(environ, start_response)
        problem = busy("Too many requests are waiting; try again in a second.")
        body, headers = _refusal(problem, environ.get("HTTP_X_REQUEST_ID"))
        start_response("503 Service Unavailable", [*headers, ("Content-Length", str(len(body)))])
        return [body]

    return application
