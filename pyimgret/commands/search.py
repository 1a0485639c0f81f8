"""``pyimgret search`` and ``pyimgret duplicates``: what is near to what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from pyimgret.commands.common import json_option, print_json, table
from pyimgret.commands.index_common import INDEX, as_filter, one_line, opened

if TYPE_CHECKING:
    from pyimgret.index.building import Method


@click.command()
@INDEX
@click.option("-k", default=5, show_default=True, type=click.IntRange(min=1), help="How many.")
@click.option("--where", metavar="FILTER", help="Only these, such as: label == 'cat'.")
@click.option("--min-score", type=click.FloatRange(-1, 1), help="Leave out what is less similar.")
@click.option("--exclude", multiple=True, metavar="KEY", help="Leave this picture out.")
@click.option(
    "--method", default="auto", show_default=True,
    type=click.Choice(["auto", "exact", "int8", "binary", "hnsw"]),
    help="auto is the graph where it was built, else exact.",
)  # fmt: skip
@click.argument("query", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--key", help="Search with a picture of the index instead of a file.")
@json_option
def search(
    directory: Path,
    k: int,
    where: str | None,
    min_score: float | None,
    exclude: tuple[str, ...],
    method: str,
    query: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Find the pictures that look like QUERY.

    The score is a cosine between -1 and 1; higher is nearer.
    """
    if (query is None) == (key is None):
        raise click.UsageError("Give a picture to search with, or --key.")
    with opened(directory) as index:
        wanted = index.get(key).vector if key is not None else query
        matches = index.search(
            wanted,
            k,
            where=as_filter(where),
            min_score=min_score,
            exclude=exclude,
            method=cast("Method", method),
        )
    if as_json:
        print_json(matches.to_dict())
        return
    rows = [[one_line(match.key), f"{match.score:.4f}"] for match in matches]
    click.echo(table(["key", "score"], rows) if rows else "no match")


@click.command()
@INDEX
@click.option(
    "--threshold", default=0.97, show_default=True, type=click.FloatRange(-1, 1, min_open=True),
    help="Pictures at least this similar belong together.",
)  # fmt: skip
@json_option
def duplicates(directory: Path, threshold: float, as_json: bool) -> None:
    """List groups of pictures that are nearly, or exactly, the same."""
    with opened(directory) as index:
        groups = index.duplicates(threshold)
    if as_json:
        print_json({"groups": [{"keys": g.keys, "exact": g.exact} for g in groups]})
        return
    for group in groups:
        click.echo("exact copies:" if group.exact else "alike:")
        for key in group.keys:
            click.echo(f"  {one_line(key)}")
    click.echo(f"{len(groups):,} groups.")
