"""The results of a search."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from pyimgret.index.storage.items import Described, from_json


@dataclass(frozen=True, slots=True)
class Match:
    """One match of a search.

    Attributes
    ----------
    key : str
        The image's key.
    score : float
        The cosine similarity to the query, in [-1, 1]; higher is nearer.
    metadata : dict
        The metadata stored with the image.
    id : str
        The opaque id that never changes.
    rank : int
        1 for the nearest.
    """

    key: str
    score: float
    metadata: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    rank: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the match as a JSON-serializable dict."""
        return {name: getattr(self, name) for name in ("key", "id", "score", "rank", "metadata")}


class Matches(Sequence[Match]):
    """The nearest images, best first.

    Attributes
    ----------
    keys : list of str
    scores : list of float

    Examples
    --------
    >>> matches = Matches([Match("a.png", 0.9), Match("b.png", 0.4)])
    >>> matches.keys, matches[0].score, len(matches)
    (['a.png', 'b.png'], 0.9, 2)
    """

    _rows: Sequence[Described]

    def __init__(self, matches: Sequence[Match] = ()) -> None:
        self.keys = [match.key for match in matches]
        self.scores = [match.score for match in matches]
        self._matches = tuple(matches)

    @classmethod
    def of_rows(cls, rows: Sequence[Described], scores: Sequence[float]) -> Matches:
        """Return matches from database rows of one snapshot.

        All data has been read, so later changes have no effect; the objects, and their
        metadata from its JSON, are created on first access.
        """
        made = cls.__new__(cls)
        made.keys, made.scores, made._rows = [row[0] for row in rows], list(scores), rows
        return made

    @functools.cached_property
    def _matches(self) -> tuple[Match, ...]:
        return tuple(
            Match(key, score, from_json(text, key), identifier, rank)
            for rank, ((key, identifier, text, _), score) in enumerate(
                zip(self._rows, self.scores, strict=True), 1
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"matches": [...]}``, as the command line and HTTP print it."""
        return {"matches": [match.to_dict() for match in self._matches]}

    @overload
    def __getitem__(self, index: int) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> Matches: ...
    def __getitem__(self, index: int | slice) -> Match | Matches:
        if isinstance(index, slice):
            return Matches(self._matches[index])
        return self._matches[index]

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Match]:
        return iter(self._matches)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Matches) and self._matches == other._matches

    def __hash__(self) -> int:
        return hash(tuple(self.keys))

    def __repr__(self) -> str:
        inner = ", ".join(f"{match.key!r}: {match.score:.4f}" for match in self._matches[:10])
        return f"Matches({inner}{', …' if len(self) > 10 else ''})"
