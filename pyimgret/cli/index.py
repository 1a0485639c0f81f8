"""``pyimgret index …``: create, update and maintain an index."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli import index_maintenance
from pyimgret.cli.common import Result, first_of, json_option, wants_json
from pyimgret.cli.index_common import INDEX, MODEL, one_line, opened, progress_bar
from pyimgret.cli.options import dependent_option, stacked
from pyimgret.cli.pretrained import Choice, pretrained_options
from pyimgret.cli.sources import (
    ExistingPath,
    hidden_note,
    hidden_option,
    include_hidden,
    strict_option,
)

if TYPE_CHECKING:
    from pyimgret.index import Index, SyncReport

_WOULD = {
    "added": "would add",
    "updated": "would update",
    "moved": "would move",
    "touched": "would touch",
    "deleted": "would delete",
}
"""The words of a report in a dry run."""


@click.group()
def index() -> None:
    """Create, update and maintain an index."""


_ingest_options = stacked(
    INDEX,
    MODEL,
    pretrained_options,
    click.option("--prefix", default="", show_default=False, help="Prefix for the keys."),
    strict_option,
    hidden_option,
)


@index.command()
@_ingest_options
@click.argument("paths", nargs=-1, required=True, type=ExistingPath())
@json_option
def add(
    directory: Path,
    model: str | None,
    prefix: str,
    strict: bool,
    paths: tuple[str, ...],
    **options: Any,
) -> Result:
    """Add images: files, or folders with their subfolders.

    The key of an image is its path relative to the given folder. An image that is in the
    index already is encoded again only if the file has changed.
    """
    from pyimgret.index import SyncReport

    total = SyncReport()
    with opened(directory, model, Choice.from_options(options), paths) as target:
        with _counting(target):
            for path in paths:
                _merge(total, _add_path(target, path, prefix, strict))
        return _result(total, len(target))


@index.command()
@_ingest_options
@click.option("--dry-run", is_flag=True, help="Only show the changes.")
@dependent_option(
    "-v", "--verbose", without="as_json", is_flag=True, help="List every changed image."
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@json_option
def sync(
    directory: Path,
    model: str | None,
    dry_run: bool,
    verbose: bool,
    folder: str,
    prefix: str,
    strict: bool,
    **options: Any,
) -> Result:
    """Synchronize the index with a folder: add, update, rename, delete.

    It can be interrupted at any time; the next run resumes there.
    """
    choice = Choice.from_options(options)
    with (
        opened(directory, model, choice, (folder,), keep=not dry_run) as target,
        _counting(target),
        progress_bar() as progress,
    ):
        report = target.sync(
            folder,
            prefix=prefix,
            strict=strict,
            hidden=include_hidden(),
            dry_run=dry_run,
            progress=progress,
            on_change=_print_change if (verbose or dry_run) and not wants_json() else None,
        )
        return _result(report, len(target), dry_run=dry_run)


@index.command()
@INDEX
@click.argument("keys", nargs=-1, required=True)
@json_option
def delete(directory: Path, keys: tuple[str, ...]) -> Result:
    """Delete images from the index by their keys; the files are not deleted."""
    with opened(directory) as target:
        deleted, left = target.delete(keys), len(target)
    text = f"deleted {deleted}; the index now has {left} images."
    return Result({"deleted": deleted, "count": left}, text)


def _add_path(target: Index, path: str, prefix: str, strict: bool) -> SyncReport:
    """Add a folder, or one file."""
    from pyimgret.index import SyncReport, key_from_path

    if Path(path).is_dir():
        with progress_bar() as progress:
            return target.sync(
                path,
                prefix=prefix,
                strict=strict,
                hidden=include_hidden(),
                delete=False,
                progress=progress,
            )
    key = prefix + key_from_path(os.fsencode(path))
    done = target.add([path], keys=[key], replace=True, strict=strict)
    return SyncReport(added=len(done.added), failed=done.failed)


def _merge(total: SyncReport, part: SyncReport) -> None:
    for field in fields(total):
        setattr(total, field.name, getattr(total, field.name) + getattr(part, field.name))


@contextmanager
def _counting(target: Index) -> Iterator[None]:
    """Report the state of the index on Ctrl-C."""
    before = len(target)
    try:
        yield
    except KeyboardInterrupt:
        count = len(target)
        raise KeyboardInterrupt(
            f"{max(count - before, 0):,} new images were added, the index now has {count:,}; the "
            "same command resumes there"
        ) from None


def _result(report: SyncReport, count: int, *, dry_run: bool = False) -> Result:
    document = {**report.to_dict(), "count": count, **({"dry_run": True} if dry_run else {})}
    apart = ("failed", "hidden_skipped", "hidden_kept")
    facts = {n: c for n, c in report.to_dict().items() if n not in apart and (c or n == "added")}
    words = _WOULD if dry_run else {}
    text = ", ".join(f"{words.get(name, name)} {number:,}" for name, number in facts.items())
    notes = first_of([f"not added: {one_line(f.key)}: {f.reason}" for f in report.failed])
    notes += hidden_note(report.hidden_skipped)
    if report.hidden_kept:
        notes.append(
            f"{report.hidden_kept:,} images of hidden files in the index were left unchanged; "
            "--hidden synchronizes them, 'pyimgret index delete' removes them."
        )
    return Result(document, f"{text}.\nThe index has {count:,} images.", notes)


def _print_change(kind: str, key: str) -> None:
    if kind != "fail":
        click.echo(f"{kind} {one_line(key)}")


for _command in index_maintenance.COMMANDS:
    index.add_command(_command)
