"""`Index`: images and their embeddings in a directory."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Concatenate, NoReturn, ParamSpec, Self, TypeVar

from pyimgret.exceptions import DimensionMismatchError
from pyimgret.index.context import IndexContext
from pyimgret.index.filters.parsing import Where
from pyimgret.index.ingest import adding
from pyimgret.index.ingest.adding import Metadata
from pyimgret.index.ingest.encoding import query_vector, query_vectors
from pyimgret.index.ingest.reports import Report
from pyimgret.index.ingest.sync import sync_folder
from pyimgret.index.maintenance.build import build_cache, measure_recall
from pyimgret.index.maintenance.check import check_index
from pyimgret.index.maintenance.compact import compact_index
from pyimgret.index.maintenance.duplicates import find_duplicates
from pyimgret.index.maintenance.exchange import export_index, import_file, salvage_index
from pyimgret.index.maintenance.publish import publish_copy
from pyimgret.index.search.conditions import Conditions, Method
from pyimgret.index.search.matches import Matches
from pyimgret.index.storage import items, lifecycle
from pyimgret.index.storage.arrays import EncoderLike
from pyimgret.index.storage.database import FILE
from pyimgret.index.storage.items import PAGE, as_list
from pyimgret.index.storage.records import Item, Thumbnail

P = ParamSpec("P")
R = TypeVar("R")


def _operation(
    function: Callable[Concatenate[IndexContext, P], R],
) -> Callable[Concatenate[Index, P], R]:
    """Return a method of `Index` that calls a function with the index's context."""

    @functools.wraps(function)
    def method(index: Index, /, *arguments: P.args, **options: P.kwargs) -> R:
        return function(index.context, *arguments, **options)

    # The documentation of the method has no context.
    signature = inspect.signature(function)
    _, *parameters = signature.parameters.values()
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(parameters=[itself, *parameters])  # type: ignore[attr-defined]
    return method


class Index:
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
        self.directory = context.directory
        self.dimension = context.dimension
        self.model_checksum = context.model_checksum

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "An open Index cannot be pickled or copied; hand its directory on, and call "
            f"Index.open({str(self.directory)!r}) where it is needed."
        )

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
        wrapped = lifecycle.as_encoder(encoder)
        if exist_ok and (path / FILE).exists():
            opened = cls(IndexContext(path, wrapped, timeout=timeout))
            if dimension not in (None, opened.dimension):
                raise DimensionMismatchError(
                    f"{path} has vectors of dimension {opened.dimension}, not {dimension}."
                )
            return opened
        lifecycle.create(path, wrapped, dimension)
        return cls(IndexContext(path, wrapped, timeout=timeout))

    @classmethod
    def open(
        cls, directory: str | os.PathLike[str], encoder: Any = None, *, timeout: float = 30.0
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
        return cls(IndexContext(Path(directory), lifecycle.as_encoder(encoder), timeout=timeout))

    @property
    def encoder(self) -> EncoderLike:
        """The model, loaded from ``model.zip`` on first use."""
        return self.context.encoder

    def add(
        self,
        images_or_vectors: Any,
        *,
        keys: Sequence[str] | None = None,
        metadata: Metadata = None,
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
        return adding.add(
            self.context,
            images_or_vectors,
            keys=keys,
            metadata=metadata,
            replace=replace,
            strict=strict,
            thumbnails=thumbnails,
        )

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
        adding.update(self.context, key, image_or_vector, metadata)

    def delete(self, keys: str | Iterable[str]) -> int:
        """Delete all of the given images, or none on an error; return their number.

        Raises
        ------
        KeyNotFoundError
            If a key does not exist; nothing is deleted then.
        """
        listed = list(dict.fromkeys(map(items.check_key, as_list(keys))))
        with self.context.database.write() as connection:
            present = items.ids(connection, listed)
            for key in listed:
                if key not in present:
                    raise items.no_such_key(key)
            return items.delete(connection, listed)

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
                    (after, PAGE),
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
        # NB: check all that can be checked before an image is encoded.
        self.context.database.check_open()
        conditions = Conditions.checked(k, where, min_score, exclude, method)
        vector = query_vector(query, self.dimension, lambda: self.context.encoder)
        return self.context.searcher.search(vector[None], conditions)[0]

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
        self.context.database.check_open()
        conditions = Conditions.checked(k, where, min_score, exclude, method)
        vectors = query_vectors(queries, self.dimension, lambda: self.context.encoder)
        return self.context.searcher.search(vectors, conditions)

    sync = _operation(sync_folder)
    build = _operation(build_cache)
    recall_check = _operation(measure_recall)
    duplicates = _operation(find_duplicates)
    publish = _operation(publish_copy)
    check = _operation(check_index)
    compact = _operation(compact_index)
    export = _operation(export_index)
    salvage = _operation(salvage_index)
    import_from = _operation(import_file)

    def info(self) -> dict[str, Any]:
        """Return facts about the index: counts, model, revision, folders, files."""
        return lifecycle.info(self.directory, self.context.database)

    def close(self) -> None:
        """Close the files; later calls raise `IndexStoreError`."""
        self.context.database.close()

    def __len__(self) -> int:
        with self.context.database.read() as connection:
            return items.count(connection)

    def __contains__(self, key: object) -> bool:
        with self.context.database.read() as connection:
            found = connection.execute("SELECT 1 FROM items WHERE key = ?", (key,))
            return isinstance(key, str) and found.fetchone() is not None

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Index({os.fspath(self.directory)!r}, dimension={self.dimension})"
