"""``pyimgret evaluate``: precision, recall and mAP of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.common import json_option, print_json, table
from pyimgret.cli.embed import encode_all
from pyimgret.cli.noise import evaluate_noise
from pyimgret.cli.options import Dependent, FigureFile, examples
from pyimgret.cli.pretrained import Choice, pretrained_options
from pyimgret.cli.sources import Pictures, labels_option, open_pictures, source_options
from pyimgret.exceptions import InvalidArgumentError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pyimgret.evaluation import RetrievalReport


@click.command(
    epilog=examples(
        "pyimgret evaluate --model ae.zip --images DIR",
        "pyimgret evaluate --pretrained mobilenet_v2 --images DIR --flip --augment-database 10",
        "pyimgret evaluate --model ae.zip --idx IMAGES --labels LABELS --queries 2000 --json",
        "pyimgret evaluate --noise --model pca.zip --model ae.zip --digits --out noise.png",
    )
)
@click.option("--model", "models", type=click.Path(path_type=Path), multiple=True, metavar="FILE",
              help="With --noise again and again.")  # fmt: skip
@pretrained_options
@click.option(
    "--augment-database",
    "augment",
    cls=Dependent,
    without="noise",
    type=click.IntRange(0),
    default=0,
    metavar="K",
    help="Replace each vector by the mean of itself and its K nearest, and each query likewise.",
)
@source_options
@labels_option
@click.option(
    "--queries",
    type=click.IntRange(1),
    metavar="N",
    help="N pictures, drawn at random, are the queries, and the others the database. "
    "[default: every picture against all others]",
)
@click.option(
    "--seed",
    cls=Dependent,
    needs="queries|noise",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of the drawing of queries.",
)
@click.option("--noise", is_flag=True, help="Compare models and raw pixels as noise grows.")
@click.option("--out", cls=Dependent, needs="noise", type=FigureFile(), metavar="FILE",
              help="With --noise: the curves, .png, .svg, .pdf, ….")  # fmt: skip
@click.option("--per-class", cls=Dependent, without="noise", is_flag=True,
              help="Also the figures of each class.")  # fmt: skip
@click.option("--strict", is_flag=True, help="A picture that cannot be read ends the run.")
@json_option
def evaluate(
    models: tuple[Path, ...], augment: int, digits: bool, images: Path | None, idx: Path | None,
    labels: Path | None, queries: int | None, seed: int, noise: bool, out: Path | None,
    per_class: bool, strict: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Judge a model by images whose classes are known.

    A match is right when it has the query's class. For --images the class is the name of
    the folder.
    """
    choice = Choice.take(options)
    if not models and (noise or choice.pretrained is None):
        raise click.UsageError("which network? Give --model FILE, or --pretrained mobilenet_v2.")
    if idx is not None and labels is None:
        raise click.UsageError("--idx needs --labels FILE: which class is each image?")
    if noise and choice.pretrained is not None:
        raise click.UsageError("--pretrained does nothing with --noise.")
    if len(models) > 1 and not noise:
        raise click.UsageError("several --model belong to --noise.")
    pictures = open_pictures(digits, images, idx, labels=labels, strict=strict)
    if noise:
        evaluate_noise(models, pictures, queries or 1000, seed, out, as_json)
        return
    keys, names, vectors = encode_all(choice.encoder(models[0] if models else None), pictures)
    if choice.whiten:
        vectors = _whitened(vectors, choice.whiten)
    report = _judge(pictures, keys, names, vectors, queries, seed, augment)
    pictures.report_skipped()
    if as_json:
        document: dict[str, Any] = report.to_dict()
        document["skipped"] = [broken.to_dict() for broken in pictures.skipped]
        print_json(document | ({"per_class": report.per_class} if per_class else {}))
    else:
        click.echo(_text(report, per_class))


def _judge(
    pictures: Pictures,
    keys: list[str],
    names: list[Any],
    vectors: npt.NDArray[np.float32],
    queries: int | None,
    seed: int,
    augment: int,
) -> RetrievalReport:
    import numpy as np

    from pyimgret.evaluation import augment_database, expand_queries, retrieval_report
    from pyimgret.files.failures import ImageFailure

    classed = np.array([name != "" for name in names], dtype=bool)
    reason = "it is in no class folder."
    pictures.skipped += [
        ImageFailure(key, reason) for key, has in zip(keys, classed, strict=True) if not has
    ]
    labels, vectors = np.array([n for n in names if n != ""]), vectors[classed]
    if queries is None:
        return retrieval_report(augment_database(vectors, augment), labels)
    if queries >= len(vectors):
        raise InvalidArgumentError(
            f"--queries {queries} of {len(vectors)} pictures leaves no database."
        )
    order = np.random.default_rng(seed).permutation(len(vectors))
    asked, kept = np.sort(order[:queries]), np.sort(order[queries:])
    database = augment_database(vectors[kept], augment)
    query_vectors = expand_queries(vectors[asked], vectors[kept], augment)
    return retrieval_report(
        database, labels[kept], queries=query_vectors, query_labels=labels[asked]
    )


def _whitened(vectors: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """Whiten by what the collection itself tells; its labels are not used."""
    from pyimgret.evaluation import whitening

    W, b = whitening(vectors, size)
    return vectors @ W + b


def _text(report: RetrievalReport, per_class: bool) -> str:
    lines = [str(report)]
    if per_class:
        columns = ["precision_at_1", "precision_at_10", "map"]
        rows = [
            [str(name), f"{figures['n_queries']:.0f}", *(f"{figures[c]:.3f}" for c in columns)]
            for name, figures in report.per_class.items()
        ]
        lines += ["", table(["class", "queries", "P@1", "P@10", "mAP"], rows)]
    return "\n".join(lines)
