"""The open files, model and caches that the parts of an index share."""

from __future__ import annotations

import functools
from pathlib import Path

from pyimgret.index.search.searcher import Searcher
from pyimgret.index.storage import lifecycle
from pyimgret.index.storage.arrays import EncoderLike
from pyimgret.index.storage.database import Database


class IndexContext:
    """An open index: its files, its model, and the search over it.

    Passed to the functions that add, search and maintain; none of them takes an `Index`. Arguments
    and attributes are those of `Index.open` and `Index`.
    """

    def __init__(
        self, directory: Path, encoder: EncoderLike | None = None, *, timeout: float = 30.0
    ) -> None:
        self.directory = directory
        self.database = Database(directory, timeout=timeout)
        meta = lifecycle.read_meta(self.database)
        self.dimension = int(meta["dimension"])
        self.model_checksum = meta["model_checksum"]
        self.uuid = meta["uuid"]
        self.searcher = Searcher(directory, self.database, self.dimension)
        if encoder is not None:
            lifecycle.check_model(encoder, self.model_checksum)
            self.encoder = encoder

    @functools.cached_property
    def encoder(self) -> EncoderLike:
        """The model, loaded from ``model.zip`` on first use."""
        return lifecycle.load_encoder(self.directory, self.model_checksum)
