"""Parsing of filters in any of their forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pyimgret.index.filters.ast import Filter, FilterError
from pyimgret.index.filters.json import from_json
from pyimgret.index.filters.text import parse_text

Where: TypeAlias = str | Mapping[str, Any] | Filter | None


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
        return from_json(where)
    if isinstance(where, Filter):
        return where
    raise FilterError(f"A filter must be text or a JSON object, not {type(where).__name__}.")
