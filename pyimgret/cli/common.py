"""Shared by the commands: the ``--json`` option, its output, and tables."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])


def json_option(command: Command) -> Command:
    """Add ``--json``, passed as the parameter ``as_json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
    )(command)


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
