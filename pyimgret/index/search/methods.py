"""The names of the search methods."""

from __future__ import annotations

from typing import Literal

from pyimgret.exceptions import InvalidArgumentError

Kind = Literal["exact", "int8", "binary", "hnsw"]
Method = Literal["auto", "exact", "int8", "binary", "hnsw"]

KINDS: tuple[Kind, ...] = ("exact", "int8", "binary", "hnsw")
METHODS: tuple[Method, ...] = ("auto", *KINDS)


def check_method(method: str) -> None:
    """Reject an unknown method."""
    if method not in METHODS:
        raise InvalidArgumentError(
            f"{method!r} is not a search method; choose auto or one of {', '.join(KINDS)}."
        )
