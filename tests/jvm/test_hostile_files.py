"""Model files that are broken, too new, or mean harm: refused, and nothing of them runs."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import pyimgret
from pyimgret.exceptions import ModelFormatError


@pytest.fixture(scope="module")
def good(digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "good.zip"
    settings = {"epochs": 1, "random_state": 0, "verbose": False}
    pyimgret.Autoencoder((16,), 4, **settings).fit(digits[:100]).save(path)
    return path


def changed(good: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write the entries of a good file again, changed."""
    with zipfile.ZipFile(good) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return target


def edit(name: str, old: str, new: str) -> Callable[[dict[str, bytes]], None]:
    def change(entries: dict[str, bytes]) -> None:
        text = entries[name].decode()
        assert old in text
        entries[name] = text.replace(old, new, 1).encode()

    return change


def metadata(**values: object) -> Callable[[dict[str, bytes]], None]:
    def change(entries: dict[str, bytes]) -> None:
        entries["pyimgret.json"] = json.dumps(
            json.loads(entries["pyimgret.json"]) | values
        ).encode()

    return change


def add(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda entries: entries.update({name: content})


def gadget(flag: Path) -> bytes:
    """Return a serialized java.io.File: harmless, and refused before anything reads it."""
    name, text = b"java.io.File", str(flag).encode()
    header = b"\xac\xed\x00\x05sr" + struct.pack(">H", len(name)) + name
    return header + b"\x04-\xa4E\x0e\r\xe4\xff\x03\x00\x01L\x00\x04path" + text


HOSTILE = {
    "serialized preprocessor": add("preprocessor.bin", b"\xac\xed\x00\x05"),
    "serialized objects": add("objects/evil", b"\xac\xed\x00\x05"),
    "path out of the zip": add("../../evil", b"x"),
    "absolute path": add("/tmp/evil", b"x"),
    "newer version": metadata(format=99),
    "version that is no number": metadata(format="one"),
    "unknown kind": metadata(kind="Elsewhere"),
    "kind out of the package": metadata(kind="os.system"),
    "code layer that is not there": metadata(code_layer=99),
    "another embedding size": metadata(embedding_size=5),
    "garbled preprocessing": metadata(preprocessing={"mode": "L"}),
    "metadata that is no JSON": add("pyimgret.json", b"{"),
    "metadata that is a list": add("pyimgret.json", b"[]"),
    "configuration that is no JSON": add("configuration.json", b"{"),
    "weights cut off": lambda e: e.update({"coefficients.bin": e["coefficients.bin"][:900]}),
    "no weights": lambda e: e.pop("coefficients.bin"),
    "no configuration": lambda e: e.pop("configuration.json"),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_file_that_is_not_right_is_refused(change, good: Path, tmp_path: Path) -> None:
    with pytest.raises((ModelFormatError, ValueError)) as caught:
        pyimgret.load(changed(good, tmp_path / "bad.zip", change))
    assert isinstance(caught.value, ModelFormatError), caught.value


def test_absurd_layer_sizes_are_refused_before_memory_is_taken(good: Path, tmp_path: Path) -> None:
    def grow(entries: dict[str, bytes]) -> None:
        text = entries["configuration.json"].decode()
        entries["configuration.json"] = text.replace(": 784", ": 2000000000").encode()

    with pytest.raises(ModelFormatError):
        pyimgret.load(changed(good, tmp_path / "bad.zip", grow))


def test_bomb_is_refused(good: Path, tmp_path: Path) -> None:
    bomb = add("coefficients.bin", b"\x00" * 300_000_000)
    with pytest.raises(ModelFormatError):
        pyimgret.load(changed(good, tmp_path / "bad.zip", bomb))


def test_class_that_configuration_names_is_not_made(good: Path, tmp_path: Path) -> None:
    """Jackson makes what ``@class`` names: this class touches a file when it is made."""
    flag = tmp_path / "touched"

    def plant(entries: dict[str, bytes]) -> None:
        text = entries["configuration.json"].decode()
        known = "org.nd4j.linalg.activations.impl.ActivationSigmoid"
        assert known in text
        entries["configuration.json"] = text.replace(
            f'"{known}"', f'"java.io.FileOutputStream", "name" : "{flag}"'
        ).encode()

    with pytest.raises(ModelFormatError, match=r"FileOutputStream"):
        pyimgret.load(changed(good, tmp_path / "bad.zip", plant))
    assert not flag.exists()


def test_serialized_java_is_not_read(good: Path, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    bad = changed(good, tmp_path / "bad.zip", add("preprocessor.bin", gadget(flag)))
    with pytest.raises(ModelFormatError, match=r"preprocessor\.bin"):
        pyimgret.load(bad)
    assert not flag.exists()


@pytest.mark.parametrize("part", [i / 10 for i in range(10)])
def test_file_that_was_cut_off_is_refused(part: float, good: Path, tmp_path: Path) -> None:
    content = good.read_bytes()
    target = tmp_path / "cut.zip"
    target.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ModelFormatError):
        pyimgret.load(target)


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>", b"\x89PNG\r\n\x1a\n"])
def test_file_that_is_no_zip_is_refused(content: bytes, tmp_path: Path) -> None:
    target = tmp_path / "model.zip"
    target.write_bytes(content)
    with pytest.raises(ModelFormatError):
        pyimgret.load(target)


def test_zip_of_plain_deeplearning4j_needs_code_layer_and_input(
    good: Path, tmp_path: Path, digits
) -> None:
    plain = changed(good, tmp_path / "plain.zip", lambda e: e.pop("pyimgret.json") and None)
    with pytest.raises(ModelFormatError, match=r"load\(path, code_layer=.*preprocessing="):
        pyimgret.load(plain)
    loaded = pyimgret.load(
        plain, code_layer="code", preprocessing=pyimgret.Preprocessor("L", 28, 28)
    )
    assert (loaded.encode(digits[:5]) == pyimgret.load(good).encode(digits[:5])).all()
    loaded.save(tmp_path / "again.zip")
    assert pyimgret.load(tmp_path / "again.zip").embedding_size == 4


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such model file"):
        pyimgret.load(tmp_path / "none.zip")
