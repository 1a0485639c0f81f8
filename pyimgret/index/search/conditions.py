"""What a search may be given: its method, k, filter, minimum score and excluded keys."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

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
        count = int(_number(k, Integral, (1, math.inf), "k must be an integer of at least 1"))
        return cls(count, condition, least, tuple(map(check_key, as_list(exclude))), method)


def cosine(name: str, value: object) -> float:
    """Return a cosine threshold, or raise an error with its name."""
    return float(_number(value, Real, (-1, 1), f"{name} must be a number from -1 to 1"))


def _number(value: Any, kind: Any, limits: tuple[float, float], expected: str) -> Any:
    message = f"{expected}, got {value!r} ({type(value).__name__})."
    # NB: True is a number too, but never meant as one.
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(message)
    if not limits[0] <= value <= limits[1]:  # also rejects NaN
        raise InvalidArgumentError(message)
    return value
