"""Search beyond one machine: the same pictures in Milvus, through its own client.

Filters mean here exactly what they mean in an `Index`. Milvus treats a missing JSON field
as unknown, and "not unknown" as unknown, which differs between its versions; therefore the
equalities of a picture's metadata are stored besides as hashed facts in an array of strings,
whose containment is always true or false. Only orderings look into the JSON itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pyimgret.exceptions import IndexStoreError, KeyNotFoundError
from pyimgret.index import items, lifecycle
from pyimgret.index.adding import as_list, checked_keys, metadata_texts
from pyimgret.index.arrays import EncoderLike, Floats
from pyimgret.index.filters import (
    And,
    Compare,
    Contains,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Value,
    Where,
    parse,
)
from pyimgret.index.items import Item
from pyimgret.index.keys import new_ids
from pyimgret.index.matches import Match, Matches
from pyimgret.index.vectors import is_vectors, normalised

if TYPE_CHECKING:
    from pyimgret.index.store import Index

_MARK = "pyimgret"
_BATCH = 1000
_MAX_FACTS = 4096
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_FIELDS = ["key", "id", "metadata"]


class MilvusIndex:
    """Pictures in a collection of Milvus: add, delete, get and search as in an `Index`.

    Parameters
    ----------
    uri : str
        ``http://host:19530`` of a server or cluster, or the name of a file (Milvus Lite).
    collection : str
    encoder : Encoder or fitted model, optional
        To search by picture; without one, by vector only.
    token : str
        ``user:password`` or an API key.

    Raises
    ------
    IndexStoreError
        When Milvus cannot be reached or has no such collection.
    ModelMismatchError
        When the encoder is another than the one the vectors are of.
    """

    def __init__(
        self, uri: str, collection: str = "pyimgret", *, encoder: Any = None, token: str = ""
    ) -> None:
        self.collection = collection
        self._client = _connect(uri, token)
        with _translated():
            if not self._client.has_collection(collection):
                raise IndexStoreError(
                    f"{uri} has no collection {collection!r}; fill one with "
                    "'pyimgret index export --milvus'."
                )
            facts = _facts_of(self._client.describe_collection(collection), collection)
        self.dimension = int(facts["dimension"])
        self.model_checksum = str(facts["model_checksum"])
        self._encoder: EncoderLike | None = None
        if encoder is not None:
            self._encoder = lifecycle.as_encoder(encoder)
            lifecycle.check_model(self._encoder, self.model_checksum)

    @classmethod
    def create(
        cls,
        uri: str,
        collection: str = "pyimgret",
        *,
        dimension: int,
        model_checksum: str = "",
        token: str = "",
    ) -> Self:
        """Make an empty collection; one of the name that exists is an error."""
        client = _connect(uri, token)
        with _translated(), contextlib.closing(client):
            if client.has_collection(collection):
                raise IndexStoreError(
                    f"{uri} already has a collection {collection!r}; drop it, or take another name."
                )
            facts = {"dimension": dimension, "model_checksum": model_checksum}
            schema = _schema(client, dimension, json.dumps({_MARK: facts}))
            parameters = client.prepare_index_params()
            parameters.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
            client.create_collection(
                collection,
                schema=schema,
                index_params=parameters,
                consistency_level="Strong",
                # NB: Milvus Lite forgets the description of a collection, but keeps these.
                properties={_MARK: json.dumps(facts)},
            )
        return cls(uri, collection, token=token)

    @classmethod
    def load(cls, index: Index, uri: str, collection: str = "pyimgret", *, token: str = "") -> Self:
        """Copy all pictures of an index into a new collection (thumbnails are left out)."""
        made = cls.create(
            uri, collection, dimension=index.dimension, model_checksum=index.model_checksum,
            token=token,
        )  # fmt: skip
        with index.database.read() as connection:
            for numbers, vectors in items.pages(connection, after=0, size=_BATCH):
                known = items.describe(connection, numbers)
                rows = (known[number] for number in numbers)
                made._upsert(
                    [
                        _entity(key, identifier, vector, metadata)
                        for (key, identifier, metadata), vector in zip(rows, vectors, strict=True)
                    ]
                )
        return made

    def add(
        self,
        vectors: Any,
        *,
        keys: Sequence[str],
        metadata: Sequence[dict[str, Any] | None] | dict[str, Any] | None = None,
        replace: bool = False,
    ) -> int:
        """Add vectors (n, d), or pictures when there is an encoder; return how many.

        Raises
        ------
        IndexStoreError
            When a key is there already, unless ``replace``.
        """
        unit = np.atleast_2d(self._vectors(vectors))
        names = checked_keys(keys, len(unit))
        texts = metadata_texts(metadata, len(unit))
        there = set() if replace else self._present(names)
        if there:
            raise IndexStoreError(f"The collection already holds {min(there)!r}.")
        entities = [
            _entity(key, identifier, vector, json.loads(text))
            for key, identifier, vector, text in zip(
                names, new_ids(len(names)), unit, texts, strict=True
            )
        ]
        for start in range(0, len(entities), _BATCH):
            self._upsert(entities[start : start + _BATCH])
        return len(entities)

    def delete(self, keys: str | Iterable[str]) -> int:
        """Delete pictures and return how many.

        Raises
        ------
        KeyNotFoundError
            When one of the keys is not there; nothing is deleted then.
        """
        wanted = list(dict.fromkeys(as_list(keys)))
        missing = set(wanted) - self._present(wanted)
        if missing:
            raise items.no_such_key(min(missing))
        with _translated():
            for start in range(0, len(wanted), _BATCH):
                self._client.delete(self.collection, ids=wanted[start : start + _BATCH])
        return len(wanted)

    def get(self, key: str) -> Item:
        """Return one picture.

        Raises
        ------
        KeyNotFoundError
        """
        with _translated():
            rows = self._client.get(self.collection, ids=[key], output_fields=[*_FIELDS, "vector"])
        if not rows:
            raise KeyNotFoundError(f"The collection holds no picture with the key {key!r}.")
        row = rows[0]
        return Item(key, row["id"], np.asarray(row["vector"], np.float32), row["metadata"])

    def search(
        self,
        query: Any,
        k: int = 5,
        *,
        where: Where = None,
        min_score: float | None = None,
        exclude: str | Iterable[str] = (),
    ) -> Matches:
        """Return the pictures nearest to a vector or a picture; as `Index.search`."""
        conditions = []
        if (condition := parse(where)) is not None:
            conditions.append(to_expression(condition))
        if unwanted := as_list(exclude):
            conditions.append(f"key not in {_literal(unwanted)}")
        vector = self._vectors(query if is_vectors(query) else [query]).reshape(1, -1)
        with _translated():
            found = self._client.search(
                self.collection,
                data=vector.tolist(),
                limit=k,
                filter=" and ".join(f"({one})" for one in conditions),
                output_fields=_FIELDS,
            )[0]
        return _matches(found, min_score)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _vectors(self, given: Any) -> Floats:
        if is_vectors(given):
            return normalised(given, self.dimension)
        if self._encoder is None:
            raise IndexStoreError("To search by picture, give the model (encoder=…).")
        return normalised(self._encoder.encode(given), self.dimension)

    def _present(self, keys: Sequence[str]) -> set[str]:
        found: set[str] = set()
        with _translated():
            for start in range(0, len(keys), _BATCH):
                part = list(keys[start : start + _BATCH])
                rows = self._client.get(self.collection, ids=part, output_fields=["key"])
                found.update(row["key"] for row in rows)
        return found

    def _upsert(self, entities: list[dict[str, Any]]) -> None:
        with _translated():
            self._client.upsert(self.collection, entities)

    def __len__(self) -> int:
        with _translated():
            rows = self._client.query(self.collection, filter="", output_fields=["count(*)"])
        return int(rows[0]["count(*)"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def to_expression(condition: Filter, *, negated: bool = False) -> str:
    """Return Milvus's expression for a filter.

    Examples
    --------
    >>> to_expression(parse("not n < 3")).count("or")
    1
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
    """Return an ordering; it is false, and its negation true, where the type differs."""
    of_type = _fact("text" if isinstance(value, str) else "number", field)
    place = "metadata" + "".join(f"[{_literal(name)}]" for name in field)
    symbol = _OPPOSITE[op] if negated else op
    test = f"{_holds(of_type)} and {place} {symbol} {_literal(_storable(value))}"
    return f"{_holds(of_type, negated=True)} or ({test})" if negated else test


def _holds(fact: str, negated: bool = False) -> str:
    return f"{'not ' if negated else ''}array_contains(facts, {_literal(fact)})"


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
    """Return a fact of fixed length; numbers that are equal make the same one."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        value = int(value)
    text = json.dumps([kind, path, _storable(value)], ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _storable(value: Any) -> Any:
    """Return a JSON value with its integers beyond 64 bits, which Milvus refuses, as floats."""
    if isinstance(value, dict):
        return {name: _storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    is_large = isinstance(value, int) and not -(2**63) <= value < 2**63
    return float(value) if is_large else value


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _entity(key: str, identifier: str, vector: Floats, metadata: dict[str, Any]) -> dict[str, Any]:
    facts = sorted(set(facts_of(metadata)))
    if len(facts) > _MAX_FACTS:
        raise ValueError(f"The metadata of {key!r} has more than {_MAX_FACTS} values.")
    return {
        "key": key,
        "id": identifier,
        "metadata": _storable(metadata),
        "facts": facts,
        "vector": vector.tolist(),
    }


def _matches(found: Iterable[Any], min_score: float | None) -> Matches:
    rows = [(float(np.clip(hit["distance"], -1, 1)), hit["entity"]) for hit in found]
    kept = [(s, row) for s, row in rows if min_score is None or s >= min_score]
    return Matches(
        [Match(r["key"], s, r["metadata"], r["id"], n) for n, (s, r) in enumerate(kept, 1)]
    )


def _schema(client: Any, dimension: int, description: str) -> Any:
    from pymilvus import DataType

    schema = client.create_schema(
        auto_id=False, enable_dynamic_field=False, description=description
    )
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=16_384)
    schema.add_field("id", DataType.VARCHAR, max_length=64)
    schema.add_field("metadata", DataType.JSON)
    schema.add_field(
        "facts", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=_MAX_FACTS,
        max_length=32,
    )  # fmt: skip
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    return schema


def _facts_of(about: dict[str, Any], collection: str) -> dict[str, Any]:
    """Return dimension and model of a collection, from its properties or description."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        stored = (about.get("properties") or {}).get(_MARK)
        document = json.loads(stored) if stored else json.loads(about["description"])[_MARK]
        return dict(document)
    raise IndexStoreError(f"The collection {collection!r} was not made by pyimgret.")


def _connect(uri: str, token: str) -> Any:
    try:
        from pymilvus import MilvusClient
    except ImportError:
        raise IndexStoreError(
            "Milvus needs the package pymilvus: pip install 'pyimgret[milvus]'."
        ) from None
    with _translated():
        return MilvusClient(os.fspath(uri), token=token)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the client's errors into `IndexStoreError`."""
    from pymilvus import MilvusException

    try:
        yield
    except MilvusException as error:
        raise IndexStoreError(f"Milvus: {error.message}") from error
