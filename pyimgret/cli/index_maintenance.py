"""``pyimgret index info | check | build | publish | compact | export | import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from pyimgret.cli.common import Result, json_option
from pyimgret.cli.index_common import COLLECTION, INDEX, INDEX_OR_NONE, opened, progress_bar
from pyimgret.cli.options import Output, dependent_option

if TYPE_CHECKING:
    from pyimgret.index.search.conditions import Kind


@click.command()
@INDEX
@json_option
def info(directory: Path) -> Result:
    """Show facts about the index."""
    with opened(directory) as target:
        facts = target.info()
    lines = [f"{name.replace('_', ' '):<16} {_readable(value)}" for name, value in facts.items()]
    return Result(facts, "\n".join(lines))


@click.command()
@INDEX
@click.option("--no-model", is_flag=True, help="Do not load and verify the model.")
@click.option("--repair", is_flag=True, help="Delete caches that are damaged or orphaned.")
@json_option
def check(directory: Path, no_model: bool, repair: bool) -> Result:
    """Check database, vectors, model and caches; exits with status 1 if data is damaged."""
    with opened(directory) as target:
        report = target.check(load_model=not no_model, repair=repair)
    lines = [f"damaged: {problem}" for problem in report.problems]
    lines += [f"{'deleted' if repair else 'unused'}: {name}" for name in report.leftovers]
    lines.append("The index is intact." if report.ok else "The index is damaged.")
    document = {"ok": report.ok, "problems": report.problems, "leftovers": report.leftovers}
    return Result(document, "\n".join(lines), failed=not report.ok)


@click.command()
@INDEX
@click.option(
    "--kind",
    default="hnsw",
    type=click.Choice(["hnsw", "int8", "binary", "exact"]),
    help="What to build.",
)
@dependent_option("--connectivity", needs="kind=hnsw", default=16, type=click.IntRange(4, 128))
@dependent_option("--construction", needs="kind=hnsw", default=128, type=click.IntRange(8, 4096))
@dependent_option("--expansion", needs="kind=hnsw", default=128, type=click.IntRange(8, 4096))
@click.option("--recall", is_flag=True, help="Measure recall@10 afterwards.")
@json_option
def build(directory: Path, kind: Kind, recall: bool, **settings: int) -> Result:
    """Build search structures for a large index; searches use the graph automatically.

    hnsw is a graph for approximate search, with CONNECTIVITY edges per image, a width of
    CONSTRUCTION while building and EXPANSION while searching. int8 needs a quarter of the
    memory and is exact. binary compares Hamming distances and re-ranks the best.
    """
    with opened(directory) as target, progress_bar() as progress:
        done = target.build(kind, **settings, progress=progress)
        text = f"built {kind} over {done['count']:,} images."
        if recall:
            done |= {"recall_at_10": target.recall_check(method=kind)["recall"]}
            text += f"\nrecall@10 against exact search: {done['recall_at_10']:.4f}"
    return Result(done, text)


@click.command()
@INDEX
@click.argument("target", type=Output(folder=True))
@json_option
def publish(directory: Path, target: Path) -> Result:
    """Publish a read-only copy in TARGET, for serving or for the Java library.

    Never copy a live index by hand: its latest changes are in a log beside the database.
    """
    with opened(directory) as source:
        made, count = source.publish(target), len(source)
    text = f"published {count:,} images to {made}."
    return Result({"directory": str(made), "count": count}, text)


@click.command()
@INDEX
@json_option
def compact(directory: Path) -> Result:
    """Reclaim the space of deleted images; a graph has to be built again."""
    with opened(directory) as target:
        before, after = target.compact()
    text = f"{before:,} bytes before, {after:,} after."
    return Result({"bytes_before": before, "bytes_after": after}, text)


@click.command()
@INDEX
@click.option("--milvus", metavar="URI", help="Export to a new collection there instead of a file.")
@COLLECTION
@dependent_option(
    "--salvage", without="milvus", is_flag=True, help="Export the readable part of a damaged index."
)
@click.argument("target", type=Output(".parquet", ".npy"), required=False)
@json_option
def export(
    directory: Path, milvus: str | None, collection: str, salvage: bool, target: Path | None
) -> Result:
    """Export all images to TARGET, .parquet or .npy with .jsonl beside it, or to Milvus."""
    from pyimgret.index.milvus import MilvusIndex

    if (target is None) == (milvus is None):
        raise click.UsageError("give either a file to write, or --milvus.")
    lost = 0
    with opened(directory) as source:
        if target is None:
            with MilvusIndex.load(source, cast(str, milvus), collection) as copy:
                count = len(copy)
        elif salvage:
            count, lost = source.salvage(target)
        else:
            count = source.export(target)
    document = {"exported": count, "target": str(target or milvus)}
    text = f"exported {count:,} images to {target or milvus}."
    if salvage:
        document, text = {**document, "lost": lost}, f"{lost:,} images could not be read.\n{text}"
    return Result(document, text)


@click.command("import")
@INDEX_OR_NONE
@click.option("--milvus", metavar="URI", help="Import a SOURCE folder into a collection there.")
@COLLECTION
@dependent_option("--model", without="milvus", metavar="ZIP", help="The model of a new index.")
@click.option("--replace", is_flag=True, help="Replace images whose keys exist already.")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@json_option
def import_(
    directory: Path | None,
    milvus: str | None,
    collection: str,
    model: str | None,
    replace: bool,
    source: Path,
) -> Result:
    """Import a .parquet or .npy file, or an output folder of 'pyimgret spark embed'."""
    if milvus is not None and directory is None:
        if not source.is_dir():
            raise click.UsageError("--milvus needs an output folder of 'pyimgret spark embed'.")
        count, total = _from_spark_to_milvus(source, milvus, collection, replace)
    elif directory is not None and milvus is None:
        with opened(directory, model) as target:
            count, total = target.import_from(source, replace=replace), len(target)
    else:
        raise click.UsageError("give either --index or --milvus.")
    text = f"imported {count:,}; the index has {total:,} images."
    return Result({"imported": count, "count": total}, text)


def _from_spark_to_milvus(
    folder: Path, uri: str, collection: str, replace: bool
) -> tuple[int, int]:
    from pyimgret.index.ingest.parquet import dimension, summary
    from pyimgret.index.milvus import MilvusIndex
    from pyimgret.spark import import_embeddings

    facts = {"model_checksum": summary(folder).get("model_checksum") or ""}
    if MilvusIndex.exists(uri, collection):
        with MilvusIndex(uri, collection) as index:
            return import_embeddings(index, folder, replace=replace), len(index)
    new = MilvusIndex.create(uri, collection, dimension=dimension(folder), **facts)
    with new, new.dropped_on_failure():
        return import_embeddings(new, folder, replace=replace), len(new)


def _readable(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_readable(item)}" for name, item in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


COMMANDS = (info, check, build, publish, compact, export, import_)
"""In the order of ``--help``."""
