from __future__ import annotations

import pytest
from index_fakes import FakeEncoder, unit

from pyimgret.index import Index


@pytest.fixture
def encoder():
    return FakeEncoder()


@pytest.fixture
def vectors():
    return unit(200, 16)


@pytest.fixture
def index(tmp_path, vectors):
    made = Index.create(tmp_path / "idx", dimension=16)
    made.add(vectors, keys=[f"v{i}" for i in range(len(vectors))])
    yield made
    made.close()
