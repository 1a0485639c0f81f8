"""The way of a query through the service: how many files somebody reads to follow it."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

import pytest
from server_fakes import make_images, png, upload

import pyimgret_server

ROOT = Path(pyimgret_server.__file__).parent


@pytest.fixture
def files():
    """Record the service's files in which a function is called, on every new thread."""
    called = set()

    def record(frame, event, _argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(ROOT):
            called.add(path.relative_to(ROOT).as_posix())

    threading.setprofile(record)
    sys.setprofile(record)
    yield called
    sys.setprofile(None)
    threading.setprofile(None)


def test_query_runs_through_five_files_of_the_service(files, make_app, monkeypatch):
    # NB: another test may have left a handler, whose formatter is in logs.py.
    monkeypatch.setattr(logging.getLogger("pyimgret_server"), "handlers", [])
    client = make_app().test_client()
    client.post("/v1/search", data=upload(png(make_images(1)[0])))
    files.clear()
    assert client.post("/v1/search", data=upload(png(make_images(1)[0]), k=3)).status_code == 200
    # A log that another test configured formats its line too.
    used = files - {"logs.py"}
    assert used == {"app.py", "routes/search.py", "schemas.py", "engine.py", "batcher.py"}
