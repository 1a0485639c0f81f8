"""Figures of matches, weights and reconstructions; public through `pyimgret.visualization`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pyimgret.exceptions import DimensionMismatchError, InvalidArgumentError
from pyimgret.visualization import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

Images: TypeAlias = Sequence[Any] | npt.NDArray[np.uint8]
Labels: TypeAlias = Sequence[Any] | npt.NDArray[Any]


def plot_matches(
    queries: Images,
    matches: Images | Sequence[Images],
    *,
    scores: Sequence[Sequence[float]] | npt.NDArray[Any] | None = None,
    query_labels: Labels | None = None,
    match_labels: Labels | Sequence[Labels] | None = None,
    title: str | None = None,
) -> Figure:
    """Plot queries with their matches, nearest first.

    Parameters
    ----------
    queries : sequence of images, length n
        uint8 arrays, paths, bytes or PIL images.
    matches : sequence of sequences of images, n x k
    scores : sequence of sequences of float, n x k, optional
        Shown below each match.
    query_labels, match_labels : sequences, n and n x k, optional
        Matches of the query's class get a green frame, others a red one.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    if len(queries) != len(matches) or not len(queries):
        raise DimensionMismatchError(f"{len(queries)} queries with {len(matches)} lists of matches")
    labelled = query_labels is not None and match_labels is not None
    figure, grid = _match_grid(len(queries), max(map(len, matches)), scores is not None, title)
    for row, (query, found) in enumerate(zip(queries, matches, strict=True)):
        axes = figure.add_subplot(grid[row, 0])
        style.show(axes, query, frame=style.INK, width=1.8, square=True)
        if row == 0:
            axes.set_title("query", fontsize=9, color=style.INK, pad=5)
        for rank, match in enumerate(found):
            axes = figure.add_subplot(grid[row, rank + 2])
            frame, width = style.GRID, 0.8
            if labelled and query_labels[row] == match_labels[row][rank]:  # type: ignore[index]
                frame, width = style.CORRECT, 1.8
            elif labelled:
                frame, width = style.INCORRECT, 2.6
            style.show(axes, match, frame=frame, width=width, square=True)
            if scores is not None:
                label = f"{scores[row][rank]:.3f}"
                axes.set_xlabel(label, fontsize=8, color=style.MUTED, labelpad=3)
            if row == 0:
                axes.set_title(str(rank + 1), fontsize=9, color=style.MUTED, pad=5)
    if labelled:
        _frame_legend(figure)
    return figure


def _match_grid(n: int, k: int, scored: bool, title: str | None) -> tuple[Figure, GridSpec]:
    """Return a figure with a column for the queries, a gap, and `k` columns of matches."""
    cell, side, header, beneath = 0.95, 0.15, 0.62 if title else 0.3, 0.2 if scored else 0.06
    width = (k + 1.35) * cell + 2 * side
    height = n * (cell + beneath) + header + 0.3
    figure = style.new_figure(width, height)
    grid = figure.add_gridspec(
        n,
        k + 2,
        width_ratios=[1, 0.22, *[1] * k],
        wspace=0.1,
        hspace=(beneath + 0.02) / cell,
        left=side / width,
        right=1 - side / width,
        top=1 - header / height,
        bottom=(beneath + 0.25) / height,
    )
    style.headline(figure, title, side)
    return figure, grid


def _frame_legend(figure: Figure) -> None:
    """Add a legend for the colours of the frames."""
    right, bottom = 1 - 0.15 / figure.get_figwidth(), 0.08 / figure.get_figheight()
    offset = 1.15 / figure.get_figwidth()
    for x, text, colour in (
        (right, "red: another class", style.INCORRECT),
        (right - offset, "green: same class", style.CORRECT),
    ):
        figure.text(x, bottom, text, color=colour, va="bottom", ha="right", fontsize=8)


def plot_weights(
    weights: npt.ArrayLike,
    *,
    shape: tuple[int, ...] | None = None,
    n: int = 100,
    scale: Literal["tile", "global"] = "tile",
    title: str | None = None,
) -> Figure:
    """Plot the weights of each unit as a tile: white is positive, black is negative.

    Parameters
    ----------
    weights : array-like, (inputs, units) or (filters, 1 or 3, h, w)
        Of a dense or a convolution layer, in Deeplearning4j's layout.
    shape : (h, w) or (h, w, 3), optional
        Input shape of a dense layer; by default a grey square.
    n : int
        Maximum number of tiles: the units with the largest weights, in order.
    scale : {"tile", "global"}
        Grey is zero; black and white are the largest weight of each tile, or of all.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Hinton, Salakhutdinov (2006), Reducing the dimensionality of data with neural networks.
    """
    if scale not in ("tile", "global"):
        raise InvalidArgumentError(f"scale={scale!r} is unknown; choose 'tile' or 'global'.")
    tiles = style.weight_tiles(weights, shape)
    strength = np.linalg.norm(tiles.reshape(len(tiles), -1), axis=1)
    tiles = tiles[np.sort(np.argsort(-strength, kind="stable")[:n])]
    axis = tuple(range(1, tiles.ndim)) if scale == "tile" else None
    largest = np.abs(tiles).max(axis=axis, keepdims=True)
    shades = 0.5 + tiles / np.where(largest > 0, largest, 1) / 2
    gap = max(1, round(tiles.shape[1] / 14))
    drawn = style.mosaic(shades, int(np.ceil(np.sqrt(len(tiles)))), gap=gap, fill=1.0)
    width, top = 6.4, 0.42 if title else 0.0
    height = width * drawn.shape[0] / drawn.shape[1] + top
    figure = style.new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1 - top / height))
    axes.imshow(drawn, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    style.headline(figure, title, 0.06)
    return figure


def plot_reconstructions(
    images: npt.NDArray[np.uint8] | Sequence[Any],
    reconstructions: Mapping[str, npt.NDArray[Any]],
    *,
    errors: Mapping[str, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Plot images with their reconstructions by several models.

    Parameters
    ----------
    images : sequence of images, length n
    reconstructions : dict of name to array (n, h, w[, 3])
        One row per model: uint8, or floats in 0..1 (clipped).
    errors : dict of name to float, optional
        Shown below the name, for instance the mean squared error on a test set.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows: dict[str, Any] = {"original": images, **reconstructions}
    if wrong := [name for name, row in rows.items() if len(row) != len(images)]:
        raise DimensionMismatchError(
            f"{len(images)} images, but a different number of {wrong[0]!r}."
        )
    cell, side, top = 0.72, 1.35, 0.45 if title else 0.1
    width, height = side + len(images) * cell + 0.1, top + len(rows) * cell + 0.1
    figure = style.new_figure(width, height)
    grid = figure.add_gridspec(
        len(rows),
        len(images),
        wspace=0.07,
        hspace=0.07,
        left=side / width,
        right=1 - 0.1 / width,
        bottom=0.1 / height,
        top=1 - top / height,
    )
    for number, (name, row) in enumerate(rows.items()):
        axes = [figure.add_subplot(grid[number, column]) for column in range(len(images))]
        for one, image in zip(axes, row, strict=True):
            style.show(one, image, frame=style.INK if number == 0 else style.GRID)
        text = f"{name}\n{errors[name]:.4f}" if errors and name in errors else name
        label = axes[0].set_ylabel(text, rotation=0, ha="right", va="center", labelpad=8)
        label.set(fontsize=9, color=style.INK)
    style.headline(figure, title, 0.1)
    return figure
