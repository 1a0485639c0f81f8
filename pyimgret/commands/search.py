"""``pyimgret search``: find the pictures nearest to one."""

from __future__ import annotations

from pathlib import Path

import click

from pyimgret.commands.common import json_option, print_json, table
from pyimgret.commands.index import INDEX, _one_line, as_filter, opened


@click.command()
@INDEX
@click.option("-k", default=5, show_default=True, type=click.IntRange(min=1), help="How many.")
@click.option("--where", metavar="FILTER", help="Only these, such as: label == 'cat'.")
@click.option("--min-score", type=click.FloatRange(-1, 1), help="Leave out what is less similar.")
@click.option("--exclude", multiple=True, metavar="KEY", help="Leave this picture out.")
@click.argument("query", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--key", help="Search with a picture of the index instead of a file.")
@json_option
def search(
    directory: Path,
    k: int,
    where: str | None,
    min_score: float | None,
    exclude: tuple[str, ...],
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
            wanted, k, where=as_filter(where), min_score=min_score, exclude=exclude
        )
    if as_json:
        print_json(matches.to_dict())
        return
    rows = [[_one_line(match.key), f"{match.score:.4f}"] for match in matches]
    click.echo(table(["key", "score"], rows) if rows else "no match")
