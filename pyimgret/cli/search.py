"""``pyimgret search`` and ``pyimgret duplicates``: search an index, and find duplicates."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from pyimgret.cli.common import Result, json_option, table
from pyimgret.cli.embed import encode_all
from pyimgret.cli.index_common import (
    COLLECTION,
    INDEX,
    INDEX_OR_NONE,
    as_filter,
    one_line,
    opened,
    unknown_fields,
)
from pyimgret.cli.options import POSITIVE, dependent_option, figure_option
from pyimgret.cli.pretrained import Choice
from pyimgret.cli.sources import ExistingPath, ImageSource, hidden_option, open_folder

if TYPE_CHECKING:
    from pyimgret.index import Index, Matches
    from pyimgret.index.search.conditions import Method


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
@figure_option(
    "--explain",
    "figure",
    without="milvus|key",
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
    method: Method,
    figure: Path | None,
    queries: tuple[str, ...],
    key: str | None,
) -> Result:
    """Find the images that look like QUERY.

    The score is a cosine between -1 and 1; higher is nearer. Several images, or folders
    of images, are searched for one after the other.
    """
    if bool(queries) == (key is not None):
        raise click.UsageError("give images to search for, or --key.")
    several = len(queries) > 1 or any(Path(query).is_dir() for query in queries)
    query = queries[0] if queries else None
    if figure is not None and several:
        raise click.UsageError("--explain needs exactly one QUERY file.")
    if (directory is None) == (milvus is None):
        raise click.UsageError("give either --index or --milvus.")
    conditions: dict[str, Any] = {
        "where": as_filter(where),
        "min_score": min_score,
        "exclude": exclude,
    }
    if directory is None:
        if several:
            raise click.UsageError("several images can only be searched for with --index.")
        matches = _in_milvus(cast(str, milvus), collection, model, query, key, k, conditions)
        return _result(matches, {})
    with opened(directory) as index:
        if several:
            return _search_many(index, queries, k, method=method, **conditions)
        wanted = index.get(key).vector if key is not None else query
        matches = index.search(wanted, k, method=method, **conditions)
        notes = unknown_fields(index, conditions["where"])
        if figure is not None:
            _explain(index, query, matches, figure)
            notes["explanation"] = str(figure)
    return _result(matches, notes)


def _result(matches: Matches, notes: dict[str, Any]) -> Result:
    rows = [[one_line(match.key), f"{match.score:.4f}"] for match in matches]
    text = table(["key", "score"], rows) if rows else "no match"
    if "explanation" in notes:
        text += f"\nWrote {notes['explanation']}."
    return Result(matches.to_dict() | notes, text)


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
    with MilvusIndex(uri, collection, encoder=Choice().encoder(model)) as index:
        wanted = index.get(key).vector if key is not None else query
        return index.search(wanted, k, **conditions)


def _search_many(index: Index, queries: tuple[str, ...], k: int, **conditions: Any) -> Result:
    """Search for every image, encoded in batches; unreadable ones are reported and skipped."""
    from pyimgret.datasets import ImageFiles

    files: list[Path] = []
    for query in map(Path, queries):
        files += [file.path for file in open_folder(query).files] if query.is_dir() else [query]
    source = ImageSource(ImageFiles(files))
    names, _, vectors = encode_all(index.encoder, source)
    found = index.search_batch(vectors, k, **conditions) if names else []
    notes = unknown_fields(index, conditions["where"])
    source.report_failures()
    rows: list[list[str]] = []
    for name, matches in zip(names, found, strict=True):
        lines = [[one_line(match.key), f"{match.score:.4f}"] for match in matches]
        for number, line in enumerate(lines or [["no match", ""]]):
            rows.append(["" if number else one_line(name), *line])
    document = {
        "queries": [
            {"query": name, **matches.to_dict()} for name, matches in zip(names, found, strict=True)
        ],
        "failed": [failure.to_dict() for failure in source.failed],
    }
    return Result(document | notes, table(["query", "key", "score"], rows))


def _explain(index: Any, query: str | None, matches: Matches, out: Path) -> None:
    """Plot the regions in which the best match is similar, in its file or else its thumbnail."""
    from pyimgret.explain import explain, plot_explanation
    from pyimgret.visualization.style import save

    best = next(iter(matches), None)
    if best is None or index.encoder is None:
        raise click.UsageError("--explain found no match to show, or the index has no model.")
    source, small = index.get(best.key).source, index.thumbnail(best.key)
    image: Any = None if source is None else Path(os.fsdecode(source.path))
    if image is None or not image.is_file():
        if small is None:
            raise click.UsageError(f"the image of {one_line(best.key)} no longer exists.")
        image = small.image
    save(plot_explanation(explain(index.encoder, query, image), query, image), out)


@click.command()
@INDEX
@click.option(
    "--threshold",
    default=0.97,
    type=click.FloatRange(-1, 1, min_open=True),
    help="Minimum cosine similarity of duplicates.",
)
@json_option
def duplicates(directory: Path, threshold: float) -> Result:
    """List groups of near and exact duplicates."""
    with opened(directory) as index:
        groups = index.duplicates(threshold)
    lines: list[str] = []
    for group in groups:
        lines.append("exact copies:" if group.exact else "near duplicates:")
        lines += [f"  {one_line(key)}" for key in group.keys]
    document = {"groups": [{"keys": group.keys, "exact": group.exact} for group in groups]}
    return Result(document, "\n".join([*lines, f"{len(groups):,} groups."]))
