"""The nodes of a filter, and the checks that every form of it shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from pyimgret.exceptions import PyimgretError

Value: TypeAlias = str | int | float | bool | None

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
    """At least one of the parts."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The negation."""

    part: Filter


Filter: TypeAlias = Compare | In | Contains | Exists | And | Or | Not


def checked_name(name: str) -> str:
    """Reject field names that the database cannot look up."""
    if not name or '"' in name or "\\" in name or any(ord(c) < 32 for c in name):
        raise FilterError(
            f"{name!r} cannot be used in a filter: the name is empty or contains quotes, "
            "backslashes or control characters."
        )
    return name


def checked_value(value: Any) -> Value:
    """Reject values that no field can be compared with; convert NumPy scalars."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise FilterError(f"{value} is not a JSON number.")
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise FilterError(f"{value!r:.80} is not a number, string, true, false or null.")


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
        raise FilterError(f"'in' needs a list, got {values!r:.80}.")
    if len(values) > MAX_VALUES:
        raise FilterError(
            f"A list of {len(values):,} values is too long; the limit is {MAX_VALUES:,}."
        )
    return In(field, tuple(map(checked_value, values)))


def check_depth(depth: int) -> None:
    """Reject filters that are nested deeper than any that a person writes."""
    if depth > MAX_DEPTH:
        raise FilterError(f"The filter is nested more than {MAX_DEPTH} deep.")
