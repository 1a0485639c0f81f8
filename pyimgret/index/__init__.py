"""The index: a directory that holds keys, embeddings and metadata, and returns the nearest ones."""

from __future__ import annotations

from pyimgret.files.failures import ImageFailure
from pyimgret.files.keys import key_from_path, path_from_key
from pyimgret.index.index import Index
from pyimgret.index.ingest.reports import Report, SyncReport
from pyimgret.index.maintenance.check import CheckReport
from pyimgret.index.maintenance.duplicates import DuplicateGroup
from pyimgret.index.search.matches import Match, Matches
from pyimgret.index.storage.items import to_json
from pyimgret.index.storage.records import Item, Source, Thumbnail

__all__ = [
    "CheckReport",
    "DuplicateGroup",
    "ImageFailure",
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
    "to_json",
]
