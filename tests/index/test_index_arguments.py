"""Errors for invalid arguments of an index: actual and expected value, advice."""

from __future__ import annotations

import inspect
import sqlite3

import numpy as np
import pytest
from index_fakes import FakeEncoder, unit
from PIL import Image

from pyimgret.exceptions import DimensionMismatchError, ImageDecodeError, IndexStoreError
from pyimgret.index import Index
from pyimgret.index.filters import FilterError
from pyimgret.index.milvus import MilvusIndex

QUERY = [1.0] + [0.0] * 15


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """Give a collection of Milvus; the tests leave it as it is."""
    with MilvusIndex.create(str(tmp_path_factory.mktemp("m") / "lite.db"), dimension=16) as made:
        made.add(unit(200, 16), keys=[f"v{n}" for n in range(200)])
        yield made


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Give an index; the tests leave it as it is."""
    with Index.create(tmp_path_factory.mktemp("i") / "idx", dimension=16) as made:
        made.add(unit(200, 16), keys=[f"v{n}" for n in range(200)])
        yield made


@pytest.fixture(params=["stored", "collection"])
def either(request):
    """Give an index, and the same in Milvus."""
    return request.getfixturevalue(request.param)


def all_searches(index):
    yield lambda **options: index.search(QUERY, **options)
    if isinstance(index, Index):
        yield lambda **options: index.search_batch([QUERY], **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": "5"}, TypeError, r"k must be an integer of at least 1, got '5' \(str\)"),
        ({"k": True}, TypeError, r"got True \(bool\)"),
        ({"k": np.True_}, TypeError, "got .*True"),
        ({"k": 2.5}, TypeError, r"got 2\.5 \(float\)"),
        ({"k": None}, TypeError, "got None"),
        ({"k": 0}, ValueError, "of at least 1, got 0"),
        ({"k": np.int64(-1)}, ValueError, "of at least 1, got"),
        ({"min_score": float("nan")}, ValueError, "min_score must be a number from -1 to 1.*nan"),
        ({"min_score": float("inf")}, ValueError, "got inf"),
        ({"min_score": -1.5}, ValueError, r"got -1\.5"),
        ({"min_score": "0.5"}, TypeError, r"got '0\.5' \(str\)"),
        ({"min_score": True}, TypeError, "got True"),
        ({"where": 5}, FilterError, "not int"),
        ({"where": [{"a": 1}]}, FilterError, "not list"),
        ({"where": {5: 1}}, FilterError, "field name must be a string"),
        ({"where": {"a": object()}}, FilterError, "not a number, string"),
        ({"exclude": 5}, TypeError, "one of the keys or a list, got 5"),
        ({"exclude": [5]}, ValueError, "A key must be a non-empty str, got 5"),
    ],
)
def test_invalid_conditions_are_rejected(either, options, error, message):
    for search in all_searches(either):
        with pytest.raises(error, match=message):
            search(**options)


@pytest.mark.parametrize("kind", [int, np.int8, np.int32, np.int64, np.uint16])
def test_k_may_be_any_integer(either, kind):
    for search in all_searches(either):
        found = search(k=kind(3))
        assert len(found[0] if isinstance(found, list) else found) == 3


@pytest.mark.parametrize("value", [np.float32(0.25), np.float64(-1), 1, 0])
def test_min_score_may_be_any_cosine(stored, value):
    assert all(match.score >= value for match in stored.search(QUERY, 50, min_score=value))


def test_filter_values_may_be_numpy_numbers(index):
    index.update("v1", metadata={"year": 2001})
    assert index.search(QUERY, where={"year": np.int64(2001)}).keys == ["v1"]
    assert index.search(QUERY, where={"year": {"$in": [np.int32(2001)]}}).keys == ["v1"]


INTEGERS = [
    [1] + [0] * 15,
    tuple([1] + [0] * 15),
    np.array([1] + [0] * 15),
    np.array([1] + [0] * 15, dtype=np.uint8),
    [np.int64(1)] + [np.int64(0)] * 15,
]


@pytest.mark.parametrize("vector", INTEGERS, ids=lambda v: type(v).__name__)
def test_vector_may_be_integers(either, vector):
    assert either.search(vector).keys == either.search(QUERY).keys
    either.add([vector], keys=["integers"])
    assert either.search(QUERY, k=1).keys == ["integers"]
    either.delete("integers")


def test_list_of_integers_is_one_vector_in_add_and_update(index):
    assert len(index.add([2] + [0] * 15, keys=["one"]).added) == 1
    index.update("v0", [3] + [0] * 15)
    assert index.get("v0").vector.tolist() == index.get("one").vector.tolist() == QUERY


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ([1, 2, 3], DimensionMismatchError, r"shape \(3,\).*vectors of dimension 16"),
        ([0.1, "a"], ValueError, "A vector must contain numbers"),
        ([True] * 16, ValueError, "A vector must contain numbers"),
        ([[1.0, 2.0], [1.0]], ValueError, "Expected vectors, got"),
        ([1e300] * 16, ValueError, "length inf"),
        ([float("nan")] * 16, ValueError, "length nan"),
        ([0] * 16, ValueError, r"length 0\.0"),
        ([[1.0] * 16] * 2, ValueError, "search takes one query"),
        (None, TypeError, r"an image .* or a vector of 16 numbers, got None"),
        (5, TypeError, r"got 5 \(int\)"),
        ({"image": "a.png"}, TypeError, r"got .*\(dict\)"),
        (["a.png"], TypeError, r"got \['a.png'\] \(list\)"),
        ({1.0}, TypeError, r"\(set\)"),
        ("http://host/a.png", ImageDecodeError, "URLs are not fetched; download the image"),
        ("https://host/a.png", ImageDecodeError, "https://host/a.png: URLs are not fetched"),
    ],
)
def test_query_that_is_neither_image_nor_vector_is_rejected(either, query, error, message):
    with pytest.raises(error, match=message):
        either.search(query)


@pytest.mark.parametrize(
    ("queries", "error", "message"),
    [
        (None, TypeError, "one of the images or a list, got None"),
        ({"a": 1}, TypeError, "got {'a': 1}"),
        (5, TypeError, "got 5"),
        ([None], TypeError, "got None"),
        (["ftp://host/a.png"], ImageDecodeError, "URLs are not fetched"),
    ],
)
def test_queries_that_are_neither_images_nor_vectors_are_rejected(stored, queries, error, message):
    with pytest.raises(error, match=message):
        stored.search_batch(queries)


def test_no_queries_have_no_matches(stored):
    assert stored.search_batch([]) == []
    assert stored.search_batch(np.empty((0, 16), np.float32)) == []


@pytest.mark.parametrize("given", [None, 5, {"a": 1}, 2.5])
def test_add_rejects_invalid_images(stored, given):
    with pytest.raises(TypeError, match="Expected one of the images or a list, got"):
        stored.add(given)


def test_add_reports_unreadable_images_and_accepts_one_grey_image(tmp_path):
    with Index.create(tmp_path / "new", FakeEncoder()) as index:
        report = index.add([None, "http://host/a.png", object()], keys=["a", "b", "c"])
        reasons = {failure.key: failure.reason for failure in report.failed}
        assert "NoneType is not an image" in reasons["a"]
        assert "URLs are not fetched" in reasons["b"]
        assert "object is not an image" in reasons["c"]
        grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
        assert index.add(grey, keys=["grey"]).added == ["grey"]
        assert index.search(Image.fromarray(grey), k=1).keys == ["grey"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"keys": 5}, TypeError, "one of the keys or a list, got 5"),
        ({"keys": [5]}, ValueError, "A key must be a non-empty str, got 5"),
        ({"keys": {"a": 1}}, TypeError, "got {'a': 1}"),
        ({"keys": ["a"], "metadata": 5}, TypeError, "dicts of metadata or a list, got 5"),
        ({"keys": ["a"], "metadata": ["x"]}, ValueError, "Metadata must be a dict"),
        ({"keys": ["a"], "metadata": [{}, {}]}, ValueError, "metadata for 2 of 1"),
    ],
)
def test_add_rejects_keys_and_metadata_of_wrong_types(stored, options, error, message):
    with pytest.raises(error, match=message):
        stored.add([QUERY], **options)
    assert len(stored) == 200


@pytest.mark.parametrize("key", [5, None, b"v1", ["v1"], ""])
def test_key_of_wrong_type_is_rejected(stored, key):
    for call in (stored.get, stored.thumbnail, lambda k: stored.update(k, metadata={})):
        with pytest.raises(ValueError, match="A key must be a non-empty str, got"):
            call(key)


@pytest.mark.parametrize(
    ("keys", "error"), [(5, TypeError), (None, TypeError), ([5], ValueError), (b"v1", ValueError)]
)
def test_delete_rejects_invalid_keys(either, keys, error):
    with pytest.raises(error, match="key"):
        either.delete(keys)
    assert len(either) == 200


@pytest.mark.parametrize("threshold", [float("nan"), "0.9", True, None, 1.5])
def test_duplicates_reject_invalid_threshold(stored, threshold):
    with pytest.raises((TypeError, ValueError), match="threshold must be a number from -1 to 1"):
        stored.duplicates(threshold)


def test_methods_after_close_raise_clear_error(index, tmp_path):
    calls = [
        lambda: index.search(QUERY),
        lambda: index.search(np.zeros((8, 8), np.uint8)),
        lambda: index.search_batch([QUERY]),
        lambda: index.get("v1"),
        lambda: index.delete("v1"),
        lambda: index.add([QUERY], keys=["new"]),
        lambda: len(index),
        lambda: "v1" in index,
        lambda: list(index.keys()),
        lambda: index.update("v1", metadata={}),
        lambda: index.sync(tmp_path),
        lambda: index.build("exact"),
        lambda: index.compact(),
        lambda: index.publish(tmp_path / "copy"),
        lambda: index.export(tmp_path / "all.npy"),
        lambda: index.duplicates(),
        lambda: index.info(),
    ]
    index.close()
    index.close()
    for call in calls:
        with pytest.raises(IndexStoreError, match=r"was closed; open it again with Index\.open"):
            call()


def test_closed_collection_raises_clear_error(tmp_path):
    made = MilvusIndex.create(str(tmp_path / "lite.db"), dimension=16)
    made.close()
    made.close()
    for call in (
        lambda: made.search(QUERY),
        lambda: made.search("a.png"),
        lambda: made.get("v1"),
        lambda: made.delete("v1"),
        lambda: made.add([QUERY], keys=["new"]),
        lambda: len(made),
    ):
        with pytest.raises(IndexStoreError, match="was closed; open it again with MilvusIndex"):
            call()


def test_failed_begin_releases_connection(index):
    lent = index.context.database.acquire()
    lent.execute("BEGIN")
    index.context.database.release(lent, healthy=True)
    with (
        pytest.raises(IndexStoreError, match="cannot start a transaction within"),
        index.context.database.read(),
    ):
        pass
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        lent.execute("SELECT 1")
    assert len(index) == 200


def test_operations_have_docstrings_and_signatures_of_methods(index):
    for name in ("sync", "build", "check", "publish", "export", "import_from", "duplicates"):
        method = getattr(Index, name)
        assert method.__doc__, name
        assert next(iter(inspect.signature(method).parameters)) == "self"
        assert "context" not in inspect.signature(getattr(index, name)).parameters
    with pytest.raises(TypeError, match="unknown"):
        index.check(unknown=True)
