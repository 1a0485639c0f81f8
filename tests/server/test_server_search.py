"""Search and embed: the answers are the index's own."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pytest
from server_fakes import make_images, png, upload


def matches(answer):
    assert answer.status_code == 200, answer.get_data()
    return [(m["key"], m["score"]) for m in answer.get_json()["matches"]]


def same(found, expected):
    assert [key for key, _ in found] == [match.key for match in expected]
    assert np.allclose([score for _, score in found], [m.score for m in expected], atol=1e-5)


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_uploaded_image_gets_matches_of_index(client, index):
    image = png(make_images(1, seed=5)[0])
    found = client.post("/v1/search", data=upload(image, k="7"))
    same(matches(found), index.search(image, k=7))
    assert [m["rank"] for m in found.get_json()["matches"]] == list(range(1, 8))


def test_image_in_json_finds_same(client, index):
    image = png(make_images(1, seed=6)[0])
    found = client.post("/v1/search", json={"image": b64(image), "k": 4})
    same(matches(found), index.search(image, k=4))


def test_vector_need_not_be_of_length_1(client, index):
    vector = (index.get("a/3.png").vector * 7).tolist()
    same(matches(client.post("/v1/search", json={"vector": vector})), index.search(vector, k=5))


def test_key_finds_itself_unless_reported_otherwise(client, index):
    found = matches(client.post("/v1/search", json={"key": "a/3.png", "k": 3}))
    assert found[0][0] == "a/3.png"
    found = matches(client.post("/v1/search", json={"key": "a/3.png", "exclude_self": True}))
    same(found, index.search(index.get("a/3.png").vector, k=5, exclude="a/3.png"))


@pytest.mark.parametrize("where", ["n >= 20 and even == true", {"n": {"$gte": 20}, "even": True}])
def test_filter_as_text_and_as_json(client, index, where):
    body = {"key": "a/3.png", "k": 30, "where": where}
    same(
        matches(client.post("/v1/search", json=body)),
        index.search(index.get("a/3.png").vector, k=30, where=where),
    )


def test_form_takes_filter_and_least_score(client, index):
    image = png(make_images(1)[0])
    form = upload(image, k="30", where="even == true", min_score="0.1")
    expected = index.search(image, k=30, where="even == true", min_score=0.1)
    assert 0 < len(expected) < 15
    same(matches(client.post("/v1/search", data=form)), expected)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "invalid-request"),
        ({"key": "a/1.png", "vector": [1.0]}, "invalid-request"),
        ({"key": "a/1.png", "limit": 3}, "invalid-request"),
        ({"key": "a/1.png", "k": 0}, "invalid-request"),
        ({"key": "a/1.png", "k": "3"}, "invalid-request"),
        ({"key": "a/1.png", "k": 101}, "k-out-of-range"),
        ({"key": "a/1.png", "where": "n >>> 3"}, "invalid-filter"),
        ({"key": "a/1.png", "min_score": 2}, "invalid-request"),
        ({"key": None}, "invalid-request"),
        ({"vector": [1.0, 2.0]}, "invalid-vector"),
        ({"vector": [0.0] * 16}, "invalid-vector"),
        ({"vector": [1e300] * 16}, "invalid-vector"),
        ({"image": "not base64!"}, "invalid-request"),
        ({"image": "aGVsbG8="}, "undecodable-image"),
    ],
)
def test_unanswerable_search_is_422_with_reason(client, body, kind):
    answer = client.post("/v1/search", json=body)
    problem = answer.get_json()
    assert (answer.status_code, problem["type"]) == (422, f"urn:pyimgret:problem:{kind}")
    assert answer.content_type == "application/problem+json"
    assert len(problem["detail"]) > 10


def test_key_that_is_not_there_is_404(client):
    assert client.post("/v1/search", json={"key": "../../etc/passwd"}).status_code == 404


def test_embed_gives_encoders_vectors(client, encoder):
    images = [png(image) for image in make_images(3, seed=9)]
    form = client.post("/v1/embed", data={"image": [(io.BytesIO(i), "x.png") for i in images]})
    body = client.post("/v1/embed", json={"images": [b64(image) for image in images]})
    expected = encoder.encode(images)
    for answer in (form, body):
        vectors = np.array(answer.get_json()["vectors"], dtype=np.float32)
        assert np.allclose(vectors, expected, atol=1e-6)
    assert all(math.isclose(np.linalg.norm(v), 1, abs_tol=1e-5) for v in vectors)


def test_more_images_than_allowed_are_rejected(make_app):
    client = make_app(max_images=2).test_client()
    answer = client.post("/v1/embed", json={"images": [b64(png(p)) for p in make_images(3)]})
    assert answer.get_json()["type"].endswith("too-many-images")


def test_image_to_which_network_says_nothing_is_reported(client, encoder):
    encoder.weights[:] = 0
    answer = client.post("/v1/search", data=upload(png(make_images(1)[0])))
    assert answer.get_json()["type"].endswith("no-embedding")
