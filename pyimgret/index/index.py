"""`Index`: images and their embeddings in a directory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np

from pyimgret.exceptions import DimensionMismatchError, InvalidArgumentError
from pyimgret.index.context import IndexContext
from pyimgret.index.filters.parsing import Where
from pyimgret.index.ingest.adding import Adder
from pyimgret.index.ingest.encoding import Report, prepare
from pyimgret.index.maintenance.operations import Maintenance
from pyimgret.index.search.conditions import Conditions
from pyimgret.index.search.matches import Matches
from pyimgret.index.search.methods import Method, check_method
from pyimgret.index.storage import items, lifecycle
from pyimgret.index.storage.arrays import EncoderLike, Floats
from pyimgret.index.storage.database import FILE
from pyimgret.index.storage.items import Item, Thumbnail, as_list
from pyimgret.preprocessing import as_vectors, check_image, unit_vectors

_PAGE = 10_000


class Index(Maintenance):
    """A directory of images that can be searched by example.

    Make one with `Index.create`, open one with `Index.open`. Any number of processes and
    threads may read while one writes; a second writer waits. A change is durable when the
    call that made it returns, even if the process is killed afterwards.

    Attributes
    ----------
    directory : Path
    dimension : int
        Length of the vectors.
    model_checksum : str
        Checksum of the model that made the vectors; empty for an index of vectors only.

    Examples
    --------
    >>> import tempfile
    >>> directory = tempfile.mkdtemp()
    >>> index = Index.create(directory, dimension=2)
    >>> report = index.add([[1.0, 0.0], [0.6, 0.8]], keys=["east", "north-east"])
    >>> index.search([0.0, 1.0], k=1)
    Matches('north-east': 0.8000)
    >>> index.close()
    """

    def __init__(self, context: IndexContext) -> None:
        self.context = context

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "An open Index cannot be pickled or copied; hand its directory on, and call "
            f"Index.open({str(self.directory)!r}) where it is needed."
        )

    @property
    def directory(self) -> Path:
        """The directory of the index."""
        return self.context.directory

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self.context.dimension

    @property
    def model_checksum(self) -> str:
        """Checksum of the model that made the vectors; empty for an index of vectors only."""
        return self.context.model_checksum

    @classmethod
    def create(
        cls,
        directory: str | os.PathLike[str],
        encoder: Any = None,
        *,
        dimension: int | None = None,
        exist_ok: bool = False,
        timeout: float = 30.0,
    ) -> Self:
        """Create a new, empty index.

        Parameters
        ----------
        directory : path
            Created if it does not exist.
        encoder : Encoder or fitted model, optional
            Stored as ``model.zip``; without one the index takes vectors only.
        dimension : int, optional
            Length of the vectors; needed only without an encoder.
        exist_ok : bool
            Open an existing index of the same encoder instead of raising an error.
        timeout : float
            Seconds that a writer waits for another writer.

        Raises
        ------
        IndexStoreError
            If the directory already contains an index, or cannot be written.
        ModelMismatchError
            With ``exist_ok``, if the existing index was built with another encoder.
        """
        path = Path(directory)
        wrapped = None if encoder is None else lifecycle.as_encoder(encoder)
        if exist_ok and (path / FILE).exists():
            opened = cls(IndexContext.open(path, wrapped, timeout=timeout))
            if dimension not in (None, opened.dimension):
                raise DimensionMismatchError(
                    f"{path} has vectors of dimension {opened.dimension}, not {dimension}."
                )
            return opened
        lifecycle.create(path, wrapped, dimension)
        return cls(IndexContext.open(path, wrapped, timeout=timeout))

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        encoder: Any = None,
        *,
        timeout: float = 30.0,
    ) -> Self:
        """Open an index.

        Parameters
        ----------
        directory : path
        encoder : Encoder or fitted model, optional
            Used instead of the stored model, which otherwise is loaded when an image is first
            encoded.
        timeout : float
            Seconds that a writer waits for another writer.

        Raises
        ------
        IndexStoreError
            If there is no index, or a newer version wrote it.
        ModelMismatchError
            If the index was built with another encoder.
        """
        wrapped = None if encoder is None else lifecycle.as_encoder(encoder)
        return cls(IndexContext.open(Path(directory), wrapped, timeout=timeout))

    @property
    def encoder(self) -> EncoderLike:
        """The model, loaded from ``model.zip`` on first use."""
        return self.context.encoder

    def add(
        self,
        images_or_vectors: Any,
        *,
        keys: Sequence[str] | None = None,
        metadata: Sequence[dict[str, Any] | None] | dict[str, Any] | None = None,
        replace: bool = False,
        strict: bool = False,
        thumbnails: bool = True,
    ) -> Report:
        """Add images or vectors.

        Each batch is one transaction. An image that cannot be read is reported and
        skipped; the others are added.

        Parameters
        ----------
        images_or_vectors : list of images, uint8 array (n, h, w[, 3]), or float array (n, d)
            An image is a path, ``bytes``, a ``PIL.Image`` or a uint8 array.
        keys : list of str, optional
            By default the path of a file, and the opaque id of any other image.
        metadata : list of dict, or one dict for all, optional
            Plain JSON values.
        replace : bool
            Replace images that have the same keys, which otherwise is an error.
        strict : bool
            Raise an error at the first image that cannot be read, before its batch is added.
        thumbnails : bool
            Store a thumbnail of each image.

        Raises
        ------
        IndexStoreError
            If a key exists already, or the index cannot be written.
        ImageDecodeError
            With ``strict``.
        """
        adder = Adder(self.context, replace=replace, strict=strict, thumbnails=thumbnails)
        return adder.add(images_or_vectors, keys, metadata)

    def update(
        self, key: str, image_or_vector: Any = None, *, metadata: dict[str, Any] | None = None
    ) -> None:
        """Change the image (or vector) of a key, its metadata, or both; its id stays.

        Raises
        ------
        KeyNotFoundError
            If there is no such key.
        ImageDecodeError
            If the image cannot be read; nothing is changed then.
        """
        Adder(self.context, replace=True, strict=True).update(key, image_or_vector, metadata)

    def delete(self, keys: str | Iterable[str]) -> int:
        """Delete all of the given images, or none on an error; return their number.

        Raises
        ------
        KeyNotFoundError
            If a key does not exist; nothing is deleted then.
        """
        wanted = list(dict.fromkeys(map(items.check_key, as_list(keys))))
        with self.context.database.write() as connection:
            there = items.ids(connection, wanted)
            if len(there) < len(wanted):
                missing = next(key for key in wanted if key not in there)
                raise items.no_such_key(missing)
            return items.delete(connection, wanted)

    def delete_by_id(self, identifier: str) -> None:
        """Delete the image of an opaque id.

        Raises
        ------
        KeyNotFoundError
        """
        with self.context.database.write() as connection:
            found = connection.execute("DELETE FROM items WHERE id = ?", (identifier,))
            if not found.rowcount:
                raise items.no_such_key(identifier, by="id")

    def get(self, key: str) -> Item:
        """Return one image's vector, metadata and source.

        Raises
        ------
        KeyNotFoundError
        """
        with self.context.database.read() as connection:
            return items.get(connection, items.check_key(key))

    def get_by_id(self, identifier: str) -> Item:
        """Return the image of an opaque id; like `get`."""
        with self.context.database.read() as connection:
            return items.get(connection, identifier, by="id")

    def thumbnail(self, key: str) -> Thumbnail | None:
        """Return the thumbnail of an image, or None if none is stored.

        Raises
        ------
        KeyNotFoundError
        """
        with self.context.database.read() as connection:
            return items.thumbnail(connection, items.check_key(key))

    def keys(self) -> Iterator[str]:
        """Yield all keys in the order of insertion."""
        after = 0
        while True:
            with self.context.database.read() as connection:
                rows = connection.execute(
                    "SELECT number, key FROM items WHERE number > ? ORDER BY number LIMIT ?",
                    (after, _PAGE),
                ).fetchall()
            if not rows:
                return
            yield from (row[1] for row in rows)
            after = rows[-1][0]

    def search(
        self,
        query: Any,
        k: int = 5,
        *,
        where: Where = None,
        min_score: float | None = None,
        exclude: str | Iterable[str] = (),
        method: Method = "auto",
    ) -> Matches:
        """Return the images nearest to one, best first.

        Parameters
        ----------
        query : image or vector
            A path, ``bytes``, a ``PIL.Image``, a uint8 array (h, w[, 3]), or a float vector.
        k : int
            Maximum number of matches.
        where : str or dict, optional
            Only images whose metadata matches, such as ``"year >= 2001"`` or
            ``{"year": {"$gte": 2001}}``; see `pyimgret.index.filters`.
        min_score : float, optional
            Exclude matches with a lower score.
        exclude : key or list of keys
            Keys to leave out; keys that do not exist are ignored.
        method : {"auto", "exact", "int8", "binary", "hnsw"}
            "exact" and "int8" (a quarter of the memory) always find the nearest; "hnsw" and
            "binary" are approximate and must have been built. "auto" is "hnsw" if that
            was built, else "exact". With ``where``, all methods are exact.
        """
        conditions = self._conditions(k, where, min_score, exclude, method)
        return self.context.searcher.search(self._query(query)[None], conditions, method)[0]

    def search_batch(
        self,
        queries: Any,
        k: int = 5,
        *,
        where: Where = None,
        min_score: float | None = None,
        exclude: str | Iterable[str] = (),
        method: Method = "auto",
    ) -> list[Matches]:
        """Search for many queries (float array (n, d), or images) in one snapshot."""
        conditions = self._conditions(k, where, min_score, exclude, method)
        return self.context.searcher.search(self._queries(queries), conditions, method)

    def _conditions(
        self,
        k: int,
        where: Where,
        min_score: float | None,
        exclude: str | Iterable[str],
        method: Method,
    ) -> Conditions:
        """Check everything that can be checked before an image is encoded."""
        self.context.database.check_open()
        check_method(method)
        return Conditions.checked(k, where, min_score, exclude)

    def close(self) -> None:
        """Close the files; later calls raise `IndexStoreError`."""
        self.context.database.close()

    def _query(self, query: Any) -> Floats:
        """Return the vector of one query."""
        vector = as_vectors(query, self.dimension)
        if vector is not None:
            if vector.ndim == 1:
                return vector
            raise InvalidArgumentError("search takes one query; use search_batch for several.")
        check_image(query, self.dimension)
        prepared = prepare(query, self.encoder, thumbnails=False)
        vectors = unit_vectors(
            self.encoder.encode(np.asarray(prepared.pixels)[None]), self.dimension
        )
        return vectors.reshape(self.dimension)

    def _queries(self, queries: Any) -> Floats:
        vectors = as_vectors(queries, self.dimension)
        if vectors is not None:
            return np.atleast_2d(vectors)
        if isinstance(queries, np.ndarray) and queries.ndim > 2:
            return unit_vectors(self.encoder.encode(queries), self.dimension)
        images = as_list(queries, "images")
        for image in images:
            check_image(image, self.dimension)
        found = self.encoder.encode(images) if images else np.empty((0, self.dimension))
        return unit_vectors(found, self.dimension)

    def __len__(self) -> int:
        with self.context.database.read() as connection:
            return items.count(connection)

    def __contains__(self, key: object) -> bool:
        with self.context.database.read() as connection:
            return isinstance(key, str) and bool(items.ids(connection, [key]))

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Index({os.fspath(self.directory)!r}, dimension={self.dimension})"
