"""``pyimgret evaluate --noise``: compare models under increasing noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.common import print_json, table
from pyimgret.cli.sources import ImageSource
from pyimgret.exceptions import InvalidArgumentError

if TYPE_CHECKING:
    from pyimgret.evaluation import NoiseReport


def evaluate_noise(
    models: tuple[Path, ...],
    source: ImageSource,
    queries: int,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Evaluate models on damaged queries, print the table, and plot it to ``out``, if given."""
    import numpy as np

    from pyimgret import load
    from pyimgret.evaluation import noise_report

    loaded = {path.stem: load(path) for path in models}
    X, labels = _with_labels(source, next(iter(loaded.values())).preprocessor)
    report = noise_report(loaded, X, np.asarray(labels), queries=queries, random_state=seed)
    source.report_failures()
    if out is not None:
        from pyimgret.visualization import plot_noise
        from pyimgret.visualization.style import save

        save(plot_noise(report), out)
    if as_json:
        print_json(report.to_dict() | ({"out": str(out)} if out else {}))
    else:
        click.echo(text(report))


def _with_labels(source: ImageSource, preprocessor: Any) -> tuple[Any, list[Any]]:
    import numpy as np

    pixels, labels = [], []
    for batch in source.batches(preprocessor):
        pixels.append(batch.pixels)
        labels += batch.labels
    if not labels:
        raise InvalidArgumentError("no image could be read; see the reasons above.")
    return np.concatenate(pixels), labels


def text(report: NoiseReport) -> str:
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
