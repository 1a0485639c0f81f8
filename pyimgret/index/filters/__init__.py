"""Filters over metadata: one small language, as text or as JSON.

As text::

    label == "cat" and (year >= 2001 or not exists(year)) and camera.maker in ["A", "B"]

The comparisons are ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in [...]``,
``not in [...]``, ``contains`` (a list holds a value) and ``exists(field)``; they are joined
by ``and``, ``or``, ``not`` and parentheses. Values are JSON's: numbers, strings in double or
single quotes, ``true``, ``false``, ``null``. Dots separate the names of nested objects; a
name that is not a plain word is written in backquotes.

The same as JSON, in the form that many vector databases use::

    {"label": "cat", "$or": [{"year": {"$gte": 2001}}, {"year": {"$exists": false}}],
     "camera.maker": {"$in": ["A", "B"]}}

with ``$eq $ne $lt $lte $gt $gte $in $nin $contains $exists`` and ``$and $or $not``.

Every condition is true or false, nothing else. A comparison with a field that is missing or
of another type is false; ``!=`` and ``not in`` are the exact negations of ``==`` and ``in``,
and so true there. 1 equals 1.0; ``true`` is not a number.
Strings are ordered by their code points. A list or an object is equal to nothing.
"""

from pyimgret.index.filters.ast import (
    And,
    Compare,
    Contains,
    Exists,
    Filter,
    FilterError,
    In,
    Not,
    Or,
    Value,
)
from pyimgret.index.filters.parsing import Where, parse

__all__ = [
    "And",
    "Compare",
    "Contains",
    "Exists",
    "Filter",
    "FilterError",
    "In",
    "Not",
    "Or",
    "Value",
    "Where",
    "parse",
]
