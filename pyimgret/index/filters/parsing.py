"""Parsing of filters in any of their forms: text, JSON objects, and filters themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from pyimgret.index.filters.ast import (
    And,
    Contains,
    Exists,
    Filter,
    FilterError,
    Not,
    Or,
    check_depth,
    checked_value,
    compare,
    is_in,
)
from pyimgret.index.filters.text import parse_field, parse_text

Where: TypeAlias = str | Mapping[str, Any] | Filter | None

_COMPARISONS: Final = {"$eq": "==", "$ne": "!=", "$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
_OPERATORS: Final = (*_COMPARISONS, "$in", "$nin", "$contains", "$exists")


def parse(where: Where) -> Filter | None:
    """Parse a filter given as text or as a JSON object; None stays None.

    Raises
    ------
    FilterError
        With the part that could not be parsed.

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
        return parse_text(where)
    if isinstance(where, Mapping):
        return _from_json(where)
    if isinstance(where, Filter):
        return where
    raise FilterError(f"A filter must be text or a JSON object, not {type(where).__name__}.")


def _from_json(document: Any, depth: int = 0) -> Filter:
    """Return the filter of a JSON object."""
    check_depth(depth)
    if not isinstance(document, Mapping):
        raise FilterError(f"Expected an object of conditions, got {document!r:.80}.")
    parts = [part for name, value in document.items() for part in _condition(name, value, depth)]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _condition(name: Any, value: Any, depth: int) -> Iterator[Filter]:
    """Yield the conditions of one entry of an object."""
    if not isinstance(name, str):
        raise FilterError(f"A field name must be a string, got {name!r:.80}.")
    if name in ("$and", "$or"):
        if not isinstance(value, (list, tuple)) or not value:
            raise FilterError(f"{name} needs a list of conditions, got {value!r:.80}.")
        parts = tuple(_from_json(one, depth + 1) for one in value)
        yield And(parts) if name == "$and" else Or(parts)
    elif name == "$not":
        yield Not(_from_json(value, depth + 1))
    elif name.startswith("$"):
        raise FilterError(f"{name} is unknown here; expected $and, $or or $not.")
    elif not isinstance(value, Mapping):
        yield compare(parse_field(name), "==", value)
    elif not value:
        raise FilterError(f"The condition on {name!r} is empty.")
    else:
        for operator, operand in value.items():
            yield _operation(parse_field(name), operator, operand)


def _operation(field: tuple[str, ...], operator: Any, operand: Any) -> Filter:
    """Return the condition that an operator of the JSON form states about a field."""
    if operator in _COMPARISONS:
        return compare(field, _COMPARISONS[operator], operand)
    if operator in ("$in", "$nin"):
        found = is_in(field, operand)
        return found if operator == "$in" else Not(found)
    if operator == "$contains":
        return Contains(field, checked_value(operand))
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise FilterError(f"$exists needs true or false, got {operand!r:.80}.")
        return Exists(field) if operand else Not(Exists(field))
    raise FilterError(f"{operator!r} is unknown; expected one of {', '.join(_OPERATORS)}.")
