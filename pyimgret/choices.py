"""Checks of settings: one of some names, or a number within limits."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

from pyimgret.exceptions import InvalidArgumentError


def names(words: str) -> frozenset[str]:
    """Return the set of the words of a text."""
    return frozenset(words.split())


def choose(what: str, name: str, known: Collection[str]) -> str:
    """Return ``name`` when it is known.

    Raises
    ------
    InvalidArgumentError
        That lists the known ones.

    Examples
    --------
    >>> choose("pooling", "max", names("avg max"))
    'max'
    """
    if name not in tuple(known):  # NB: a set raises TypeError for a list
        raise InvalidArgumentError(f"unknown {what} {name!r}; known: {', '.join(sorted(known))}.")
    return name


def check_numbers(
    owner: object,
    *settings: str,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    whole: bool = False,
) -> None:
    """Refuse settings of an object that are no numbers, or not within limits.

    Raises
    ------
    InvalidArgumentError
        That names the setting, its value and the limits.
    """
    limits = {f"at least {least}": least, f"above {above}": above, f"below {below}": below}
    wanted = [text for text, limit in limits.items() if limit is not None]
    wanted += ["a whole number"] if whole else []
    kind: Any = Integral if whole else Real
    for name in settings:
        value = getattr(owner, name)
        fits = (
            isinstance(value, kind)
            and (least is None or value >= least)
            and (above is None or value > above)
            and (below is None or value < below)
        )
        if not fits:
            raise InvalidArgumentError(f"{name} must be {' and '.join(wanted)}, got {value!r}.")
