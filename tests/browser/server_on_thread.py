"""A server on a thread of its own."""

from __future__ import annotations

import contextlib
import threading

from pyimgret_server.serving import Server


@contextlib.contextmanager
def served(app):
    server = Server(app, port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()
        thread.join(40)
