"""Torch's files are read without torch, and nothing in them is ever run."""

from __future__ import annotations

import os
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pyimgret.exceptions import ModelFormatError
from pyimgret.pretrained.torch_checkpoint import MAGIC, PROTOCOL, read_checkpoint

W = np.arange(6, dtype=np.float32).reshape(2, 3)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(
    key: str = "0",
    *,
    kind: str = "FloatStorage",
    count: int = 6,
    offset: int = 0,
    shape: tuple[int, ...] = (2, 3),
    strides: tuple[int, ...] = (3, 1),
    view: bytes = b"",
) -> bytes:
    """Return the pickle's instructions for one tensor, as torch writes them."""
    storage = b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key)
    storage += text("cpu") + number(count) + view + b"tQ"
    parts = storage + number(offset) + numbers(*shape) + numbers(*strides) + b"\x89"
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + parts + hooks + b"tR"


def state(**tensors: bytes) -> bytes:
    items = b"".join(text(name.replace("_", ".")) + value for name, value in tensors.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."


def new_file(path: Path, content: bytes, blocks: dict[str, bytes], *, method: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/byteorder", "little")
        for key, block in blocks.items():
            archive.writestr(f"archive/data/{key}", block)
    return path


def old_file(path: Path, content: bytes, blocks: dict[str, bytes]) -> Path:
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"int": 4}}
    parts = [pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, system)]
    parts += [content, pickle.dumps(list(blocks), 2)]
    for block in blocks.values():
        parts += [struct.pack("<q", len(block) // 4), block]
    path.write_bytes(b"".join(parts))
    return path


@pytest.fixture(params=["new", "old"])
def save(request, tmp_path):
    def write(content: bytes, blocks: dict[str, bytes]) -> Path:
        if request.param == "new":
            return new_file(tmp_path / "model.pth", content, blocks)
        return old_file(tmp_path / "model.pth", content.replace(b"tQ", b"NtQ"), blocks)

    return write


def test_tensors_come_back(save) -> None:
    turned = tensor(shape=(3, 2), strides=(1, 3))
    path = save(state(a_weight=tensor(), turned=turned), {"0": W.tobytes()})
    tensors = read_checkpoint(path)
    assert list(tensors) == ["a.weight", "turned"]
    assert np.array_equal(tensors["a.weight"], W)
    assert np.array_equal(tensors["turned"], W.T)
    assert tensors["turned"].flags.c_contiguous


def test_number_keeps_its_empty_shape(tmp_path) -> None:
    count = tensor(kind="LongStorage", count=1, shape=(), strides=())
    path = new_file(tmp_path / "n.pth", state(count=count), {"0": struct.pack("<q", 7)})
    assert read_checkpoint(path)["count"] == np.array(7)
    assert read_checkpoint(path)["count"].shape == ()


class Bomb:
    def __init__(self, call: object, *arguments: object) -> None:
        self.what = call, arguments

    def __reduce__(self):
        return self.what


@pytest.mark.parametrize("protocol", range(6))
def test_pickle_that_calls_something_is_rejected_and_nothing_runs(tmp_path, protocol) -> None:
    trace = tmp_path / "trace"
    content = pickle.dumps({"a": Bomb(os.system, f"touch {trace}")}, protocol)
    for path in (
        new_file(tmp_path / "new.pth", content, {}),
        old_file(tmp_path / "old.pth", content, {}),
    ):
        with pytest.raises(ModelFormatError, match=r"only tensors are read|uses \w+, which no"):
            read_checkpoint(path)
    assert not trace.exists()


def test_first_pickle_of_old_file_is_read_with_same_suspicion(tmp_path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(pickle.dumps(Bomb(sys.exit, 1), 2))
    with pytest.raises(ModelFormatError, match=r"sys\.exit|builtins|uses"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (state(a=tensor(shape=(2, 4))), "beyond"),
        (state(a=tensor(offset=1)), "beyond"),
        (state(a=tensor(offset=-1)), "negative"),
        (state(a=tensor(shape=(10**6, 10**6), strides=(0, 0))), "beyond"),
        (state(a=tensor(strides=(-3, 1))), "negative"),
        (state(a=tensor(count=7)), "24 bytes long"),
        (state(a=tensor(kind="QInt8Storage")), "QInt8Storage"),
        (state(a=tensor(key="../../x")), "missing"),
        (state(a=number(3)), "no tensor"),
        (b"\x80\x02}.", "state_dict"),
        (b"\x80\x02]q\x00h\x00a.", "state_dict"),
        (b"\x80\x02h\x05.", "garbled"),
        (b"\x80\x02}(K\x01K\x02u.", "key of type int"),
        (b"\x80\x02" + b")" + b"\x85" * 40 + b".", "tuples"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01tR.", "garbled"),
        (b"\x80\x02K\x01", "exhausted|end"),
        (b"", "exhausted|end"),
    ],
)
def test_garbled_and_hostile_dictionaries_are_rejected(tmp_path, content, message) -> None:
    path = new_file(tmp_path / "m.pth", content, {"0": W.tobytes()})
    with pytest.raises(ModelFormatError, match=message):
        read_checkpoint(path)


def test_compressed_entry_is_rejected_before_it_grows(tmp_path) -> None:
    path = new_file(
        tmp_path / "m.pth", state(a=tensor()), {"0": W.tobytes()}, method=zipfile.ZIP_DEFLATED
    )
    with pytest.raises(ModelFormatError, match="compressed"):
        read_checkpoint(path)


@pytest.mark.parametrize("kept", [0, 3, 40, 150, -1, -24])
def test_cut_file_is_rejected(save, kept) -> None:
    path = save(state(a=tensor()), {"0": W.tobytes()})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelFormatError):
        read_checkpoint(path)


def test_any_changed_byte_gives_tensors_or_clear_error(tmp_path) -> None:
    whole = old_file(tmp_path / "m.pth", state(a=tensor(view=b"N")), {"0": W.tobytes()})
    content = whole.read_bytes()
    random = np.random.default_rng(0)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << int(random.integers(8))
        whole.write_bytes(changed)
        try:
            tensors = read_checkpoint(whole)
        except ModelFormatError:
            continue
        assert all(isinstance(value, np.ndarray) for value in tensors.values())


def test_what_is_not_file_at_all_is_systems_own_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "missing.pth")
