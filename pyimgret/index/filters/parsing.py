"""A filter in any of its forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pyimgret.index.filters.ast import Filter, FilterError
from pyimgret.index.filters.json import from_json
from pyimgret.index.filters.text import parse_text

Where: TypeAlias = str | Mapping[str, Any] | Filter | None


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
        return parse_text(where)
    if isinstance(where, Mapping):
        return from_json(where)
    if isinstance(where, Filter):
        return where
    raise FilterError(f"A filter is a text or a JSON object, not {type(where).__name__}.")
