"""Shared by the commands: their results, printed as text or with ``--json``, and tables."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import click

Command = TypeVar("Command", bound=Callable[..., object])


class Result(NamedTuple):
    """What a command returns; `json_option` prints it.

    Attributes
    ----------
    document : object
        Printed with ``--json``.
    text : str
        Printed without it.
    notes : sequence of str
        Lines for standard error, before the text.
    failed : bool
        Whether to exit with status 1.
    """

    document: object
    text: str
    notes: Sequence[str] = ()
    failed: bool = False


def json_option(command: Command) -> Command:
    """Add ``--json`` to a command that returns a `Result`, which is printed."""

    @functools.wraps(command)
    def run(*arguments: Any, as_json: bool, **options: Any) -> None:
        result = cast(Result, command(*arguments, **options))
        if as_json:
            print_json(result.document)
        else:
            for note in result.notes:
                click.echo(note, err=True)
            click.echo(result.text)
        if result.failed:
            click.get_current_context().exit(1)

    option = click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
    )
    return cast(Command, option(run))


def wants_json() -> bool:
    """Return whether ``--json`` was given."""
    return bool(click.get_current_context().params.get("as_json"))


def first_of(lines: Sequence[str], most: int = 20) -> list[str]:
    """Return the first lines, and how many more there are."""
    more = [f"… and {len(lines) - most:,} more (see --json)."] if len(lines) > most else []
    return [*lines[:most], *more]


def print_json(document: object) -> None:
    """Print a document as JSON on standard output.

    NumPy numbers and arrays become numbers and lists, paths become strings, and numbers
    that are not finite become null, so that every JSON parser reads the result.

    Examples
    --------
    >>> print_json({"map": 0.5, "recall": float("nan")})
    {
      "map": 0.5,
      "recall": null
    }
    """
    click.echo(json.dumps(_plain(document), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    """Convert a value to JSON types."""
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, without importing NumPy
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a plain-text table: the first column left-aligned, the others right-aligned.

    Examples
    --------
    >>> print(table(["", "P@10"], [["raw pixels", "0.887"], ["PCA", "0.883"]]))
                 P@10
    raw pixels  0.887
    PCA         0.883
    """
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
