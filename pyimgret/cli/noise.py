"""``pyimgret evaluate --noise``: compare models under increasing noise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyimgret.cli.common import Result, table
from pyimgret.cli.sources import ImageSource

if TYPE_CHECKING:
    from pyimgret.evaluation import NoiseReport


def evaluate_noise(
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
    return Result(report.to_dict() | ({"out": str(out)} if out else {}), text(report))


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
