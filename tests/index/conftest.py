from __future__ import annotations

import numpy as np
import pytest
from index_fakes import FakeEncoder

from pyimgret.index import Index


def unit(n: int, d: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


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
