"""The index: a directory that holds keys, embeddings and metadata, and finds the nearest."""

from __future__ import annotations

from pyimgret.index.items import Item, Source, Thumbnail
from pyimgret.index.keys import key_from_path, path_from_key
from pyimgret.index.matches import Match, Matches
from pyimgret.index.pictures import Failure, Report
from pyimgret.index.store import Index

__all__ = [
    "Failure",
    "Index",
    "Item",
    "Match",
    "Matches",
    "Report",
    "Source",
    "Thumbnail",
    "key_from_path",
    "path_from_key",
]
