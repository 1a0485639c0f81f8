"""Settings that are one of some names."""

from __future__ import annotations

from collections.abc import Collection

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
