"""Torch's checkpoints, read without torch: tensors, and nothing else.

A checkpoint is a pickle, and a pickle is a program. Python's unpickler is not used at all:
the few instructions that a dictionary of tensors needs are carried out here, on numbers,
texts, tuples, dictionaries and tensors; anything else is refused. Both formats are read: the
zip of torch 1.6 and later, and the row of pickles before it.

References
----------
PyTorch's ``torch/serialization.py``; Python's ``pickletools`` describes the instructions.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import ModelFormatError

MAGIC: Final = 0x1950A86A20F9469CFC6C
PROTOCOL: Final = 1001

_TYPES: Final = {
    "ByteStorage": "u1", "CharStorage": "i1", "BoolStorage": "?", "ShortStorage": "<i2",
    "IntStorage": "<i4", "LongStorage": "<i8", "HalfStorage": "<f2", "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
}  # fmt: skip
#: What the pickle may call; each is carried out by `_call`.
_CALLABLE: Final = {
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter",
}  # fmt: skip
#: Instructions that push their argument, and those that push a constant.
_PUSHED: Final = (
    "BININT BININT1 BININT2 LONG1 INT LONG BINUNICODE SHORT_BINUNICODE BINUNICODE8 UNICODE "
    "SHORT_BINSTRING BINSTRING BINFLOAT"
)
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_GARBLED: Final = "its pickle is garbled."
_MAX_INSTRUCTIONS: Final = 2_000_000
_MAX_TUPLE: Final = 16


class RefusedError(ModelFormatError):
    """A checkpoint that is broken, or asks for more than tensors."""


@dataclass(frozen=True)
class _Name:
    """What a pickle calls; it is compared, never imported."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """Numbers that lie elsewhere in the file."""

    key: str
    kind: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """The place on the stack where a group begins."""


def read_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a checkpoint by name.

    Parameters
    ----------
    path : Path
        A file that ``torch.save(model.state_dict(), path)`` wrote.

    Raises
    ------
    ModelFormatError
        When it is no such file, is damaged, or holds anything but tensors.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            return _read_zip(file) if zipped else _read_row(file, path.stat().st_size)
    except RefusedError as error:
        raise ModelFormatError(f"{path} is not a checkpoint of tensors: {error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ModelFormatError(f"{path} is not a readable checkpoint: {error}") from error


def _read_zip(file: io.BufferedReader) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        roots = [name[: -len("data.pkl")] for name in entries if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise RefusedError("the zip holds no data.pkl, or several.")
        order = entries.get(f"{roots[0]}byteorder")
        if order is not None and archive.read(order).strip() != b"little":
            raise RefusedError("its numbers are big-endian.")

        def entry(name: str) -> bytes:
            info = entries.get(roots[0] + name)
            # NB: torch never compresses; so nothing here grows beyond the file's own size.
            if info is None or info.compress_type != zipfile.ZIP_STORED:
                raise RefusedError(f"its entry {name} is missing or compressed.")
            return archive.read(info)

        tree = _Machine().run(io.BytesIO(entry("data.pkl")))
        return _tensors(tree, lambda storage: entry(f"data/{storage.key}"))


def _read_row(file: io.BufferedReader, size: int) -> dict[str, NDArray[Any]]:
    if _Machine().run(file) != MAGIC:
        raise RefusedError("it does not begin as torch's files do.")
    if _Machine().run(file) != PROTOCOL:
        raise RefusedError("its protocol is unknown.")
    system = _Machine().run(file)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedError("its numbers are big-endian.")
    tree, keys = _Machine().run(file), _Machine().run(file)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise RefusedError("its list of storages is garbled.")
    kinds = {t.storage.key: t.storage for t in _found(tree).values()}
    blocks: dict[str, bytes] = {}
    for key in keys:
        if key not in kinds:
            raise RefusedError(f"it holds numbers that no tensor uses ({key}).")
        count = int.from_bytes(file.read(8), "little")
        length = count * np.dtype(_TYPES[kinds[key].kind]).itemsize
        if length > size:
            raise RefusedError("it ends before its numbers do.")
        blocks[key] = file.read(length)
    return _tensors(tree, lambda storage: blocks.get(storage.key, b""))


def _found(tree: object) -> dict[str, _Tensor]:
    if not isinstance(tree, dict) or not tree:
        raise RefusedError("it is not a dictionary of tensors (a state_dict).")
    for name, value in tree.items():
        if not isinstance(value, _Tensor):
            raise RefusedError(f"{name!r} is no tensor.")
    return tree


def _tensors(tree: object, read: Callable[[_Storage], bytes]) -> dict[str, NDArray[Any]]:
    blocks: dict[str, NDArray[Any]] = {}
    tensors = {}
    for name, tensor in _found(tree).items():
        storage = tensor.storage
        if storage.key not in blocks:
            kind = np.dtype(_TYPES[storage.kind])
            content = read(storage)
            if len(content) != storage.count * kind.itemsize:
                raise RefusedError(f"the numbers of {name!r} are {len(content)} bytes long.")
            blocks[storage.key] = np.frombuffer(content, kind)
        tensors[name] = _view(name, tensor, blocks[storage.key])
    return tensors


def _view(name: str, tensor: _Tensor, block: NDArray[Any]) -> NDArray[Any]:
    shape, strides = tensor.shape, tensor.strides
    count = int(np.prod(shape, dtype=object)) if shape else 1
    last = tensor.offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    # NB: a stride of zero would let a few bytes claim to be terabytes.
    if count > block.size or (count and last >= block.size):
        raise RefusedError(f"{name!r} reaches beyond its numbers.")
    if not count:
        return np.empty(shape, block.dtype)
    view = np.lib.stride_tricks.as_strided(
        block[tensor.offset :], shape, [s * block.itemsize for s in strides], writeable=False
    )
    return np.ascontiguousarray(view).reshape(shape)


class _Machine:
    """The instructions that a dictionary of tensors needs."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: Any) -> Any:
        """Carry out one pickle; ``file`` is left behind it."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > _MAX_INSTRUCTIONS:
                raise RefusedError("its pickle is absurdly long.")
            if opcode.name == "STOP":
                return self._pop()
            self._step(opcode.name, argument)
        raise RefusedError("its pickle does not end.")

    def _step(self, name: str, argument: Any) -> None:
        match name:
            case _ if name in _PUSHED.split():
                self.stack.append(argument)
            case "PROTO" | "FRAME":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                self.stack.append(_CONSTANTS[name])
            case "EMPTY_DICT" | "EMPTY_LIST":
                self.stack.append({} if name == "EMPTY_DICT" else [])
            case "MARK":
                self.stack.append(_Mark())
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                self._push_tuple(self._several(int(name[5:]) if name[5:] else None))
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                self.memo[len(self.memo) if argument is None else argument] = self._top(object)
            case "BINGET" | "LONG_BINGET":
                if argument not in self.memo:
                    raise RefusedError(_GARBLED)
                self.stack.append(self.memo[argument])
            case "APPEND" | "APPENDS":
                values = self._several(1 if name == "APPEND" else None)
                self._top(list).extend(values)
            case "SETITEM" | "SETITEMS":
                self._set(self._several(2 if name == "SETITEM" else None))
            case "BUILD":  # the attributes of a dictionary: torch keeps versions of modules there
                self._pop()
                self._top(dict)
            case "GLOBAL":
                self._push_name(argument)
            case "BINPERSID":
                self.stack.append(_storage(self._pop()))
            case "REDUCE":
                arguments, function = self._pop(), self._pop()
                self.stack.append(_call(function, arguments))
            case _:
                raise RefusedError(f"its pickle uses {name}, which no dictionary of tensors needs.")

    def _pop(self) -> Any:
        self._top(object)
        return self.stack.pop()

    def _top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise RefusedError(_GARBLED)
        return self.stack[-1]

    def _several(self, count: int | None) -> list[Any]:
        """Take so many values, or all that follow the last mark."""
        if count is not None:
            return [self._pop() for _ in range(count)][::-1]
        group: list[Any] = []
        while not isinstance(value := self._pop(), _Mark):
            group.append(value)
        return group[::-1]

    def _push_tuple(self, values: list[Any]) -> None:
        plain = (int, str, bool, _Name, _Storage, _Tensor, dict, type(None))
        # NB: tuples of tuples of tuples, each named twice, grow without bound when compared.
        flat = all(isinstance(v, plain) or _is_flat(v) for v in values)
        if len(values) > _MAX_TUPLE or not flat:
            raise RefusedError("its pickle holds tuples that no tensor needs.")
        self.stack.append(tuple(values))

    def _set(self, items: list[Any]) -> None:
        target = self._top(dict)
        if len(items) % 2:
            raise RefusedError(_GARBLED)
        for name, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(name, str):
                raise RefusedError(f"a dictionary has a key of type {type(name).__name__}.")
            target[name] = value

    def _push_name(self, name: str) -> None:
        if name not in _CALLABLE and name.removeprefix("torch ") not in _TYPES:
            raise RefusedError(
                f"it wants {name.replace(' ', '.')}; only tensors are read, and no code is run."
            )
        self.stack.append(_Name(name))


def _is_flat(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(v, int) for v in value)


def _storage(reference: object) -> _Storage:
    match reference:
        case ("storage", _Name(name), str(key), str(), int(count), *rest) if rest in (
            [],
            [None],
        ):
            kind = name.removeprefix("torch ")
            if kind not in _TYPES or count < 0:
                raise RefusedError(f"its numbers are of the kind {kind}, which is not read.")
            return _Storage(key, kind, count)
        case _:
            raise RefusedError("it refers to something that is no tensor's numbers.")


def _call(function: object, arguments: object) -> _Tensor | dict[str, Any]:
    match (getattr(function, "name", None), arguments):
        case ("collections OrderedDict", ()):
            return {}
        case ("torch._utils _rebuild_parameter", (_Tensor() as tensor, *_)):
            return tensor
        case (
            "torch._utils _rebuild_tensor_v2",
            (_Storage() as storage, int(offset), tuple(shape), tuple(strides), *_),
        ) if _is_flat(shape) and _is_flat(strides) and len(shape) == len(strides):
            if offset < 0 or any(n < 0 for n in (*shape, *strides)):
                raise RefusedError("a tensor has a negative shape or place.")
            return _Tensor(storage, offset, shape, strides)
        case (str(name), _) if name in _CALLABLE:
            raise RefusedError(f"{name.replace(' ', '.')} gets garbled arguments.")
        case _:
            raise RefusedError(f"it wants to call {function}.")
