"""The open files, model and caches that the parts of an index share."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pyimgret.index.search.searcher import Searcher
from pyimgret.index.storage import lifecycle
from pyimgret.index.storage.arrays import EncoderLike
from pyimgret.index.storage.database import Database


class IndexContext:
    """An open index: its files, its model, and the search over it.

    Passed to the functions that add, search and maintain; none of them takes an
    `Index`.

    Attributes
    ----------
    directory : Path
    database : Database
    dimension : int
        Length of the vectors.
    model_checksum : str
        Checksum of the model that made the vectors; empty for an index of vectors only.
    uuid : str
        Identity of the index; its caches store it too.
    searcher : Searcher
    """

    def __init__(
        self, directory: Path, database: Database, encoder: EncoderLike | None = None
    ) -> None:
        meta = lifecycle.read_meta(database)
        if encoder is not None:
            lifecycle.check_model(encoder, meta["model_checksum"])
        self.directory = directory
        self.database = database
        self.dimension = int(meta["dimension"])
        self.model_checksum = meta["model_checksum"]
        self.uuid = meta["uuid"]
        self.searcher = Searcher(directory, database, self.dimension)
        self._encoder = encoder

    @classmethod
    def open(
        cls, directory: Path, encoder: EncoderLike | None = None, *, timeout: float = 30.0
    ) -> Self:
        """Open the index of a directory; see `Index.open`."""
        return cls(directory, Database(directory, timeout=timeout), encoder)

    @property
    def encoder(self) -> EncoderLike:
        """The model, loaded from ``model.zip`` on first use."""
        if self._encoder is None:
            self._encoder = lifecycle.load_encoder(self.directory, self.model_checksum)
        return self._encoder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()
