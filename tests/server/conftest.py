from __future__ import annotations

import pytest
from server_fakes import FakeEncoder, make_images

from pyimgret.index import Index
from pyimgret_server import Settings, create_app
from pyimgret_server.keys import make_key


@pytest.fixture
def encoder():
    return FakeEncoder()


@pytest.fixture
def index(tmp_path, encoder):
    made = Index.create(tmp_path / "idx", encoder)
    made.add(
        list(make_images(30)),
        keys=[f"a/{n}.png" for n in range(30)],
        metadata=[{"n": n, "even": n % 2 == 0} for n in range(30)],
    )
    yield made
    made.close()


@pytest.fixture
def make_app(index):
    """Make applications of the index that are closed when the test ends."""
    apps = []

    def make(**options):
        explainer = options.pop("explainer", None)
        apps.append(create_app(index, Settings(**options), explainer=explainer))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions["pyimgret"].close()


@pytest.fixture
def client(make_app):
    return make_app().test_client()


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "keys"


@pytest.fixture
def api_key(key_file):
    return make_key(key_file, "tests")


@pytest.fixture
def writer(make_app, api_key, key_file):
    """Give a client of a writable service that sends its key."""
    client = make_app(writable=True, api_keys=key_file).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {api_key}"
    return client
