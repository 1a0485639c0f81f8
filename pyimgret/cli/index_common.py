"""Shared by the index commands: opening an index, filters, output, progress."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.options import PATH, dependent_option
from pyimgret.cli.pretrained import Choice
from pyimgret.files.atomic import check_folder

if TYPE_CHECKING:
    from pyimgret.index import Index


_index_option = functools.partial(
    click.option,
    "--index",
    "directory",
    metavar="DIR",
    type=PATH,
    help="The directory of the index.",
)
INDEX = _index_option(required=True)
INDEX_OR_NONE = _index_option()
MODEL = click.option("--model", metavar="ZIP", help="The model; needed to create a new index.")
COLLECTION = dependent_option(
    "--collection", needs="milvus", default="pyimgret", help="Name of the collection."
)
_SAMPLE = 5000


@contextmanager
def opened(
    directory: Path,
    model: str | None = None,
    choice: Choice | None = None,
    paths: tuple[str, ...] = (),
    *,
    keep: bool = True,
) -> Iterator[Index]:
    """Open an index; create it if there is none and a model is given.

    A new index is removed again if the block fails before it has stored
    anything, or without ``keep``.
    """
    from pyimgret.index import Index

    choice = choice or Choice()
    exists = (directory / "index.sqlite").exists()
    if not exists and (model is not None or choice.pretrained is not None):
        check_folder(directory)
    encoder = choice.encoder(model)
    if exists and choice.whiten:
        raise click.UsageError(
            "--whiten can only be used for a new index; an existing one has its own model."
        )
    if exists or encoder is None:
        with Index.open(directory, encoder) as found:
            yield found
        return
    if choice.whiten:
        from pyimgret.encoder import Encoder

        encoder = Encoder(encoder.model.whitened(_sample(encoder, paths), choice.whiten))
    with _created(directory, encoder, keep) as made:
        yield made


@contextmanager
def _created(directory: Path, encoder: Any, keep: bool) -> Iterator[Index]:
    from pyimgret.index import Index
    from pyimgret.index.storage.lifecycle import made_folders, remove

    done = False
    with made_folders(directory), Index.create(directory, encoder) as made:
        try:
            yield made
            done = keep
        finally:
            if not done and not len(made):
                made.close()
                remove(directory)


def _sample(encoder: Any, paths: tuple[str, ...]) -> Any:
    """Return embeddings of up to 5,000 of the images, chosen with a fixed seed."""
    import numpy as np

    from pyimgret.cli.embed import encode_all
    from pyimgret.cli.sources import ImageSource, include_hidden
    from pyimgret.datasets import ImageFiles, ImageFolder

    files: list[Path] = []
    for path in paths:
        folder = Path(path).is_dir()
        found = ImageFolder(path, hidden=include_hidden()) if folder else ImageFiles([path])
        files += [file.path for file in found.files]
    order = np.random.default_rng(0).permutation(len(files))[:_SAMPLE]
    return encode_all(encoder, ImageSource(ImageFiles([files[i] for i in sorted(order)])))[2]


def as_filter(where: str | None) -> str | dict[str, Any] | None:
    """Return a filter from the command line: JSON if it begins with a brace, else text."""
    if where is None or not where.lstrip().startswith("{"):
        return where
    from pyimgret.index.filters import FilterError

    try:
        document: dict[str, Any] = json.loads(where)
    except ValueError as error:
        raise FilterError(
            f"The filter begins with a brace but is not JSON: {error}. Expected for example "
            '\'{"year": {"$gte": 2001}}\', or text: year >= 2001.'
        ) from error
    return document


def unknown_fields(index: Index, where: str | dict[str, Any] | None) -> dict[str, Any]:
    """Warn about fields of a filter that no item has; return them for JSON output."""
    from pyimgret.index.filters import parse
    from pyimgret.index.filters.sql import unknown_fields

    condition = parse(where)
    if condition is None:
        return {}
    with index.context.database.read() as connection:
        unknown = unknown_fields(connection, condition)
    for name, near in unknown.items():
        advice = f"; did you mean {' or '.join(near)}?" if near else "."
        click.echo(f"warning: no item of the index has the field {name!r}{advice}", err=True)
    return {"unknown_fields": unknown} if unknown else {}


def one_line(key: str) -> str:
    r"""Return a key with control characters escaped, on one line.

    Examples
    --------
    >>> one_line("new\nline.png")
    'new\\nline.png'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in key)


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int], None] | None]:
    """Yield a function that updates a progress bar; None if not on a terminal."""
    from pyimgret.progress import progress_bar as new_bar

    with new_bar() as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield None if bar.disable else show
