"""Writes that meet: one of them wins, and everyone is told the truth."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyimgret_server import create_app
from pyimgret_server.documents import document

WRITERS = 6
ROUNDS = 25


@pytest.fixture
def together(make_app, api_key, key_file):
    """Call functions of a client of their own at the same moment; return what they return."""
    app = make_app(writable=True, api_keys=key_file)
    barrier = threading.Barrier(WRITERS)

    def run(action, number):
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {api_key}"
        barrier.wait()
        return action(client, number)

    with ThreadPoolExecutor(WRITERS) as pool:

        def call(action):
            return [one.result() for one in [pool.submit(run, action, n) for n in range(WRITERS)]]

        yield call


def item(number, key, **fields):
    return {"vector": [1.0 + number] + [1.0] * 15, "key": key, **fields}


def test_of_several_posts_with_one_key_one_is_201_and_others_409(together, index):
    for turn in range(ROUNDS):
        key = f"new/{turn}"
        answers = together(lambda c, n, key=key: c.post("/v1/items", json=item(n, key)))
        assert sorted(a.status_code for a in answers) == [201] + [409] * (WRITERS - 1)
        kinds = {a.get_json()["type"] for a in answers if a.status_code == 409}
        assert kinds == {"urn:pyimgret:problem:key-exists"}
        (winner,) = (a.get_json() for a in answers if a.status_code == 201)
        assert winner == {"id": index.get(key).id, "key": key}


def test_of_several_deletes_of_one_item_one_is_204_and_others_404(together, index):
    for turn in range(ROUNDS):
        index.add([[1.0] * 16], keys=[f"old/{turn}"])
        place = f"/v1/items/{index.get(f'old/{turn}').id}"
        answers = together(lambda c, n, place=place: c.delete(place))  # noqa: ARG005
        assert sorted(a.status_code for a in answers) == [204] + [404] * (WRITERS - 1)


def test_concurrent_replace_and_delete_are_both_acknowledged(together, index):
    for turn in range(ROUNDS):
        key = f"both/{turn}"
        index.add([[1.0] * 16], keys=[key])
        place = f"/v1/items/{index.get(key).id}"

        def act(client, number, key=key, place=place):
            if number % 2:
                return client.post("/v1/items", json=item(number, key, replace=True)).status_code
            return client.delete(place).status_code

        statuses = together(act)
        assert set(statuses[1::2]) == {201}
        assert set(statuses[::2]) <= {204, 404}


def test_document_names_problem_of_existing_key(index):
    app = create_app(index)
    described = document(app)["paths"]["/v1/items"]["post"]["responses"]["409"]
    assert "urn:pyimgret:problem:key-exists" in described["description"]
    app.extensions["pyimgret"].close()
