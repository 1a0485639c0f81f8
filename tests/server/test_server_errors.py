"""Bad input: every answer is a problem, soon, and the service goes on."""

from __future__ import annotations

import io
import json
import struct
import time
import zlib

import pytest
from server_fakes import make_images, png, upload


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png_of(width: int, height: int, content: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", content)
        + chunk(b"IEND", b"")
    )


GOOD = png(make_images(1)[0])
HOSTILE = {
    "empty": b"",
    "text": b"GIF89a is not what this is",
    "cut png": GOOD[:-50],
    "cut jpeg": png(make_images(1)[0], "JPEG")[:200],
    "broken checksum": GOOD[:40] + bytes([GOOD[40] ^ 255]) + GOOD[41:],
    "bomb by header": png_of(60_000, 60_000),
    "bomb by compression": png_of(30_000, 30_000, zlib.compress(bytes(3_000_000), 9)),
    "too many pixels": png_of(10_000, 5_001),
    "no pixels": png_of(0, 5),
    "negative size": b"BM"
    + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, -5, 5, 1, 24, *[0] * 6),
    "text bomb": b"\x89PNG\r\n\x1a\n" + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000))),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) (r) file\n",
    "zip": b"PK\x03\x04" + bytes(60),
    "html": b"<html><script>alert(1)</script></html>",
    "many gif frames": b"GIF89a\xff\xff\xff\xff\x00\x00\x00" + b"\x2c" * 5000,
    "tiff loop": b"II*\0\x08\0\0\0\x01\0\x00\x01\x03\0\x01\0\0\0\x01\0\0\0\x08\0\0\0",
    "noise": bytes(range(256)) * 400,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_image_is_rejected_within_2_seconds(client, name):
    start = time.monotonic()
    answer = client.post("/v1/search", data=upload(HOSTILE[name]))
    assert time.monotonic() - start < 2
    problem = answer.get_json()
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert problem["type"].endswith("undecodable-image")
    assert "/" not in problem["detail"].replace("and/or", "") or name in ("svg",)
    assert client.post("/v1/search", data=upload(GOOD)).status_code == 200


def test_large_file_of_noise_in_every_format(client):
    for head in (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"BM"):
        answer = client.post("/v1/search", data=upload(head + bytes(range(251)) * 1900))
        assert answer.status_code == 422


def test_too_many_pixels_are_reported_from_broken_file(make_app):
    client = make_app(max_pixels=50).test_client()
    detail = client.post("/v1/search", data=upload(GOOD)).get_json()["detail"]
    assert "64" in detail or "8 x 8" in detail
    assert "50" in detail


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"", None, 415),
        (b"{}", "text/plain", 415),
        (GOOD, "image/png", 415),
        (b"k=3", "application/x-www-form-urlencoded", 415),
        (b"{broken", "application/json", 400),
        (b"\xff\xfe{}", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"key": "\\ud800"}', "application/json", 400),
        (b'{"vector": [NaN]}', "application/json", 422),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'"text"', "application/json", 422),
        (b"no boundary", "multipart/form-data", 422),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x", 422),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 422),
    ],
)
def test_body_of_wrong_media_type_is_rejected(client, content, media_type, status):
    answer = client.post("/v1/search", data=content, content_type=media_type)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json"), (
        answer.get_data()
    )
    assert len(answer.get_json()["detail"]) > 5


def test_body_that_is_too_large_is_413(make_app):
    client = make_app(max_upload=10_000).test_client()
    for body in ({"data": upload(bytes(20_000))}, {"json": {"image": "A" * 20_000}}):
        answer = client.post("/v1/search", **body)
        assert (answer.status_code, answer.content_type) == (413, "application/problem+json")


def test_thousand_fields_are_rejected(client):
    form = {f"field{n}": (io.BytesIO(b"x"), "x") for n in range(1000)}
    assert client.post("/v1/search", data=form).status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/search", 405),
        ("PUT", "/v1/items", 405),
        ("GET", "/assets/..%2f..%2fapp.py", 404),
        ("GET", "/assets/../../app.py", 404),
        ("GET", "//etc/passwd", 404),
        ("GET", "/v1/items/..%2f..%2fetc/thumbnail", 404),
        ("BREW", "/", 405),
    ],
)
def test_wrong_address_is_problem(client, method, path, status):
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.get_json()["request_id"] == answer.headers["X-Request-Id"]


def test_method_that_is_allowed_is_named(client):
    assert "POST" in client.get("/v1/search").headers["Allow"]


def test_unexpected_error_reveals_no_details(make_app, monkeypatch, caplog):
    app = make_app()
    engine = app.extensions["pyimgret"]._engine
    monkeypatch.setattr(engine, "search", lambda *_: 1 / 0)
    answer = app.test_client().post("/v1/search", json={"key": "a/1.png"})
    assert answer.status_code == 500
    assert "division" not in json.dumps(answer.get_json())
    assert "ZeroDivisionError" in caplog.text


def test_missing_index_is_503_without_its_path(make_app, index):
    client = make_app().test_client()
    for file in index.directory.iterdir():
        if file.is_file():
            file.unlink()
    answer = client.get("/v1/items", query_string={"key": "a/1.png"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert str(index.directory) not in answer.get_data(as_text=True)
