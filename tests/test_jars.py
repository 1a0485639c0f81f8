"""What Maven brought is what was published."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pyimgret.exceptions import JvmStartError
from pyimgret.jvm import jars


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with one jar, whose sum pyimgret knows."""
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "nd4j.jar").write_bytes(b"published")
    sums = tmp_path / "sums"
    sums.write_text(f"{hashlib.sha256(b'published').hexdigest()}  nd4j.jar\n")
    monkeypatch.setattr(jars, "SUMS", sums)
    return folder


def test_jar_with_its_own_sum_is_taken(known: Path) -> None:
    jars.verify(known)


def test_jar_that_was_changed_is_rejected(known: Path) -> None:
    (known / "nd4j.jar").write_bytes(b"another")
    with pytest.raises(JvmStartError, match=r"nd4j.jar has the SHA-256 checksum .*, expected "):
        jars.verify(known)


def test_jar_that_nobody_knows_is_rejected(known: Path) -> None:
    (known / "more.jar").write_bytes(b"more")
    with pytest.raises(JvmStartError, match=r"more.jar .*expected no such jar"):
        jars.verify(known)


def test_there_is_sum_for_every_platforms_natives() -> None:
    names = jars.SUMS.read_text()
    for platform in ("linux-x86_64", "linux-arm64", "macosx-x86_64", "macosx-arm64"):
        assert f"nd4j-native-1.0.0-M2.1-{platform}" in names
    assert "nd4j-native-1.0.0-M2.1-windows-x86_64" in names
