"""Filters as expressions of Milvus, over hashed facts and JSON.

Milvus treats a missing JSON field as unknown, and "not unknown" as unknown, and its versions
differ in that. So the facts in an image's metadata (what exists, equals, contains what) are
also stored as an array of hashes, whose containment is always true or false. Only
orderings look into the JSON itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pyimgret.index.filters.ast import And, Compare, Contains, Exists, Filter, In, Not, Or, Value

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def to_expression(condition: Filter, *, negated: bool = False) -> str:
    """Return Milvus's expression for a filter.

    Examples
    --------
    >>> to_expression(And(()))
    "key != ''"
    """
    match condition:
        case Not(part):
            return to_expression(part, negated=not negated)
        case And(parts) | Or(parts):
            together = isinstance(condition, And) != negated
            word = " and " if together else " or "
            texts = [f"({to_expression(part, negated=negated)})" for part in parts]
            return word.join(texts) or ("key != ''" if together else "key == ''")
        case In(field, values):
            same = Or(tuple(Compare(field, "==", value) for value in values))
            return to_expression(same, negated=negated)
        case Exists(field):
            return _holds(_fact("exists", field), negated)
        case Contains(field, value):
            return _holds(_fact("contains", field, value), negated)
        case Compare(field, "==", value):
            return _holds(_fact("equals", field, value), negated)
        case Compare(field, op, value):
            return _ordering(field, op, value, negated)


def _ordering(field: tuple[str, ...], op: str, value: Value, negated: bool) -> str:
    """Return an ordering test; false, and its negation true, where the type differs."""
    of_type = _fact("text" if isinstance(value, str) else "number", field)
    place = "metadata" + "".join(f"[{literal(name)}]" for name in field)
    symbol = _OPPOSITE[op] if negated else op
    test = f"{_holds(of_type)} and {place} {symbol} {literal(storable(value))}"
    return f"{_holds(of_type, negated=True)} or ({test})" if negated else test


def _holds(fact: str, negated: bool = False) -> str:
    return f"{'not ' if negated else ''}array_contains(facts, {literal(fact)})"


def facts_of(metadata: dict[str, Any]) -> Iterator[str]:
    """Yield the hashed facts of metadata: what exists, equals and contains what."""

    def walk(value: Any, path: tuple[str, ...]) -> Iterator[str]:
        yield _fact("exists", path)
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from walk(inner, (*path, name))
        elif isinstance(value, list):
            for one in value:
                if not isinstance(one, (dict, list)):
                    yield _fact("contains", path, one)
        else:
            yield _fact("equals", path, value)
            if value is not None and not isinstance(value, bool):
                yield _fact("text" if isinstance(value, str) else "number", path)

    for name, value in metadata.items():
        yield from walk(value, (name,))


def _fact(kind: str, path: tuple[str, ...], value: Any = None) -> str:
    """Return the hash of a fact; equal numbers give the same hash."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        value = int(value)
    text = json.dumps([kind, path, storable(value)], ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def storable(value: Any) -> Any:
    """Return a JSON value with integers beyond 64 bits, which Milvus rejects, as floats."""
    if isinstance(value, dict):
        return {name: storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    is_large = isinstance(value, int) and not -(2**63) <= value < 2**63
    return float(value) if is_large else value


def literal(value: Any) -> str:
    """Return a value as a literal of an expression."""
    return json.dumps(value, ensure_ascii=False)
