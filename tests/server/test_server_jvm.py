"""The service on a real model: the JVM encodes, and no request thread stays with it."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from server_fakes import png, upload

from pyimgret import Autoencoder, Encoder, Index
from pyimgret.jvm import bridge
from pyimgret_server import create_app

pytestmark = pytest.mark.jvm


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (80, 12, 12), dtype=np.uint8)


@pytest.fixture(scope="module")
def served(tmp_path_factory, images):
    model = Autoencoder((16,), code_size=8, epochs=1, random_state=0).fit(images)
    index = Index.create(tmp_path_factory.mktemp("jvm") / "idx", Encoder(model))
    index.add(list(images), keys=[f"{n}.png" for n in range(len(images))])
    app = create_app(index.directory)
    yield app, index
    app.extensions["pyimgret"].close()
    index.close()


def test_thousand_threads_get_matches_of_index_and_leave_jvm(served, images):
    app, index = served
    expected = [index.search(png(image), k=3).keys for image in images]
    java_threads = json.loads(bridge().call("info"))["java_threads"]
    wrong = []

    def ask(number: int) -> None:
        form = upload(png(images[number % 80]), k="3")
        answer = app.test_client().post("/v1/search", data=form).get_json()
        if [match["key"] for match in answer["matches"]] != expected[number % 80]:
            wrong.append(answer)

    for start in range(0, 1000, 20):
        threads = [threading.Thread(target=ask, args=(start + n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert json.loads(bridge().call("info"))["java_threads"] <= java_threads


def test_heat_maps_and_memory_of_jvm(served, images):
    app, index = served
    client = app.test_client()
    assert client.get("/v1/index").get_json()["model"] == "Autoencoder"
    form = upload(png(images[3]), id=index.get("5.png").id)
    found = client.post("/v1/explain", data=form).get_json()
    heat = np.array(found["query"])
    assert heat.ndim == 2
    assert heat.max() == 1
    assert "pyimgret_jvm_off_heap_max_bytes" in client.get("/metrics").get_data(as_text=True)
