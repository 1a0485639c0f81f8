from __future__ import annotations

import tempfile
from pathlib import Path

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


@pytest.fixture
def open_folder():
    """Return a folder that other users may enter (pytest closes its own to them)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
