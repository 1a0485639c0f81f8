"""``pyimgret spark …``: training and bulk encoding on Apache Spark."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.common import Result, first_of, json_option
from pyimgret.cli.models import MODEL_OUT, SETTINGS, build, model_option, training_options
from pyimgret.cli.options import NATURAL, POSITIVE, Output, examples, stacked
from pyimgret.cli.sources import hidden_note, hidden_option, include_hidden, strict_option

if TYPE_CHECKING:
    from pyimgret.spark import Arrays, Images, SparkOptions

KINDS = ("autoencoder", "denoising")
MODEL_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _settings(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Parse NAME=VALUE settings."""
    found = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            message = f"{value!r} is not a setting such as spark.task.maxFailures=8."
            raise click.BadParameter(message, ctx, param)
        found[name] = text
    return found


cluster_options = stacked(
    click.option(
        "--master",
        required=True,
        metavar="URL",
        help="The master for spark-submit: spark://host:7077, local[2], …",
    ),
    click.option("--executor-cores", type=POSITIVE, default=1),
    click.option("--executor-memory", default="2g", help="Java heap."),
    click.option("--driver-memory", default="2g", help="Java heap."),
    click.option(
        "--off-heap",
        type=click.IntRange(256),
        default=2048,
        metavar="MIB",
        help="Memory for arrays of an executor, outside its heap.",
    ),
    click.option(
        "--jars",
        type=click.Choice(["ship", "local"]),
        default="ship",
        help="Send the jars, or use local paths on every machine.",
    ),
    click.option(
        "--conf",
        callback=_settings,
        multiple=True,
        metavar="NAME=VALUE",
        help="A Spark setting; may be repeated.",
    ),
)
data_options = stacked(
    click.option(
        "--images", metavar="DIR|URL", help="A folder of images, visible to every machine."
    ),
    click.option(
        "--array",
        metavar="FILE",
        help="An IDX (not gzipped) or .npy file; the same path on every machine.",
    ),
    hidden_option,
)


def _data(images: str | None, array: str | None) -> Arrays | Images:
    from pyimgret.spark import Arrays, Images

    if (images is None) == (array is None):
        raise click.UsageError("give exactly one of --images DIR and --array FILE.")
    if images is not None:
        return Images(images, hidden=include_hidden())
    return Arrays(str(array))


def _options(given: dict[str, Any]) -> SparkOptions:
    from pyimgret.spark import SparkOptions

    names = ("master", "executor_cores", "executor_memory", "driver_memory", "off_heap", "jars")
    return SparkOptions(**{n: given.pop(n) for n in names}, conf=given.pop("conf"))


class _Bar:
    """Shows the progress of a job on a terminal."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()

    def __call__(self, event: dict[str, Any]) -> None:
        text = _TEXTS.get(event["event"])
        if text and (self._live or event["event"] == "epoch"):
            line = text.format(**event)
            click.echo(f"\r{line:<70}" if self._live else line, nl=not self._live, err=True)
        if self._live and event["event"] in ("finished", "failed"):
            click.echo(err=True)


_TEXTS = {
    "round": "epoch {epoch}, round {round} of {rounds}, loss {score:.4f}",
    "epoch": "epoch {epoch} of {epochs}: loss {loss:.4f}, {seconds:.1f} s, {executors} executors",
    "rows": "{done:,} of {of:,} encoded",
}


@click.group()
def spark() -> None:
    """Train and encode on Apache Spark.

    Both commands run the spark-submit of the installed pyspark (extra 'spark').
    """


@spark.command(
    epilog=examples(
        "pyimgret spark train --master spark://host:7077 --array /data/digits.npy --out ae.zip"
    )
)
@cluster_options
@data_options
@model_option(KINDS, without="start")
@click.option(
    "--start",
    type=MODEL_FILE,
    metavar="FILE",
    help="Continue training this model instead of a new one.",
)
@training_options(without="start")
@click.option("--workers", type=POSITIVE, default=2, help="Number of workers, one core each.")
@click.option(
    "--averaging-frequency", type=POSITIVE, default=5, help="Training steps between two averagings."
)
@click.option(
    "--cache", type=NATURAL, default=1024, metavar="MIB", help="Executor heap used to cache data."
)
@click.option(
    "--checkpoint",
    type=Output(),
    metavar="FILE",
    help="Saved every epoch; a run resumes from an existing file.",
)
@MODEL_OUT
@json_option
def train(
    images: str | None, array: str | None, kind: str, start: Path | None, out: Path, **given: Any
) -> Result:
    """Train a model by parameter averaging."""
    from pyimgret.models import load
    from pyimgret.spark import train as train_on_spark

    names = ("workers", "averaging_frequency", "cache", "checkpoint")
    job = {name: given.pop(name) for name in names}
    options, data = _options(given), _data(images, array)
    if start is None:
        model = build(kind, has_images=images is not None, **given)
    else:
        model = load(start)
        for option in ("epochs", "batch_size", "learning_rate", "seed"):
            if given[option] is not None:
                model.set_params(**{SETTINGS[option][0]: given[option]})
        model.set_params(preprocessing=model.preprocessor)
    train_on_spark(model, data, options=options, progress=_Bar(), **job)
    model.save(out)
    summary, history = model.spark_, model.history_
    document = {
        "model": type(model).__name__,
        "images": summary["images"],
        "broken": summary["broken"],
        "embedding_size": model.embedding_size,
        "epochs": len(history["loss"]),
        "loss": history["loss"][-1] if history["loss"] else None,
        "seconds": sum(history["seconds"]),
        "out": str(out),
    }
    text = f"Trained {document['model']} on {document['images']:,} images. Saved {out}."
    notes = hidden_note(summary["hidden_skipped"])
    notes += first_of([f"skipped {key}: {reason}" for key, reason in summary["broken"].items()])
    return Result(document, text, notes)


@spark.command(
    epilog=examples(
        "pyimgret spark embed --master spark://host:7077 --model ae.zip --images /data "
        "--out /data/e",
        "pyimgret index import --index i --model ae.zip /data/e",
    )
)
@cluster_options
@data_options
@click.option("--model", type=MODEL_FILE, required=True, metavar="FILE", help="A saved model.")
@click.option("--batch-size", type=POSITIVE, default=256, help="Number of images encoded together.")
@click.option("--part-rows", type=POSITIVE, metavar="N", help="Images per task and output file.")
@click.option("--max-cores", type=POSITIVE, help="Maximum number of cores to use.  [default: all]")
@strict_option
@click.option(
    "--out", required=True, metavar="DIR|URL", help="A new folder, writable for every machine."
)
@json_option
def embed(
    images: str | None,
    array: str | None,
    model: Path,
    out: str,
    batch_size: int,
    part_rows: int | None,
    max_cores: int | None,
    strict: bool,
    **given: Any,
) -> Result:
    """Encode any number of images and write the embeddings as Parquet."""
    from dataclasses import asdict, replace

    from pyimgret.spark import encode

    report = encode(
        model,
        _data(images, array),
        out,
        options=replace(_options(given), max_cores=max_cores),
        batch_size=batch_size,
        part_rows=part_rows,
        strict=strict,
        progress=_Bar(),
    )
    text = (
        f"Wrote {report.embeddings:,} embeddings to {out} in {report.seconds:.1f} s; "
        f"{report.broken:,} could not be encoded."
    )
    return Result(asdict(report) | {"out": out}, text, hidden_note(report.hidden_skipped))
