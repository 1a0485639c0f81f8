"""The results of adding images and of synchronizing a folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from pyimgret.files.failures import ImageFailure


@dataclass(slots=True)
class Report:
    """The result of `Index.add`.

    Attributes
    ----------
    added : list of str
        Keys that were added.
    ids : list of str
        Their opaque ids.
    failed : list of ImageFailure
        Images that could not be read.
    """

    added: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    failed: list[ImageFailure] = field(default_factory=list)


@dataclass(slots=True)
class SyncReport:
    """The result of a sync, or of a dry run.

    Attributes
    ----------
    added, updated, moved, touched, deleted, unchanged : int
        Numbers of images; "touched" ones have a new time but the same content.
    hidden_skipped : int
        Number of hidden files and folders that were skipped.
    hidden_kept : int
        Images of hidden files that the index already contains; they are left unchanged.
    failed : list of ImageFailure
        Images that could not be read, and why.
    """

    added: int = 0
    updated: int = 0
    moved: int = 0
    touched: int = 0
    deleted: int = 0
    unchanged: int = 0
    hidden_skipped: int = 0
    hidden_kept: int = 0
    failed: list[ImageFailure] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON-serializable dict."""
        return asdict(self)
