"""The index: a directory that holds keys, embeddings and metadata, and finds the nearest."""

from __future__ import annotations

from pyimgret.index.checking import CheckReport
from pyimgret.index.duplicates import DuplicateGroup
from pyimgret.index.items import Item, Source, Thumbnail
from pyimgret.index.keys import key_from_path, path_from_key
from pyimgret.index.matches import Match, Matches
from pyimgret.index.pictures import Failure, Report
from pyimgret.index.store import Index
from pyimgret.index.sync import SyncReport

__all__ = [
    "CheckReport",
    "DuplicateGroup",
    "Failure",
    "Index",
    "Item",
    "Match",
    "Matches",
    "Report",
    "Source",
    "SyncReport",
    "Thumbnail",
    "key_from_path",
    "path_from_key",
]
