"""Constructor parameters and labels as JSON and back: what a model's file keeps of them.

A JSON array is a tuple; what JSON has no word for is an object that names its type.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret import layers
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.preprocessing import Preprocessor

#: Classes that a file may name.
_RECORDS: dict[str, type[Any]] = {
    name: kind
    for name, kind in {**vars(layers), "Preprocessor": Preprocessor}.items()
    if kind is Preprocessor or (isinstance(kind, type) and issubclass(kind, layers.Layer))
}


def to_json(value: object) -> Any:
    """Return a value as JSON knows it; `from_json` gives it back, of the same type.

    Raises
    ------
    TypeError
        When a file cannot hold it.

    Examples
    --------
    >>> to_json((64, [1, 2]))
    [64, {'type': 'list', 'items': [1, 2]}]
    >>> from_json(to_json({3: 2.0}))
    {3: 2.0}
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return to_json(value.item())
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, list):
        return {"type": "list", "items": [to_json(item) for item in value]}
    if isinstance(value, dict):
        items = [[to_json(key), to_json(item)] for key, item in value.items()]
        return {"type": "dict", "items": items}
    if isinstance(value, np.ndarray):
        dtype = {"U": "str", "O": "object"}.get(value.dtype.kind, value.dtype.name)
        items = [to_json(item) for item in value.ravel().tolist()]
        return {"type": "array", "dtype": dtype, "shape": list(value.shape), "items": items}
    if isinstance(value, os.PathLike):
        return {"type": "path", "path": to_json(os.fspath(value))}
    name = type(value).__name__
    if _RECORDS.get(name) is type(value):
        names = [field.name for field in fields(_RECORDS[name])]
        return {"type": name} | {field: to_json(getattr(value, field)) for field in names}
    raise TypeError(f"a {name} is not what a model's file can hold: {value!r}.")


def from_json(value: Any) -> Any:
    """Return what `to_json` was given.

    Raises
    ------
    KeyError, TypeError, ValueError
        When the value is none of its results.
    """
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    kind = value["type"]
    if kind == "list":
        return [from_json(item) for item in value["items"]]
    if kind == "dict":
        return {from_json(key): from_json(item) for key, item in value["items"]}
    if kind == "array":
        return _array(value)
    if kind == "path":
        return Path(value["path"])
    record = {name: from_json(item) for name, item in value.items() if name != "type"}
    return _RECORDS[kind](**record)


def _array(value: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(value["dtype"])
    # NB: a file must not choose how many bytes an item takes.
    if dtype.kind not in "biuf" and value["dtype"] not in {"str", "object"}:
        raise InvalidArgumentError(f"the dtype {value['dtype']!r}")
    return np.array([from_json(item) for item in value["items"]], dtype).reshape(value["shape"])
