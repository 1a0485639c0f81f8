"""Search beyond one machine: an index in Milvus, through its own client.

Filters have exactly the same meaning as in an `Index`; see `pyimgret.index.filters.milvus`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from pyimgret.exceptions import (
    IndexStoreError,
    KeyExistsError,
    KeyNotFoundError,
)
from pyimgret.files.keys import new_ids
from pyimgret.index.filters.milvus import literal, to_expression
from pyimgret.index.filters.parsing import Where
from pyimgret.index.ingest.adding import Metadata, checked_keys, metadata_texts
from pyimgret.index.ingest.encoding import query_vector
from pyimgret.index.milvus.client import (
    BATCH,
    MARK,
    batches,
    connect,
    entity,
    schema_of,
    stored_facts,
    translate_errors,
)
from pyimgret.index.search.conditions import Conditions
from pyimgret.index.search.matches import Match, Matches
from pyimgret.index.storage import items, lifecycle
from pyimgret.index.storage.arrays import EncoderLike
from pyimgret.index.storage.items import as_list
from pyimgret.index.storage.records import Item
from pyimgret.preprocessing import as_vectors, unit_vectors

if TYPE_CHECKING:
    from pyimgret.index.index import Index

_FIELDS = ["key", "id", "metadata"]


class MilvusIndex:
    """A Milvus collection of images, with the add, delete, get and search of `Index`.

    Parameters
    ----------
    uri : str
        ``http://host:19530`` of a server or cluster, or a file name (Milvus Lite).
    collection : str
    encoder : Encoder or fitted model, optional
        Needed to search by image; without it, only vectors are accepted.
    token : str
        ``user:password`` or an API key.

    Raises
    ------
    IndexStoreError
        If Milvus cannot be reached or has no such collection.
    ModelMismatchError
        If the vectors were made by another encoder.
    """

    def __init__(
        self, uri: str, collection: str = "pyimgret", *, encoder: Any = None, token: str = ""
    ) -> None:
        self.collection = collection
        self._open: Any = connect(uri, token)
        with translate_errors():
            if not self._client.has_collection(collection):
                raise IndexStoreError(
                    f"{uri} has no collection {collection!r}; fill one with "
                    "'pyimgret index export --milvus'."
                )
            facts = stored_facts(self._client.describe_collection(collection), collection)
            # NB: the collection may have been released by another process or a server restart.
            self._client.load_collection(collection)
        self.dimension = int(facts["dimension"])
        self.model_checksum = str(facts["model_checksum"])
        self._encoder = lifecycle.as_encoder(encoder)
        if self._encoder is not None:
            lifecycle.check_model(self._encoder, self.model_checksum)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A MilvusIndex has an open connection and cannot be pickled or copied; open the "
            f"collection {self.collection!r} again where it is needed."
        )

    @staticmethod
    def exists(uri: str, collection: str = "pyimgret", *, token: str = "") -> bool:
        """Return whether a collection of this name exists."""
        with translate_errors(), contextlib.closing(connect(uri, token)) as client:
            return bool(client.has_collection(collection))

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
        """Create an empty collection; an existing one of the same name is an error."""
        client = connect(uri, token)
        with translate_errors(), contextlib.closing(client):
            if client.has_collection(collection):
                raise IndexStoreError(
                    f"{uri} already has a collection {collection!r}; drop it, or choose another "
                    "name."
                )
            facts = {"dimension": dimension, "model_checksum": model_checksum}
            schema = schema_of(client, dimension, json.dumps({MARK: facts}))
            parameters = client.prepare_index_params()
            parameters.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
            client.create_collection(
                collection,
                schema=schema,
                index_params=parameters,
                consistency_level="Strong",
                # NB: Milvus Lite does not store the description of a collection, but stores these.
                properties={MARK: json.dumps(facts)},
            )
        return cls(uri, collection, token=token)

    @classmethod
    def load(cls, index: Index, uri: str, collection: str = "pyimgret", *, token: str = "") -> Self:
        """Copy all images of an index into a new collection, without thumbnails."""
        dimension, checksum = index.dimension, index.model_checksum
        made = cls.create(
            uri, collection, dimension=dimension, model_checksum=checksum, token=token
        )
        with made.dropped_on_failure(), index.context.database.read() as connection:
            for row_ids, vectors in items.pages(connection, after=0, size=BATCH):
                known = items.describe(connection, row_ids)
                rows = (known[number] for number in row_ids)
                made._upsert(
                    [
                        entity(key, identifier, vector, items.from_json(text, key))
                        for (key, identifier, text, _), vector in zip(rows, vectors, strict=True)
                    ]
                )
        return made

    @contextlib.contextmanager
    def dropped_on_failure(self) -> Iterator[Self]:
        """Drop the collection and close the connection if the block fails."""
        try:
            yield self
        except BaseException:
            with translate_errors(), contextlib.closing(self):
                self._client.drop_collection(self.collection)
            raise

    def add(
        self, vectors: Any, *, keys: Sequence[str], metadata: Metadata = None, replace: bool = False
    ) -> int:
        """Add vectors (n, d), or images if there is an encoder; return their number.

        Raises
        ------
        KeyExistsError
            If a key exists already, unless ``replace``.
        """
        unit = as_vectors(vectors, self.dimension)
        if unit is None:
            unit = unit_vectors(self._model().encode(vectors), self.dimension)
        unit = np.atleast_2d(unit)
        names = checked_keys(keys, len(unit))
        texts = metadata_texts(metadata, len(unit))
        present = set() if replace else self._present(names)
        if present:
            raise KeyExistsError(
                f"The collection already contains {min(present)!r}; pass replace=True to replace "
                "it."
            )
        rows = zip(names, new_ids(len(names)), unit, map(json.loads, texts), strict=True)
        self._upsert([entity(*row) for row in rows])
        return len(names)

    def delete(self, keys: str | Iterable[str]) -> int:
        """Delete all of the given images, or none on an error; see `Index.delete`."""
        listed = list(dict.fromkeys(map(items.check_key, as_list(keys))))
        missing = set(listed) - self._present(listed)
        if missing:
            raise items.no_such_key(min(missing))
        with translate_errors():
            for part in batches(listed):
                self._client.delete(self.collection, ids=part)
        return len(listed)

    def get(self, key: str) -> Item:
        """Return one image.

        Raises
        ------
        KeyNotFoundError
        """
        with translate_errors():
            rows = self._client.get(
                self.collection, ids=[items.check_key(key)], output_fields=[*_FIELDS, "vector"]
            )
        if not rows:
            raise KeyNotFoundError(f"The collection has no image with the key {key!r}.")
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
        """Return the images nearest to a vector or an image; see `Index.search`."""
        client = self._client
        conditions = Conditions.checked(k, where, min_score, exclude)
        where = conditions.where
        expressions = [] if where is None else [to_expression(where)]
        if conditions.exclude:
            expressions.append(f"key not in {literal(conditions.exclude)}")
        vector = query_vector(query, self.dimension, self._model)
        with translate_errors():
            (hits,) = client.search(
                self.collection,
                data=[vector.tolist()],
                limit=conditions.k,
                filter=" and ".join(f"({one})" for one in expressions),
                output_fields=_FIELDS,
            )
        least = -1.0 if conditions.min_score is None else conditions.min_score
        scored = ((float(np.clip(hit["distance"], -1, 1)), hit["entity"]) for hit in hits)
        found = [(score, row) for score, row in scored if score >= least]
        return Matches(
            [
                Match(row["key"], score, row["metadata"], row["id"], rank)
                for rank, (score, row) in enumerate(found, 1)
            ]
        )

    def close(self) -> None:
        """Close the connection; later calls raise `IndexStoreError`."""
        if self._open is not None:
            self._open.close()
        self._open = None

    @property
    def _client(self) -> Any:
        if self._open is None:
            raise IndexStoreError(
                f"The collection {self.collection!r} was closed; open it again with MilvusIndex."
            )
        return self._open

    def _model(self) -> EncoderLike:
        if self._encoder is None:
            raise IndexStoreError("To search by image, give the model (encoder=…).")
        return self._encoder

    def _present(self, keys: Sequence[str]) -> set[str]:
        found: set[str] = set()
        with translate_errors():
            for part in batches(keys):
                rows = self._client.get(self.collection, ids=part, output_fields=["key"])
                found.update(row["key"] for row in rows)
        return found

    def _upsert(self, entities: Sequence[dict[str, Any]]) -> None:
        with translate_errors():
            for part in batches(entities):
                self._client.upsert(self.collection, part)

    def __len__(self) -> int:
        with translate_errors():
            rows = self._client.query(self.collection, filter="", output_fields=["count(*)"])
        return int(rows[0]["count(*)"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
