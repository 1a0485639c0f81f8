"""Items: looked up, added, deleted; keys that hold anything; who may write."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from server_fakes import make_images, png, upload

STRANGE_KEYS = [
    "../../etc/passwd",
    "a/../../b",
    "/absolute",
    "C:\\windows\\win.ini",
    "%2e%2e%2f",
    "with space & = ? # % +",
    "new\nline\ttab",
    "ünï/cødé/猫.png",
    "<script>alert(1)</script>",
    "'; DROP TABLE items; --",
    "x" * 4096,
]


def test_item_by_key_and_by_id(client, index):
    item = client.get("/v1/items", query_string={"key": "a/3.png"}).get_json()
    assert (item["key"], item["metadata"]) == ("a/3.png", {"n": 3, "even": False})
    assert np.allclose(item["vector"], index.get("a/3.png").vector)
    assert client.get(f"/v1/items/{item['id']}").get_json() == item


def test_missing_item_is_404(client):
    assert client.get("/v1/items", query_string={"key": "nope"}).status_code == 404
    assert client.get("/v1/items/00000000000000000000000000000000").status_code == 404


@pytest.mark.parametrize(
    "path", ["/v1/items", "/v1/items?key=", "/v1/items/a.b", "/v1/items/..%2f"]
)
def test_wrong_question_is_problem(client, path):
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert answer.content_type == "application/problem+json"


def test_thumbnail_comes_out_of_index(client, index):
    where = f"/v1/items/{index.get('a/3.png').id}/thumbnail"
    answer = client.get(where)
    assert answer.content_type == "image/png"
    assert answer.get_data() == index.thumbnail("a/3.png").image
    again = client.get(where, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (304, b"")


def test_item_without_image_has_no_thumbnail(client, index):
    index.add(np.ones((1, 16), np.float32), keys=["vector"])
    answer = client.get(f"/v1/items/{index.get('vector').id}/thumbnail")
    assert answer.get_json()["type"].endswith("no-thumbnail")


@pytest.mark.parametrize("key", STRANGE_KEYS)
def test_any_key_can_be_added_found_and_deleted(writer, index, key, tmp_path):
    image = png(make_images(1, seed=len(key))[0])
    added = writer.post("/v1/items", data=upload(image, key=key, metadata='{"a": [1, null]}'))
    assert added.status_code == 201, added.get_data()
    assert added.get_json()["key"] == key
    assert added.headers["Location"] == f"/v1/items/{added.get_json()['id']}"
    found = writer.get("/v1/items", query_string={"key": key}).get_json()
    assert found["metadata"] == {"a": [1, None]}
    best = writer.post("/v1/search", data=upload(image, k=1)).get_json()["matches"][0]
    assert (best["key"], round(best["score"], 5)) == (key, 1.0)
    assert writer.delete(f"/v1/items/{found['id']}").status_code == 204
    assert writer.get(f"/v1/items/{found['id']}").status_code == 404
    assert key not in index


def test_vector_with_metadata_as_json(writer, index):
    body = {"vector": [1.0] + [0.0] * 15, "key": "east", "metadata": {"deep": {"list": [1]}}}
    assert writer.post("/v1/items", json=body).status_code == 201
    assert index.get("east").metadata == body["metadata"]


def test_without_key_one_is_made(writer, index):
    body = {"image": base64.b64encode(png(make_images(1)[0])).decode()}
    added = writer.post("/v1/items", json=body).get_json()
    assert index.get(added["key"]).id == added["id"]


def test_key_that_is_there_is_409_unless_replaced(writer, index):
    before = index.get("a/3.png").id
    form = upload(png(make_images(1, seed=3)[0]), key="a/3.png")
    assert writer.post("/v1/items", data=form).get_json()["type"].endswith("key-exists")
    form = upload(png(make_images(1, seed=3)[0]), key="a/3.png", replace="true")
    assert writer.post("/v1/items", data=form).get_json()["id"] == before
    assert len(index) == 30


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"key": "nul\0"}, 422),
        ({"key": "k", "metadata": "[1]"}, 422),
        ({"key": "k", "metadata": "{broken"}, 422),
        ({"key": "k", "metadata": '{"a": NaN}'}, 422),
        ({"key": "k", "colour": "red"}, 422),
    ],
)
def test_invalid_item_is_rejected(writer, index, fields, status):
    answer = writer.post("/v1/items", data=upload(png(make_images(1)[0]), **fields))
    assert (answer.status_code, len(index)) == (status, 30), answer.get_data()


def test_broken_image_is_not_added(writer, index):
    answer = writer.post("/v1/items", data=upload(b"broken", key="k"))
    assert answer.get_json()["type"].endswith("undecodable-image")
    assert len(index) == 30


def test_read_only_service_writes_nothing(client, index):
    answer = client.post("/v1/items", data=upload(png(make_images(1)[0]), key="k"))
    assert (answer.status_code, len(index)) == (403, 30)
    assert client.delete(f"/v1/items/{index.get('a/3.png').id}").status_code == 403


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic dGVzdHM6a2V5", "Bearer \xe9"]
)
def test_wrong_api_key_writes_nothing(writer, index, given):
    headers = {} if given is None else {"Authorization": given}
    writer.environ_base.pop("HTTP_AUTHORIZATION")
    answer = writer.delete(f"/v1/items/{index.get('a/3.png').id}", headers=headers)
    assert (answer.status_code, len(index)) == (401, 30)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_file_of_keys_holds_no_key(api_key, key_file, writer):
    text = key_file.read_text()
    assert api_key not in text
    assert text.startswith("tests sha256:")
    assert key_file.stat().st_mode & 0o077 == 0


def test_metadata_that_is_not_json_is_422(writer):
    body = json.dumps({"vector": [1.0] * 16, "key": "k", "metadata": {"a": float("nan")}})
    answer = writer.post("/v1/items", data=body, content_type="application/json")
    assert answer.status_code in (400, 422)


def test_form_with_two_images_is_rejected(writer):
    twice = {"image": [(io.BytesIO(png(p)), "x.png") for p in make_images(2)]}
    assert "more than once" in writer.post("/v1/items", data=twice).get_json()["detail"]
