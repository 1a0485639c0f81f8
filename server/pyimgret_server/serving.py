"""The web server: Waitress, one process, threads; stopped and reloaded by signals.

Waitress was chosen over gunicorn because a JVM fits one process and must start after any
fork, which leaves gunicorn's preloading and several workers no use here, while Waitress
reads a request completely before it takes a thread: a hundred slow clients cost sockets,
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

from pyimgret_server.logs import note_request
from pyimgret_server.problems import MEDIA_TYPE, ProblemError, busy, request_id, too_large
from pyimgret_server.service import Service

_log = logging.getLogger("pyimgret_server")
_HEADERS_LIMIT = 30_000
_IDLE_SECONDS = 60
_CONNECTIONS = 1_000
_DRAIN_SECONDS = 30.0


class _Task(WSGITask):  # type: ignore[misc]
    """Sends an answer's head with its body: one packet, and the GIL given up once for it."""

    def build_response_header(self) -> bytes:
        self.channel.held = super().build_response_header()
        return b""

    def finish(self) -> None:
        super().finish()
        self.channel.write_held()


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers what is no proper HTTP request in the shape of all other errors."""

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
    """Return body and headers of an answer that the application does not give, and note it."""
    identifier = request_id(given_id)
    note_request(request_id=identifier, route="(refused)", status=problem.status)
    headers = {"Content-Type": MEDIA_TYPE, "X-Request-Id": identifier, **problem.headers}
    return problem.body(identifier), list(headers.items())


class _Reserved:
    """A connection's server, whose loop it wakes only when it has to."""

    def __init__(self, server: Any, channel: _Channel) -> None:
        self._server = server
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def pull_trigger(self) -> None:
        if self._channel.busy or not self._channel.watched:
            # NB: the loop looks anew at what came early, and finds no request in its way.
            self._channel.early = False
            self._server.pull_trigger()


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection; it wakes the server's loop only when there is something for it to do.

    Waitress does not look at a connection while its request is worked on, and so has to wake
    the loop after each answer. Here the loop goes on looking, leaves what comes early where
    it is, and notes that it must be woken.
    """

    task_class = _Task
    error_task_class = _ErrorTask
    held = b""
    """The head of an answer whose body has not begun."""
    early = False
    """Whether something came, or the client went, while a request was worked on."""
    watched = False
    """Whether the loop waits for what this client sends."""

    def __init__(self, server: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(server, *arguments, **options)
        self.server = _Reserved(server, self)

    @property
    def busy(self) -> bool:
        """Whether there is something to send, to close, or to read later."""
        return bool(
            self.early or self.total_outbufs_len or self.will_close or self.close_when_flushed
        )

    def readable(self) -> bool:
        # NB: false first: a thread that becomes ready meanwhile wakes the loop once too often.
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
        """Say whether the server's loop has to send.

        While a thread sends, it has not; Waitress would say so, and ask again and again, with
        the GIL that the thread is waiting for.
        """
        if not self.outbuf_lock.acquire(blocking=False):
            return False
        self.outbuf_lock.release()
        return bool(super().writable())

    def write_held(self) -> None:
        """Send the head of an answer that has no body."""
        held, self.held = self.held, b""
        super().write_soon(held)


class Server:
    """Serves an application until it is told to stop.

    Parameters
    ----------
    app : OpenAPI
        What `create_app` returned.
    host : str
    port : int
        0 for one that is free.
    """

    def __init__(self, app: OpenAPI, host: str = "127.0.0.1", port: int = 8080) -> None:
        self.service: Service = app.extensions["pyimgret"]
        settings = self.service.settings
        self._server: Any = create_server(
            _shedding(app, lambda: len(self._server.task_dispatcher.queue), settings.queue_size),
            host=host,
            port=port,
            threads=settings.threads,
            ident=None,
            # NB: a little more than the application allows, so that its own answer is given.
            max_request_body_size=settings.max_upload + (1 << 16),
            max_request_header_size=_HEADERS_LIMIT,
            # NB: bodies stay in memory; a read-only system has no temporary files.
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
        """Serve; returns when `stop` was called and what was running is finished."""
        _log.info("serving on http://%s:%d/", self.host, self.port)
        while not self._stopping.is_set():
            self._poll(1.0)
        self._drain()
        self.service.close()
        _log.info("stopped")

    def stop(self) -> None:
        """Finish what is running, refuse what is new, and let `run` return."""
        self._stopping.set()
        self._server.pull_trigger()

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, load the index anew on SIGHUP, within the block."""
        actions: dict[int, Callable[[], None]] = {
            signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self._reload
        }  # fmt: skip
        before = {number: signal.getsignal(number) for number in actions}

        def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            actions[number]()

        for number in actions:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _reload(self) -> None:
        # NB: on a thread of its own, for requests go on being answered meanwhile.
        threading.Thread(target=self.service.reload, name="reload", daemon=True).start()

    def _poll(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, map=self._server._map, use_poll=True, count=1)

    def _drain(self) -> None:
        """Close the door, and wait for those who are inside."""
        _log.info("stopping: finishing what is running")
        self.service.stopping = True
        wasyncore.dispatcher.close(self._server)
        until = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < until and any(map(_at_work, self._channels())):
            self._poll(0.1)
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=1)
        wasyncore.close_all(self._server._map)

    def _channels(self) -> list[HTTPChannel]:
        return list(self._server.active_channels.values())


def _at_work(channel: HTTPChannel) -> bool:
    """Tell whether a connection has a request under way or an answer to be sent."""
    return bool(channel.requests or channel.request or channel.total_outbufs_len)


def _shedding(app: OpenAPI, depth: Callable[[], int], most: int) -> Callable[..., Any]:
    """Answer at once with 503 while more requests than allowed wait for a thread."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if depth() <= most or not environ.get("PATH_INFO", "").startswith("/v1/"):
            return app(environ, start_response)
        problem = busy("Too many requests wait already; try again in a second.")
        body, headers = _refusal(problem, environ.get("HTTP_X_REQUEST_ID"))
        start_response("503 Service Unavailable", [*headers, ("Content-Length", str(len(body)))])
        return [body]

    return application
