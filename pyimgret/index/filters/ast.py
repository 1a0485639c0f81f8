"""The nodes of a filter, and the checks that every form of it shares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from pyimgret.exceptions import PyimgretError

Value: TypeAlias = str | int | float | bool | None
Where: TypeAlias = "str | Mapping[str, Any] | Filter | None"

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 10_000


class FilterError(PyimgretError, ValueError):
    """A filter that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Compare:
    """``field op value`` with op one of ``== < <= > >=``."""

    field: tuple[str, ...]
    op: str
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """``field in [values]``."""

    field: tuple[str, ...]
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """``field contains value``: the field is a list with the value in it."""

    field: tuple[str, ...]
    value: Value


@dataclass(frozen=True, slots=True)
class Exists:
    """``exists(field)``; a field that is null exists."""

    field: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class And:
    """All of the parts; true when there are none."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of the parts at least."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The negation."""

    part: Filter


Filter: TypeAlias = Compare | In | Contains | Exists | And | Or | Not

_COMPARISONS: Final = {"$eq": "==", "$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
_OPERATORS: Final = (*_COMPARISONS, "$ne", "$in", "$nin", "$contains", "$exists")


def parse(where: Where) -> Filter | None:
    """Return the filter that a text or a JSON object means; None for none.

    Raises
    ------
    FilterError
        With what was not understood.

    Examples
    --------
    >>> parse("label == 'cat'") == parse({"label": "cat"})
    True
    >>> parse({"year": {"$gte": 2001}})
    Compare(field=('year',), op='>=', value=2001)
    """
    if where is None or (isinstance(where, str) and not where.strip()):
        return None
    if isinstance(where, str):
        from pyimgret.index.filters.text import parse_text

        return parse_text(where)
    if isinstance(where, Mapping):
        return from_json(where)
    if isinstance(where, Filter):
        return where
    raise FilterError(f"A filter is a text or a JSON object, not {type(where).__name__}.")


def from_json(document: Any, depth: int = 0) -> Filter:
    """Return the filter of a JSON object."""
    check_depth(depth)
    if not isinstance(document, Mapping):
        raise FilterError(f"Expected an object of conditions, got {document!r:.80}.")
    parts = [part for name, value in document.items() for part in _condition(name, value, depth)]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def field_path(name: str) -> tuple[str, ...]:
    """Split the name of a field at its dots; backquotes keep them.

    Examples
    --------
    >>> field_path("camera.maker"), field_path("`a.b`.c")
    (('camera', 'maker'), ('a.b', 'c'))
    """
    from pyimgret.index.filters.text import parse_field

    return parse_field(name)


def checked_name(name: str) -> str:
    """Refuse the names of fields that the database cannot look up."""
    if not name or '"' in name or "\\" in name or any(ord(c) < 32 for c in name):
        raise FilterError(
            f"{name!r} cannot be filtered by: the name is empty or holds quotes, backslashes or "
            "control characters."
        )
    return name


def checked_value(value: Any) -> Value:
    """Refuse what no field can be compared with; NumPy's numbers are numbers."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise FilterError(f"{value} is no JSON number.")
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise FilterError(f"{value!r:.80} is no number, string, true, false or null.")


def compare(field: tuple[str, ...], op: str, value: Any) -> Filter:
    """Return a comparison, ``!=`` as the negation of ``==``."""
    if op == "!=":
        return Not(compare(field, "==", value))
    checked = checked_value(value)
    if op != "==" and (checked is None or isinstance(checked, bool)):
        raise FilterError(f"{op} compares numbers or strings, not {value!r}.")
    return Compare(field, op, checked)


def is_in(field: tuple[str, ...], values: Any) -> Filter:
    """Return ``field in values``."""
    if not isinstance(values, Sequence) or isinstance(values, (str, bytes)):
        raise FilterError(f"'in' wants a list, not {values!r:.80}.")
    if len(values) > MAX_VALUES:
        raise FilterError(f"A list of {len(values):,} values is too long; {MAX_VALUES:,} may be.")
    return In(field, tuple(map(checked_value, values)))


def check_depth(depth: int) -> None:
    """Refuse what is nested so deep that only an attacker wrote it."""
    if depth > MAX_DEPTH:
        raise FilterError(f"The filter is nested more than {MAX_DEPTH} deep.")


def _condition(name: Any, value: Any, depth: int) -> Iterator[Filter]:
    """Yield what one entry of an object says."""
    if not isinstance(name, str):
        raise FilterError(f"The name of a field is a string, not {name!r:.80}.")
    if name in ("$and", "$or"):
        if not isinstance(value, (list, tuple)) or not value:
            raise FilterError(f"{name} wants a list of conditions, not {value!r:.80}.")
        parts = tuple(from_json(one, depth + 1) for one in value)
        yield And(parts) if name == "$and" else Or(parts)
    elif name == "$not":
        yield Not(from_json(value, depth + 1))
    elif name.startswith("$"):
        raise FilterError(f"{name} is unknown here; known are $and, $or and $not.")
    elif not isinstance(value, Mapping):
        yield compare(field_path(name), "==", value)
    elif not value:
        raise FilterError(f"The condition on {name!r} is empty.")
    else:
        for operator, operand in value.items():
            yield _operation(field_path(name), operator, operand)


def _operation(field: tuple[str, ...], operator: Any, operand: Any) -> Filter:
    """Return what an operator of the JSON form says about a field."""
    if operator in _COMPARISONS:
        return compare(field, _COMPARISONS[operator], operand)
    if operator == "$ne":
        return compare(field, "!=", operand)
    if operator in ("$in", "$nin"):
        found = is_in(field, operand)
        return found if operator == "$in" else Not(found)
    if operator == "$contains":
        return Contains(field, checked_value(operand))
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise FilterError(f"$exists wants true or false, not {operand!r:.80}.")
        return Exists(field) if operand else Not(Exists(field))
    raise FilterError(f"{operator!r} is unknown; known are {', '.join(_OPERATORS)}.")
