"""The curves of a `NoiseReport`; public through `pyimgret.visualization`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyimgret.evaluation import UNITS, NoiseReport
from pyimgret.visualization import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_noise(
    report: NoiseReport, *, title: str | None = "Precision of the ten nearest, as noise grows"
) -> Figure:
    """Plot precision at 10 over the noise level: one panel per kind, one curve per model.

    A hollow dot marks a damage that no model was trained with.

    Parameters
    ----------
    report : NoiseReport
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    kinds = list(dict.fromkeys(row.kind for row in report.rows))
    columns = min(3, len(kinds))
    lines = -(-(len(kinds) + 1) // columns)
    top = 0.4 if title else 0
    figure = style.new_figure(3.7 * columns, 2.9 * lines + top)
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for number, (panel, kind) in enumerate(zip(axes, kinds, strict=False)):
        _panel(panel, report, kind)
        if number % columns == 0:
            panel.set_ylabel("P@10", fontsize=9, color=style.INK)
    for panel in axes[len(kinds) :]:
        panel.set_axis_off()
    handles, names = axes[0].get_legend_handles_labels()
    place = axes[len(kinds)] if len(axes) > len(kinds) else axes[-1]
    hollow = axes[0].scatter([], [], s=22, c="white", edgecolors=style.MUTED)
    place.legend(
        [*handles, hollow],
        [*names, "no model was trained with it"],
        loc="center left",
        frameon=False,
        labelcolor=style.INK,
        labelspacing=0.7,
    )
    figure.set_layout_engine("tight", rect=(0, 0, 1, 1 - top / figure.get_figheight()), h_pad=1.6)
    style.headline(figure, title, 0.12)
    return figure


def _panel(axes: Axes, report: NoiseReport, kind: str) -> None:
    for name, colour in zip(report.dimensions, style.CLASS_COLOURS, strict=False):
        rows = [row for row in report.rows if row.kind == kind and row.model == name]
        levels = [row.level for row in rows]
        precision = [row.precision_at_10 for row in rows]
        axes.plot(levels, precision, color=colour, linewidth=1.6, label=name)
        fills = ["white" if report.unseen(kind, level) else colour for level in levels]
        axes.scatter(levels, precision, s=22, c=fills, edgecolors=colour, zorder=3)
    style.plain_axes(axes)
    axes.set_title(kind, fontsize=10, color=style.INK, loc="left")
    axes.set_xlabel(UNITS[kind], fontsize=8, color=style.MUTED)
