"""What a search may be given: its method, k, filter, minimum score and excluded keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

from pyimgret.exceptions import InvalidArgumentError
from pyimgret.index.filters.ast import Filter
from pyimgret.index.filters.parsing import Where, parse
from pyimgret.index.storage.items import as_list, check_key

Kind = Literal["exact", "int8", "binary", "hnsw"]
Method = Literal["auto", "exact", "int8", "binary", "hnsw"]

KINDS: tuple[Kind, ...] = ("exact", "int8", "binary", "hnsw")


@dataclass(frozen=True, slots=True)
class Conditions:
    """The validated conditions of a search; see `Index.search`."""

    k: int
    where: Filter | None = None
    min_score: float | None = None
    exclude: tuple[str, ...] = ()
    method: Method = "auto"

    @classmethod
    def checked(
        cls,
        k: object,
        where: Where = None,
        min_score: object = None,
        exclude: str | Iterable[str] = (),
        method: Method = "auto",
    ) -> Conditions:
        """Validate the conditions of a search.

        Examples
        --------
        >>> Conditions.checked(5, min_score=0.5).min_score
        0.5
        >>> Conditions.checked("5")
        Traceback (most recent call last):
        ...
        TypeError: k must be an integer of at least 1, got '5' (str).
        """
        if method not in ("auto", *KINDS):
            raise InvalidArgumentError(
                f"{method!r} is not a search method; choose auto or one of {', '.join(KINDS)}."
            )
        least = None if min_score is None else cosine("min_score", min_score)
        condition = None if where is None else parse(where)
        return cls(_count(k), condition, least, tuple(map(check_key, as_list(exclude))), method)


def cosine(name: str, value: object) -> float:
    """Return a cosine threshold, or raise an error with its name."""
    expected = f"{name} must be a number from -1 to 1, got {value!r} ({type(value).__name__})."
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(expected)
    number = float(value)
    if not -1 <= number <= 1:  # also rejects NaN
        raise InvalidArgumentError(expected)
    return number


def _count(k: object) -> int:
    expected = f"k must be an integer of at least 1, got {k!r} ({type(k).__name__})."
    # NB: True is an Integral too, but never meant as a number of matches.
    if isinstance(k, bool) or not isinstance(k, Integral):
        raise TypeError(expected)
    if k < 1:
        raise InvalidArgumentError(expected)
    return int(k)
