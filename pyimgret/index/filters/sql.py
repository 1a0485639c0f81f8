"""Filters as SQL over the column ``metadata``; names and values are bound parameters."""

from __future__ import annotations

import difflib
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import numpy as np

from pyimgret.index.filters.ast import And, Compare, Contains, Exists, Filter, In, Not, Or, Value
from pyimgret.index.storage.arrays import RowIds

Statement = tuple[str, list[Any]]

_TYPES = {"number": "('integer', 'real')", "text": "('text')"}
_LISTED = "(SELECT value FROM json_each(?))"


def to_sql(condition: Filter) -> Statement:
    """Return the expression for a filter, and its parameters; it is 0 or 1, never NULL.

    Examples
    --------
    >>> from pyimgret.index.filters.parsing import parse
    >>> to_sql(parse("exists(a.b)"))
    ('json_type(metadata, ?) IS NOT NULL', ['$."a"."b"'])
    """
    match condition:
        case And(parts):
            return _joined([to_sql(part) for part in parts], "AND", "1")
        case Or(parts):
            return _joined([to_sql(part) for part in parts], "OR", "0")
        case Not(part):
            text, values = to_sql(part)
            return f"NOT ({text})", values
        case Exists(field):
            return "json_type(metadata, ?) IS NOT NULL", [_path(field)]
        case Contains(field, value):
            return _contains(field, value)
        case In(field, values):
            return _equals_any(field, values)
        case Compare(field, _, value) if _kind(value) == "word":
            return _equals_any(field, (value,))
        case Compare(field, op, value):
            test = f"json_extract(metadata, ?) {'=' if op == '==' else op} ?"
            return _of_type(_kind(value), test), [_path(field), _path(field), _bindable(value)]


def matching(connection: sqlite3.Connection, condition: Filter) -> RowIds:
    """Return the row ids of the items that match a filter, ascending."""
    text, values = to_sql(condition)
    rows = connection.execute(f"SELECT number FROM items WHERE {text} ORDER BY number", values)
    return np.fromiter((row[0] for row in rows), dtype=np.int64)


def unknown_fields(connection: sqlite3.Connection, condition: Filter) -> dict[str, list[str]]:
    """Return the fields of a filter that no item has, each with similar known names."""
    unknown = {
        ".".join(field)
        for field in _fields(condition)
        if not connection.execute(_ANY_HAS, [_path(field)]).fetchone()[0]
    }
    if not unknown:
        return {}
    rows = connection.execute("SELECT metadata FROM items LIMIT ?", [_SAMPLE_SIZE])
    known = {name for (text,) in rows for name in _names(json.loads(text))}
    return {name: difflib.get_close_matches(name, sorted(known)) for name in sorted(unknown)}


_ANY_HAS = "SELECT EXISTS (SELECT 1 FROM items WHERE json_type(metadata, ?) IS NOT NULL)"
_SAMPLE_SIZE = 1000
"""Number of items whose field names are read for suggestions."""


def _fields(condition: Filter) -> Iterator[tuple[str, ...]]:
    if isinstance(condition, (And, Or)):
        for part in condition.parts:
            yield from _fields(part)
    elif isinstance(condition, Not):
        yield from _fields(condition.part)
    else:
        yield condition.field


def _names(metadata: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in metadata.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{name}.")


def _equals_any(field: tuple[str, ...], values: tuple[Value, ...]) -> Statement:
    path = _path(field)
    parts: list[Statement] = []
    for kind in _TYPES:
        if same := [_bindable(value) for value in values if _kind(value) == kind]:
            test = _of_type(kind, f"json_extract(metadata, ?) IN {_LISTED}")
            parts.append((test, [path, path, json.dumps(same, ensure_ascii=False)]))
    if words := [json.dumps(value) for value in values if _kind(value) == "word"]:
        test = f"ifnull(json_type(metadata, ?) IN {_LISTED}, 0)"
        parts.append((test, [path, json.dumps(words)]))
    return _joined(parts, "OR", "0")


def _of_type(kind: str, test: str) -> str:
    return f"ifnull(json_type(metadata, ?) IN {_TYPES[kind]} AND {test}, 0)"


def _contains(field: tuple[str, ...], value: Value) -> Statement:
    path = _path(field)
    test = "type = ?"
    values: list[Any] = [json.dumps(value)]
    if _kind(value) != "word":
        test, values = f"type IN {_TYPES[_kind(value)]} AND value = ?", [_bindable(value)]
    # NB: json_each over a value that is not a list yields the value, so check the type first.
    return (
        "ifnull(json_type(metadata, ?) = 'array', 0) "
        f"AND EXISTS (SELECT 1 FROM json_each(metadata, ?) WHERE {test})",
        [path, path, *values],
    )


def _joined(parts: list[Statement], word: str, empty: str) -> Statement:
    text = f" {word} ".join(f"({part})" for part, _ in parts)
    return text or empty, [value for _, values in parts for value in values]


def _path(field: tuple[str, ...]) -> str:
    return "$" + "".join(f'."{name}"' for name in field)


def _kind(value: Value) -> str:
    if value is None or isinstance(value, bool):
        return "word"
    return "text" if isinstance(value, str) else "number"


def _bindable(value: Value) -> str | int | float:
    """Return a value that SQLite can bind: integers beyond 64 bits become reals."""
    assert value is not None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value
