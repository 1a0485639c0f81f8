"""Milvus's own client: connecting, the fields of a collection, its errors."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pyimgret.exceptions import IndexStoreError, InvalidArgumentError
from pyimgret.index.filters.milvus import facts_of, storable
from pyimgret.index.storage.arrays import Floats
from pyimgret.index.storage.errors import import_extra

T = TypeVar("T")

MARK = "pyimgret"
"""The property of a collection that says what it contains."""

BATCH = 1000
_MAX_FACTS = 4096


def entity(key: str, identifier: str, vector: Floats, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return one image as a row of a collection."""
    facts = sorted(set(facts_of(metadata)))
    if len(facts) > _MAX_FACTS:
        raise InvalidArgumentError(f"The metadata of {key!r} has more than {_MAX_FACTS} values.")
    return {
        "key": key,
        "id": identifier,
        "metadata": storable(metadata),
        "facts": facts,
        "vector": vector.tolist(),
    }


def batches(values: Sequence[T]) -> Iterator[list[T]]:
    """Split a list into parts that one request may have."""
    for start in range(0, len(values), BATCH):
        yield list(values[start : start + BATCH])


def schema_of(client: Any, dimension: int, description: str) -> Any:
    """Return the fields of a collection."""
    from pymilvus import DataType

    text = DataType.VARCHAR
    facts = {"element_type": text, "max_capacity": _MAX_FACTS, "max_length": 32}
    schema = client.create_schema(
        auto_id=False, enable_dynamic_field=False, description=description
    )
    schema.add_field("key", text, is_primary=True, max_length=16_384)
    schema.add_field("id", text, max_length=64)
    schema.add_field("metadata", DataType.JSON)
    schema.add_field("facts", DataType.ARRAY, **facts)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    return schema


def stored_facts(about: dict[str, Any], collection: str) -> dict[str, Any]:
    """Return dimension and model checksum from a collection's properties or description."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        stored = (about.get("properties") or {}).get(MARK)
        document = json.loads(stored) if stored else json.loads(about["description"])[MARK]
        return dict(document)
    raise IndexStoreError(f"The collection {collection!r} was not made by pyimgret.")


def connect(uri: str, token: str) -> Any:
    """Return a client; the package is optional."""
    pymilvus = import_extra("pymilvus", package="pymilvus", extra="milvus", what="Milvus")
    with translate_errors():
        return pymilvus.MilvusClient(os.fspath(uri), token=token)


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Translate errors of the client to `IndexStoreError`."""
    from pymilvus import MilvusException

    try:
        yield
    except MilvusException as error:
        advice = _LITE if "local milvus" in error.message else ""
        raise IndexStoreError(f"Milvus: {error.message}{advice}") from error


_LITE = "; is the file open elsewhere? Milvus Lite serves one process at a time."
