"""The log: an id on every answer, and nothing of what was sent or indexed in any line."""

from __future__ import annotations

import io
import json
import logging
import sqlite3

import pytest
from server_fakes import make_images, png, served, upload
from test_server_serving import raw

from pyimgret.exceptions import ImageDecodeError, IndexStoreError, KeyNotFoundError
from pyimgret.index.filters import FilterError
from pyimgret_server import logs
from pyimgret_server.serving import _limit_queue

SECRETS = ("se'cret", "hush-hush", "cl4ndestine")
KEY = f'{SECRETS[0]}/"1".png'


@pytest.fixture
def log():
    """Give what the service writes."""
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    for name in ("pyimgret_server", "waitress"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True


def entries(log):
    return [json.loads(line) for line in log.getvalue().splitlines()]


def raiser(error):
    def fail(*_arguments, **_options):
        try:
            raise KeyError(KEY)
        except KeyError as cause:
            raise error from cause

    return fail


ERRORS = [
    IndexStoreError(f"The vector of {KEY!r} is damaged (its checksum differs)."),
    IndexStoreError(f"The metadata of {KEY * 20!r:.80} is damaged."),
    KeyNotFoundError(f"The index has no image with the key {KEY!r}."),
    ImageDecodeError(f"{KEY}: not an image"),
    FilterError(f"{SECRETS[1]} cannot be used in a filter"),
    sqlite3.OperationalError("disk I/O error"),
    FileNotFoundError(2, "No such file or directory", KEY),
    ValueError(f"cannot read {KEY}"),
    UnicodeEncodeError("utf-8", KEY, 0, 1, "surrogates"),
    RuntimeError(SECRETS[2]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_no_error_logs_requests_or_index_contents(make_app, monkeypatch, log, caplog, error):
    app = make_app()
    monkeypatch.setattr(app.extensions["pyimgret"]._engine.index, "get", raiser(error))
    answer = app.test_client().get("/v1/items", query_string={"key": KEY, "where": SECRETS[1]})
    written = log.getvalue() + caplog.text
    for secret in (*SECRETS, repr(KEY), json.dumps(KEY)):
        assert secret not in written, written
    ids = {entry["request_id"] for entry in entries(log)}
    assert ids == {answer.get_json()["request_id"]} == {answer.headers["X-Request-Id"]}
    if answer.status_code >= 500:
        failure = entries(log)[0]["message"]
        assert type(error).__name__ in failure
        assert "routes/items.py" in failure


def test_damaged_vector_is_503_and_its_key_is_not_in_log(make_app, index, log):
    index.add([[1.0] * 16], keys=[KEY])
    client = make_app().test_client()
    with index.context.database.write() as connection:
        connection.execute("UPDATE vectors SET crc = 0")
    answer = client.get("/v1/items", query_string={"key": KEY})
    assert answer.status_code == 503
    (failure,) = (entry for entry in entries(log) if entry["level"] == "error")
    assert "its checksum differs" in failure["message"]
    assert SECRETS[0] not in log.getvalue()


def test_request_rejected_by_waitress_has_id_and_is_logged(make_app, log):
    with served(make_app(max_upload=100_000)) as address:
        head = b"POST /v1/search HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n"
        answer = raw(address, head + b"Content-Length: 9999999\r\n\r\n")
        nonsense = raw(address, b"nonsense\r\n\r\n")
    header, _, body = answer.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert (problem["status"], problem["request_id"]) == (413, "mine")
    assert b"X-Request-Id: mine" in header
    assert "100000 bytes" in problem["detail"]
    assert "--max-upload" in problem["detail"]
    second = json.loads(nonsense.partition(b"\r\n\r\n")[2])["request_id"]
    assert len(second) == 16
    refused = [entry for entry in entries(log) if entry.get("route") == "(refused)"]
    assert [(e["request_id"], e["status"]) for e in refused] == [("mine", 413), (second, 400)]


def test_too_large_body_names_the_limit(make_app):
    client = make_app(max_upload=10_000).test_client()
    problem = client.post("/v1/search", data=upload(bytes(20_000))).get_json()
    assert "10000 bytes" in problem["detail"]
    assert problem["request_id"]


def test_form_with_too_many_parts_names_the_limit(make_app):
    client = make_app().test_client()
    form = {f"field{n}": (io.BytesIO(b"x"), "x") for n in range(1000)}
    problem = client.post("/v1/search", data=form).get_json()
    assert (problem["status"], "128 parts" in problem["detail"]) == (413, True)


def test_request_refused_by_full_queue_has_id_and_is_logged(make_app, log):
    extra = []
    shedding = _limit_queue(make_app(), lambda: 2, 1)
    (body,) = shedding({"PATH_INFO": "/v1/search"}, lambda *given: extra.append(given))
    status, headers = extra[0]
    identifier = json.loads(body)["request_id"]
    assert (status[:3], dict(headers)["X-Request-Id"]) == ("503", identifier)
    assert [(e["request_id"], e["status"]) for e in entries(log)] == [(identifier, 503)]


def test_reload_that_fails_writes_no_key(make_app, monkeypatch, log):
    service = make_app().extensions["pyimgret"]
    monkeypatch.setattr("pyimgret_server.engine.Index.open", raiser(ValueError(KEY)))
    assert service.reload() is False
    assert "cannot be loaded" in log.getvalue()
    assert SECRETS[0] not in log.getvalue()


def test_image_is_not_logged(make_app, log):
    make_app().test_client().post("/v1/search", data=upload(png(make_images(1)[0])[:50]))
    assert [entry["status"] for entry in entries(log)] == [422]
