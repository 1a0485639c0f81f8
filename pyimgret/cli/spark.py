"""``pyimgret spark …``: training and bulk encoding on Apache Spark."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pyimgret.cli.common import json_option, print_json
from pyimgret.cli.models import SETTINGS, build
from pyimgret.cli.options import Dependent, OutputFile, examples
from pyimgret.cli.sources import hidden_option, hidden_wanted, report_hidden
from pyimgret.cli.train import sizes

if TYPE_CHECKING:
    from pyimgret.spark import Arrays, Pictures, SparkOptions

Command = TypeVar("Command", bound=Callable[..., object])
KINDS = ("autoencoder", "denoising")
_BROKEN_SHOWN = 20


def _settings(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Return names and values, each given with an equals sign between them."""
    found = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            message = f"{value!r} is no setting such as spark.task.maxFailures=8."
            raise click.BadParameter(message, ctx, param)
        found[name] = text
    return found


def cluster_options(command: Command) -> Command:
    """Add what says where a job runs and with how much."""
    for option in (
        click.option("--conf", callback=_settings, multiple=True, metavar="NAME=VALUE",
                     help="A setting of Spark's own."),
        click.option("--jars", type=click.Choice(["ship", "local"]), default="ship",
                     show_default=True, help="Send the jars, or find them where they are here."),
        click.option("--off-heap", type=click.IntRange(256), default=2048, show_default=True,
                     metavar="MIB", help="Arrays of an executor, outside its heap."),
        click.option("--driver-memory", default="2g", show_default=True, help="Java heap."),
        click.option("--executor-memory", default="2g", show_default=True, help="Java heap."),
        click.option("--executor-cores", type=click.IntRange(1), default=1, show_default=True),
        click.option("--master", required=True, metavar="URL",
                     help="As spark-submit takes it: spark://host:7077, local[2], …"),
    ):  # fmt: skip
        command = option(command)
    return command


def data_options(command: Command) -> Command:
    """Add ``--images``, ``--array`` and ``--hidden``."""
    command = hidden_option(command)
    for option in (
        click.option("--array", metavar="FILE",
                     help="An IDX file (not gzipped) or .npy; the same path on every machine."),
        click.option("--images", metavar="DIR|URL",
                     help="A folder of pictures that every machine sees."),
    ):  # fmt: skip
        command = option(command)
    return command


def _data(images: str | None, array: str | None) -> Arrays | Pictures:
    from pyimgret.spark import Arrays, Pictures

    if (images is None) == (array is None):
        raise click.UsageError("give exactly one of --images DIR and --array FILE.")
    if images is not None:
        return Pictures(images, hidden=hidden_wanted())
    return Arrays(str(array))


def _options(given: dict[str, Any]) -> SparkOptions:
    from pyimgret.spark import SparkOptions

    names = ("master", "executor_cores", "executor_memory", "driver_memory", "off_heap", "jars")
    return SparkOptions(**{n: given.pop(n) for n in names}, conf=given.pop("conf"))


class _Bar:
    """Shows on a terminal how far a job is."""

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

    Both commands run spark-submit of the installed pyspark (the extra 'spark').
    """


@spark.command(
    epilog=examples(
        "pyimgret spark train --master spark://host:7077 --array /data/digits.npy --out ae.zip"
    )
)
@cluster_options
@data_options
@click.option("--model", "kind", cls=Dependent, without="start", type=click.Choice(KINDS),
              default="autoencoder", show_default=True, help="What to train.")  # fmt: skip
@click.option("--start", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              metavar="FILE", help="Go on from this model instead of making one.")  # fmt: skip
@click.option("--size", cls=Dependent, needs="images", without="start", type=click.IntRange(1),
              metavar="N", help="With --images: N x N pixels.  [default: 64]")  # fmt: skip
@click.option("--mode", cls=Dependent, needs="images", without="start",
              type=click.Choice(["L", "RGB"]),
              help="With --images: grey or colour.  [default: RGB]")  # fmt: skip
@click.option("--code-size", cls=Dependent, without="start", type=click.IntRange(1), default=30,
              show_default=True, help="Numbers in an embedding.")  # fmt: skip
@click.option(
    "--hidden-sizes", cls=Dependent, without="start", callback=sizes, metavar="N,N,…",
    help="Layers before the code: 1000,500,250.",
)  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), help="Rounds through the pictures.")
@click.option("--batch-size", type=click.IntRange(1), help="Pictures of a worker's step.")
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="Of the updater.")
@click.option("--seed", type=click.IntRange(0), help="Of weights and order.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True,
              help="How many train at a time, a core each.")  # fmt: skip
@click.option("--averaging-frequency", type=click.IntRange(1), default=5, show_default=True,
              help="Steps of a worker between two averagings.")  # fmt: skip
@click.option("--cache", type=click.IntRange(0), default=1024, show_default=True, metavar="MIB",
              help="Of an executor's heap, for data it has read.")  # fmt: skip
@click.option("--checkpoint", type=OutputFile(), metavar="FILE",
              help="Written every epoch; a run that finds it goes on from there.")  # fmt: skip
@click.option("--out", type=OutputFile(), required=True, metavar="FILE",
              help="The model, a Deeplearning4j zip.")  # fmt: skip
@json_option
def train(
    images: str | None, array: str | None, kind: str, start: Path | None, size: int | None,
    mode: str | None, workers: int, averaging_frequency: int, cache: int,
    checkpoint: Path | None, out: Path, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Train a model by parameter averaging."""
    from pyimgret.spark import train as train_on_spark

    options, data = _options(given), _data(images, array)
    model = _model(kind, start, images is not None, size or 64, mode or "RGB", given)
    train_on_spark(
        model, data, options=options, workers=workers, averaging_frequency=averaging_frequency,
        cache=cache, checkpoint=checkpoint, progress=_Bar(),
    )  # fmt: skip
    model.save(out)
    _report(model, out, as_json)


def _model(
    kind: str, start: Path | None, pictures: bool, size: int, mode: str, given: dict[str, Any]
) -> Any:
    from pyimgret.models import load
    from pyimgret.preprocessing import Preprocessor

    if start is None:
        return build(
            kind, preprocessing=Preprocessor(mode, size, size) if pictures else None, **given
        )
    model = load(start)
    for option in ("epochs", "batch_size", "learning_rate", "seed"):
        if given[option] is not None:
            model.set_params(**{SETTINGS[option][0]: given[option]})
    return model.set_params(preprocessing=model.preprocessor)


def _report(model: Any, out: Path, as_json: bool) -> None:
    told, history = model.spark_, model.history_
    broken = told["broken"]
    report_hidden(told["hidden_skipped"])
    if as_json:
        print_json({
            "model": type(model).__name__, "images": told["images"], "broken": broken,
            "embedding_size": model.embedding_size, "epochs": len(history["loss"]),
            "loss": history["loss"][-1] if history["loss"] else None,
            "seconds": sum(history["seconds"]), "out": str(out),
        })  # fmt: skip
        return
    for key in list(broken)[:_BROKEN_SHOWN]:
        click.echo(f"skipped {key}: {broken[key]}", err=True)
    if len(broken) > _BROKEN_SHOWN:
        click.echo(f"skipped {len(broken) - _BROKEN_SHOWN} more", err=True)
    click.echo(f"Trained {type(model).__name__} on {told['images']:,} pictures. Saved {out}.")


@spark.command(
    epilog=examples(
        "pyimgret spark embed --master spark://host:7077 --model ae.zip --images /data "
        "--out /data/e",
        "pyimgret index import --index i --model ae.zip /data/e",
    )
)
@cluster_options
@data_options
@click.option("--model", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              required=True, metavar="FILE", help="A saved model.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1), default=256, show_default=True,
              help="Pictures that the network sees at a time.")  # fmt: skip
@click.option("--part-rows", type=click.IntRange(1), metavar="N",
              help="Pictures of a task, and of a file.")  # fmt: skip
@click.option("--max-cores", type=click.IntRange(1), help="Of the cluster.  [default: all]")
@click.option("--strict", is_flag=True, help="A picture that cannot be read ends the run.")
@click.option("--out", required=True, metavar="DIR|URL",
              help="A new folder that every machine can write.")  # fmt: skip
@json_option
def embed(
    images: str | None, array: str | None, model: Path, out: str, batch_size: int,
    part_rows: int | None, max_cores: int | None, strict: bool, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Turn any number of images into embeddings, as Parquet."""
    from dataclasses import asdict, replace

    from pyimgret.spark import encode

    options = replace(_options(given), max_cores=max_cores)
    report = encode(
        model, _data(images, array), out, options=options, batch_size=batch_size,
        part_rows=part_rows, strict=strict, progress=_Bar(),
    )  # fmt: skip
    report_hidden(report.hidden_skipped)
    if as_json:
        print_json(asdict(report) | {"out": out})
        return
    click.echo(
        f"Wrote {report.embeddings:,} embeddings to {out} in {report.seconds:.1f} s; "
        f"{report.broken:,} could not be encoded."
    )
