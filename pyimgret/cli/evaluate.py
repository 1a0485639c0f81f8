"""``pyimgret evaluate``: precision, recall and mAP of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.common import Result, json_option, table
from pyimgret.cli.embed import encode_all
from pyimgret.cli.options import NATURAL, PATH, POSITIVE, dependent_option, examples, figure_option
from pyimgret.cli.pretrained import Choice, pretrained_options
from pyimgret.cli.sources import (
    ImageSource,
    labels_option,
    open_images,
    source_options,
    strict_option,
)
from pyimgret.exceptions import InvalidArgumentError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pyimgret.evaluation import NoiseReport, RetrievalReport


@click.command(
    epilog=examples(
        "pyimgret evaluate --model ae.zip --images DIR",
        "pyimgret evaluate --pretrained mobilenet_v2 --images DIR --flip --augment-database 10",
        "pyimgret evaluate --model ae.zip --idx IMAGES --labels LABELS --queries 2000 --json",
        "pyimgret evaluate --noise --model pca.zip --model ae.zip --digits --out noise.png",
    )
)
@click.option(
    "--model",
    "models",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="A saved model; may be repeated with --noise.",
)
@pretrained_options
@dependent_option(
    "--augment-database",
    "augment",
    without="noise",
    type=NATURAL,
    default=0,
    metavar="K",
    help="Replace each vector, and each query, by the mean of itself and its K nearest.",
)
@source_options
@labels_option
@click.option(
    "--queries",
    type=POSITIVE,
    metavar="N",
    help="Use N random images as queries and the others as the database. "
    "[default: each image against all others]",
)
@dependent_option(
    "--seed",
    needs="queries|noise",
    type=NATURAL,
    default=0,
    help="Seed of the random choice of queries.",
)
@click.option("--noise", is_flag=True, help="Compare models and raw pixels as noise grows.")
@figure_option(
    "--out", needs="noise", help="With --noise: file for the curves (.png, .svg, .pdf, …)."
)
@dependent_option(
    "--per-class", without="noise", is_flag=True, help="Also show the metrics of each class."
)
@strict_option
@json_option
def evaluate(
    models: tuple[Path, ...],
    augment: int,
    queries: int | None,
    seed: int,
    noise: bool,
    out: Path | None,
    per_class: bool,
    strict: bool,
    **options: Any,
) -> Result:
    """Evaluate a model on images of known classes.

    A match is correct if it has the query's class. With --images the class is the name of
    the folder.
    """
    choice = Choice.from_options(options)
    if not models and (noise or choice.pretrained is None):
        raise click.UsageError("no model was chosen; give --model FILE, or --pretrained.")
    if options["idx"] is not None and options["labels"] is None:
        raise click.UsageError("--idx needs --labels FILE for the classes of the images.")
    if noise and choice.pretrained is not None:
        raise click.UsageError("--pretrained cannot be used with --noise.")
    if len(models) > 1 and not noise:
        raise click.UsageError("several --model can only be given with --noise.")
    source = open_images(**options, strict=strict)
    if noise:
        return _evaluate_noise(models, source, queries or 1000, seed, out)
    keys, names, vectors = encode_all(choice.encoder(models[0] if models else None), source)
    if choice.whiten:
        from pyimgret.evaluation import whitening

        W, b = whitening(vectors, choice.whiten)  # unsupervised: labels are not used
        vectors = vectors @ W + b
    report = _evaluate(source, keys, names, vectors, queries, seed, augment)
    source.report_failures()
    document = report.to_dict() | {"failed": [failure.to_dict() for failure in source.failed]}
    if per_class:
        document["per_class"] = report.per_class
    return Result(document, _text(report, per_class))


def _evaluate(
    source: ImageSource,
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
    reason = "it is not in a class folder."
    source.failed += [
        ImageFailure(key, reason) for key, has in zip(keys, classed, strict=True) if not has
    ]
    labels, vectors = np.array([n for n in names if n != ""]), vectors[classed]
    if queries is None:
        return retrieval_report(augment_database(vectors, augment), labels)
    if queries >= len(vectors):
        raise InvalidArgumentError(
            f"--queries {queries} of {len(vectors)} images leaves no images for the database."
        )
    order = np.random.default_rng(seed).permutation(len(vectors))
    query_rows, database_rows = np.sort(order[:queries]), np.sort(order[queries:])
    database = augment_database(vectors[database_rows], augment)
    query_vectors = expand_queries(vectors[query_rows], vectors[database_rows], augment)
    return retrieval_report(
        database, labels[database_rows], queries=query_vectors, query_labels=labels[query_rows]
    )


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


def _evaluate_noise(
    models: tuple[Path, ...], source: ImageSource, queries: int, seed: int, out: Path | None
) -> Result:
    """Evaluate models on damaged queries; plot the report to ``out``, if given."""
    import numpy as np

    from pyimgret import load
    from pyimgret.evaluation import noise_report

    loaded = {path.stem: load(path) for path in models}
    _, labels, X = source.read(next(iter(loaded.values())).preprocessor)
    report = noise_report(loaded, X, np.asarray(labels), queries=queries, random_state=seed)
    source.report_failures()
    if out is not None:
        from pyimgret.visualization import plot_noise
        from pyimgret.visualization.style import save

        save(plot_noise(report), out)
    return Result(report.to_dict() | ({"out": str(out)} if out else {}), noise_table(report))


def noise_table(report: NoiseReport) -> str:
    """Return the report as a table: P@10 and mAP of each model, one line per level."""
    names = list(report.dimensions)
    cells = {
        (row.kind, row.level, row.model): f"{row.precision_at_10:.3f} {row.map:.3f}"
        for row in report.rows
    }
    steps = dict.fromkeys((row.kind, row.level) for row in report.rows)
    lines = []
    for number, (kind, level) in enumerate(steps):
        if level == 0 and number:
            continue
        mark = " *" if report.unseen(kind, level) else ""
        label = f"{kind} {level:g}{mark}" if level else "clean"
        lines.append([label, *(cells[kind, level, name] for name in names)])
    lines.append(["numbers", *(str(report.dimensions[name]) for name in names)])
    lines.append(["ms per query", *(f"{report.milliseconds[name]:.2f}" for name in names)])
    note = (
        f"P@10 and mAP of {report.n_queries:,} damaged queries against {report.n_database:,} clean "
        "images. *: no model was trained with this kind and level."
    )
    return table(["", *names], lines) + "\n\n" + note
