"""The filter language: text and JSON say the same, and SQL agrees with a naive evaluation."""

from __future__ import annotations

import json
import random
import sqlite3

import numpy as np
import pytest
from index_fakes import unit

from pyimgret.index import Index
from pyimgret.index.filters import And, Compare, Contains, Exists, FilterError, In, Not, Or, parse
from pyimgret.index.filters.sql import matching

MISSING = object()


def look_up(metadata, field):
    for name in field:
        if not isinstance(metadata, dict) or name not in metadata:
            return MISSING
        metadata = metadata[name]
    return metadata


def same(a, b):
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    return isinstance(a, (int, float)) and isinstance(b, (int, float)) and a == b


def ordered(a, op, b):
    number = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (a, b))
    if not number and not all(isinstance(x, str) for x in (a, b)):
        return False
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]


def naive(condition, metadata):
    match condition:
        case And(parts):
            return all(naive(part, metadata) for part in parts)
        case Or(parts):
            return any(naive(part, metadata) for part in parts)
        case Not(part):
            return not naive(part, metadata)
        case Exists(field):
            return look_up(metadata, field) is not MISSING
        case Contains(field, value):
            found = look_up(metadata, field)
            return isinstance(found, list) and any(same(one, value) for one in found)
        case In(field, values):
            return any(same(look_up(metadata, field), value) for value in values)
        case Compare(field, "==", value):
            return same(look_up(metadata, field), value)
        case Compare(field, op, value):
            return ordered(look_up(metadata, field), op, value)


VALUES = [
    0,
    1,
    -1,
    1.0,
    0.5,
    2**40,
    2**70,
    "",
    "1",
    "a",
    "b",
    "Ä",
    "日本",
    "a'b",
    True,
    False,
    None,
]


def random_metadata(rng):
    return {
        name: rng.choice([*VALUES, ["a", 1], [True, None], [], {"c": rng.choice(VALUES)}])
        for name in ("a", "b", "über", "x y", "c.d")
        if rng.random() < 0.7
    }


def random_filter(rng, depth=0):
    field = rng.choice([("a",), ("b",), ("über",), ("x y",), ("c.d",), ("a", "c"), ("nothing",)])
    kind = rng.randrange(9 if depth < 3 else 5)
    if kind == 0:
        return Compare(field, "==", rng.choice(VALUES))
    if kind == 1:
        orderable = [v for v in VALUES if v is not None and not isinstance(v, bool)]
        return Compare(field, rng.choice(["<", "<=", ">", ">="]), rng.choice(orderable))
    if kind == 2:
        return In(field, tuple(rng.sample(VALUES, rng.randrange(5))))
    if kind == 3:
        return Exists(field)
    if kind == 4:
        return Contains(field, rng.choice(VALUES))
    if kind == 5:
        return Not(random_filter(rng, depth + 1))
    parts = tuple(random_filter(rng, depth + 1) for _ in range(rng.randrange(1, 4)))
    return And(parts) if kind < 8 else Or(parts)


def test_sql_agrees_with_naive_evaluation():
    rng = random.Random(0)
    rows = [random_metadata(rng) for _ in range(200)]
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE items (number INTEGER PRIMARY KEY, metadata TEXT)")
    texts = (json.dumps(row, ensure_ascii=False) for row in rows)
    connection.executemany("INSERT INTO items VALUES (?, ?)", enumerate(texts))
    selective = 0
    for _ in range(500):
        condition = random_filter(rng)
        expected = [n for n, row in enumerate(rows) if naive(condition, row)]
        assert matching(connection, condition).tolist() == expected, condition
        selective += 0 < len(expected) < 200
    assert selective > 200
    connection.close()


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("a == 1", {"a": 1}),
        ("a = 1", {"a": {"$eq": 1}}),
        ("a != 'x'", {"a": {"$ne": "x"}}),
        ("a >= 1 and a < 2", {"a": {"$gte": 1, "$lt": 2}}),
        ("a > -1.5e3 or b <= .5", {"$or": [{"a": {"$gt": -1500.0}}, {"b": {"$lte": 0.5}}]}),
        ('a in ["x", \'y"\', 3, true, null]', {"a": {"$in": ["x", 'y"', 3, True, None]}}),
        ("a not in []", {"a": {"$nin": []}}),
        ("tags contains 'x'", {"tags": {"$contains": "x"}}),
        ("exists(a.b)", {"a.b": {"$exists": True}}),
        ("not exists(a)", {"a": {"$exists": False}}),
        ("not (a == 1 or b == 2)", {"$not": {"$or": [{"a": 1}, {"b": 2}]}}),
        ("`x y`.z == 1", {"`x y`.z": 1}),
        ("x y == 1".replace("x y", "`x y`"), {"x y": 1}),
        ("straße == 'ä\\n\\u00e4\\''", {"straße": "ä\nä'"}),
        ("a-b == 1", {"a-b": 1}),
        ("a == 1 and (b == 2 and c == 3)", {"$and": [{"a": 1}, {"$and": [{"b": 2}, {"c": 3}]}]}),
        ("exists == 1", None),
    ],
)
def test_text_and_json_are_equivalent(text, document):
    if document is None:
        with pytest.raises(FilterError):
            parse(text)
    else:
        assert parse(text) == parse(document)


def test_and_binds_tighter_than_or_and_not_tighter_than_and():
    a, b, c = (Compare((name,), "==", 1) for name in "abc")
    assert parse("a == 1 or b == 1 and c == 1") == Or((a, And((b, c))))
    assert parse("not a == 1 and b == 1") == And((Not(a), b))


@pytest.mark.parametrize(
    "bad",
    [
        "a",
        "a ==",
        "== 1",
        "a == b",
        "a == 1 1",
        "(a == 1",
        "a == 1)",
        "a in 1",
        "a in [1",
        "a in [1 2]",
        "a & 1",
        "a == 'x",
        "a < true",
        "a == 1 and",
        "not",
        "exists(a",
        "a..b == 1",
        "a; DROP TABLE items",
        "a == 1 --",
        "and == 1",
        '`a"b` == 1',
        "a == 1.2.3",
        "a == '\\x'",
        "a == [1]",
        "(" * 100 + "a == 1" + ")" * 100,
        "not " * 100 + "a == 1",
        {"$where": "1"},
        {"a": {"$regex": "x"}},
        {"a": {}},
        {"a": [1]},
        {"$and": []},
        {"$or": {}},
        {"a": {"$in": "xyz"}},
        {"a": {"$exists": 1}},
        {"a": float("nan")},
        {"a": {"$gt": None}},
        {'a"b': 1},
        {"": 1},
        {1: 2},
        {"a": {"$in": list(range(10_001))}},
        7,
        ["a"],
    ],
)
def test_invalid_filters_are_rejected(bad):
    with pytest.raises(FilterError):
        parse(bad)


def test_no_filter_at_all():
    assert parse(None) is None
    assert parse("  ") is None
    assert parse({}) == And(())


@pytest.fixture
def labelled(tmp_path):
    rng = np.random.default_rng(0)
    index = Index.create(tmp_path / "idx", dimension=8)
    vectors = unit(3000, 8)
    metadata = [{"n": int(n), "group": int(rng.integers(1000)) % 7} for n in range(3000)]
    index.add(vectors, keys=[str(n) for n in range(3000)], metadata=metadata)
    index.delete([str(n) for n in range(0, 3000, 11)])
    return index, vectors, metadata


@pytest.mark.parametrize(
    "where",
    [
        "n == 5",
        "n < 20",
        "group == 3",
        "group in [1, 2, 3, 4]",
        "n >= 1",
        "n == 0",
        "n < 0",
        "group != 3 and n > 1500",
    ],
)
def test_filtered_search_is_exact_at_any_selectivity(labelled, where):
    index, vectors, metadata = labelled
    allowed = [n for n in range(3000) if n % 11 and naive(parse(where), metadata[n])]
    for query in unit(5, 8, seed=3):
        best = sorted(allowed, key=lambda n: (-(vectors[n] @ query), n))[:10]
        assert index.search(query, 10, where=where).keys == [str(n) for n in best]
    batch = index.search_batch(unit(5, 8, seed=3), 10, where=where)
    assert [m.keys for m in batch] == [
        index.search(q, 10, where=where).keys for q in unit(5, 8, seed=3)
    ]


def test_filter_threshold_and_exclusion_together(labelled):
    index, vectors, _ = labelled
    full = index.search(vectors[1], 6, where="group >= 0")
    part = index.search(vectors[1], 9, where="group >= 0", exclude="1", min_score=full.scores[4])
    assert part.keys == full.keys[1:5]
