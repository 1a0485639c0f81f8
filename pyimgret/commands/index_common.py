"""What the commands of the index share: opening it, filters, names on one line, progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pyimgret.index import Index

INDEX = click.option(
    "--index", "directory", required=True, metavar="DIR", type=click.Path(path_type=Path),
    help="The directory of the index.",
)  # fmt: skip


@contextmanager
def opened(directory: Path, model: str | None = None) -> Iterator[Index]:
    """Open an index; make it when there is none and a model is given."""
    from pyimgret.index import Index

    encoder = None if model is None else _load_encoder(model)
    exists = (directory / "index.sqlite").exists()
    if not exists and encoder is not None:
        made = Index.create(directory, encoder)
    else:
        made = Index.open(directory, encoder)
    with made:
        yield made


def as_filter(where: str | None) -> str | dict[str, Any] | None:
    """Return a filter from the command line: JSON when it begins with a brace, else text."""
    if where is None or not where.lstrip().startswith("{"):
        return where
    document: dict[str, Any] = json.loads(where)
    return document


def _load_encoder(model: str) -> Any:
    import importlib

    return importlib.import_module("pyimgret.encoder").Encoder.load(model)


def one_line(key: str) -> str:
    r"""Return a key so that it fits on one line of a terminal.

    Examples
    --------
    >>> one_line("new\nline.png")
    'new\\nline.png'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in key)


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int], None] | None]:
    """Give a function that draws a bar with rate and time left, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    with tqdm(unit=" image", file=sys.stderr, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
