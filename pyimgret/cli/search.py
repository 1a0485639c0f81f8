"""``pyimgret search`` and ``pyimgret duplicates``: search an index, and find duplicates."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from pyimgret.cli.common import json_option, print_json, table
from pyimgret.cli.index_common import (
    COLLECTION,
    INDEX,
    INDEX_OR_NONE,
    as_filter,
    one_line,
    opened,
    unknown_fields,
)
from pyimgret.cli.options import POSITIVE, FigureFile, dependent_option
from pyimgret.cli.pretrained import Choice
from pyimgret.cli.search_many import search_many
from pyimgret.cli.sources import ExistingPath, hidden_option

if TYPE_CHECKING:
    from pyimgret.index import Matches
    from pyimgret.index.search.methods import Method


@click.command()
@INDEX_OR_NONE
@click.option("--milvus", metavar="URI", help="Search a collection there instead.")
@COLLECTION
@dependent_option(
    "--model",
    needs="milvus",
    without="key",
    metavar="ZIP",
    help="The model that encodes QUERY; only with --milvus.",
)
@click.option("-k", default=5, type=POSITIVE, help="Number of matches.")
@click.option(
    "--where", metavar="FILTER", help="Only matches with this metadata, such as: label == 'cat'."
)
@click.option(
    "--min-score", type=click.FloatRange(-1, 1), help="Exclude matches with a lower score."
)
@click.option("--exclude", multiple=True, metavar="KEY", help="Exclude this image.")
@dependent_option(
    "--method",
    without="milvus",
    default="auto",
    type=click.Choice(["auto", "exact", "int8", "binary", "hnsw"]),
    help="auto uses the graph if it was built, else exact search.",
)
@dependent_option(
    "--explain",
    "drawing",
    without="milvus|key",
    type=FigureFile(),
    metavar="FILE",
    help="Plot which regions of QUERY and the best match are similar.",
)
@hidden_option
@click.argument("queries", nargs=-1, metavar="[QUERY]...", type=ExistingPath())
@click.option("--key", help="Search with an image of the index instead of a file.")
@json_option
def search(
    directory: Path | None,
    milvus: str | None,
    collection: str,
    model: str | None,
    k: int,
    where: str | None,
    min_score: float | None,
    exclude: tuple[str, ...],
    method: str,
    drawing: Path | None,
    queries: tuple[str, ...],
    key: str | None,
    as_json: bool,
) -> None:
    """Find the images that look like QUERY.

    The score is a cosine between -1 and 1; higher is nearer. Several images, or folders
    of images, are searched for one after the other.
    """
    if bool(queries) == (key is not None):
        raise click.UsageError("give images to search for, or --key.")
    several = len(queries) > 1 or any(Path(query).is_dir() for query in queries)
    query = queries[0] if queries else None
    if drawing is not None and several:
        raise click.UsageError("--explain needs exactly one QUERY file.")
    if (directory is None) == (milvus is None):
        raise click.UsageError("give either --index or --milvus.")
    conditions: dict[str, Any] = {
        "where": as_filter(where),
        "min_score": min_score,
        "exclude": exclude,
    }
    if several:
        if directory is None:
            raise click.UsageError("several images can only be searched for with --index.")
        conditions["method"] = method
        search_many(directory, queries, k, conditions, as_json=as_json)
        return
    notes: dict[str, Any] = {}
    if milvus is not None:
        matches = _in_milvus(milvus, collection, model, query, key, k, conditions)
    else:
        matches, notes = _in_index(
            cast("Path", directory), method, query, key, k, conditions, drawing
        )
    if as_json:
        print_json(matches.to_dict() | notes)
        return
    rows = [[one_line(match.key), f"{match.score:.4f}"] for match in matches]
    click.echo(table(["key", "score"], rows) if rows else "no match")
    if drawing is not None:
        click.echo(f"Wrote {drawing}.")


def _in_index(
    directory: Path,
    method: str,
    query: str | None,
    key: str | None,
    k: int,
    conditions: dict[str, Any],
    drawing: Path | None,
) -> tuple[Matches, dict[str, Any]]:
    with opened(directory) as index:
        wanted = index.get(key).vector if key is not None else query
        matches = index.search(wanted, k, method=cast("Method", method), **conditions)
        notes = unknown_fields(index, conditions["where"])
        if drawing is not None:
            _draw(index, query, matches, drawing)
            notes["explanation"] = str(drawing)
    return matches, notes


def _in_milvus(
    uri: str,
    collection: str,
    model: str | None,
    query: str | None,
    key: str | None,
    k: int,
    conditions: dict[str, Any],
) -> Matches:
    from pyimgret.index.milvus import MilvusIndex

    if key is None and model is None:
        raise click.UsageError("--milvus has no model: give --model, or search by --key.")
    encoder = None if model is None else Choice.none().encoder(model)
    with MilvusIndex(uri, collection, encoder=encoder) as index:
        wanted = index.get(key).vector if key is not None else query
        return index.search(wanted, k, **conditions)


def _draw(index: Any, query: str | None, matches: Any, drawing: Path) -> None:
    """Plot the best match, from its file or else from its thumbnail."""
    from pyimgret.explain import explain, plot_explanation
    from pyimgret.visualization.style import save

    best = next(iter(matches), None)
    if best is None or index.encoder is None:
        raise click.UsageError("--explain found no match to show, or the index has no model.")
    source, small = index.get(best.key).source, index.thumbnail(best.key)
    file = None if source is None else Path(os.fsdecode(source.path))
    if file is None or not file.is_file():
        file = None
        if small is None:
            raise click.UsageError(f"the image of {one_line(best.key)} no longer exists.")
    image: Any = small.image if file is None and small is not None else file
    found = explain(index.encoder, query, image)
    save(plot_explanation(found, query, image), drawing)


@click.command()
@INDEX
@click.option(
    "--threshold",
    default=0.97,
    type=click.FloatRange(-1, 1, min_open=True),
    help="Minimum cosine similarity of duplicates.",
)
@json_option
def duplicates(directory: Path, threshold: float, as_json: bool) -> None:
    """List groups of near and exact duplicates."""
    with opened(directory) as index:
        groups = index.duplicates(threshold)
    if as_json:
        print_json({"groups": [{"keys": g.keys, "exact": g.exact} for g in groups]})
        return
    for group in groups:
        click.echo("exact copies:" if group.exact else "near duplicates:")
        for key in group.keys:
            click.echo(f"  {one_line(key)}")
    click.echo(f"{len(groups):,} groups.")
