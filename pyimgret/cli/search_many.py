"""``pyimgret search`` with several images, or folders of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.common import print_json, table
from pyimgret.cli.embed import encode_all
from pyimgret.cli.index_common import one_line, opened, unknown_fields
from pyimgret.cli.sources import ImageSource, open_folder

if TYPE_CHECKING:
    from pyimgret.index import Matches


def search_many(
    directory: Path, queries: Sequence[str], k: int, conditions: dict[str, Any], *, as_json: bool
) -> None:
    """Search for every image, encoded in batches, and print the matches of each.

    An image that cannot be read is reported and skipped.
    """
    from pyimgret.datasets import ImageFiles

    source = ImageSource(ImageFiles(_files(queries)))
    with opened(directory) as index:
        names, _, vectors = encode_all(index.encoder, source)
        found = index.search_batch(vectors, k, **conditions) if names else []
        notes = unknown_fields(index, conditions["where"])
    source.report_failures()
    if as_json:
        print_json(_document(names, found, source) | notes)
        return
    rows = [row for name, matches in zip(names, found, strict=True) for row in _rows(name, matches)]
    click.echo(table(["query", "key", "score"], rows))


def _files(queries: Sequence[str]) -> list[Path]:
    """Return the files, and the files in the folders."""
    files: list[Path] = []
    for query in map(Path, queries):
        files += [file.path for file in open_folder(query).files] if query.is_dir() else [query]
    return files


def _rows(name: str, matches: Matches) -> list[list[str]]:
    if not matches:
        return [[one_line(name), "no match", ""]]
    names = [one_line(name), *[""] * (len(matches) - 1)]
    return [
        [first, one_line(match.key), f"{match.score:.4f}"]
        for first, match in zip(names, matches, strict=True)
    ]


def _document(names: list[str], found: list[Matches], source: ImageSource) -> dict[str, Any]:
    pairs = zip(names, found, strict=True)
    return {
        "queries": [{"query": name, **matches.to_dict()} for name, matches in pairs],
        "failed": [failure.to_dict() for failure in source.failed],
    }
