"""The names of the methods that find the nearest vectors."""

from __future__ import annotations

from typing import Literal

from pyimgret.exceptions import InvalidArgumentError

Kind = Literal["exact", "int8", "binary", "hnsw"]
Method = Literal["auto", "exact", "int8", "binary", "hnsw"]

KINDS: tuple[Kind, ...] = ("exact", "int8", "binary", "hnsw")
METHODS: tuple[Method, ...] = ("auto", *KINDS)


def check_method(method: str) -> None:
    """Refuse the name of a method that there is not."""
    if method not in METHODS:
        raise InvalidArgumentError(
            f"{method!r} is no method; choose auto or one of {', '.join(KINDS)}."
        )
