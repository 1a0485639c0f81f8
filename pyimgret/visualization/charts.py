"""Curves, maps and matrices; public through `pyimgret.visualization`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from pyimgret.exceptions import DimensionMismatchError, InvalidArgumentError
from pyimgret.preprocessing import normalize
from pyimgret.visualization import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_history(
    history: Mapping[str, Sequence[float]],
    *,
    what: str = "loss",
    title: str | None = None,
    log: bool = False,
) -> Figure:
    """Plot the loss of each epoch; a dot marks the best epoch of each curve.

    Parameters
    ----------
    history : dict of name to sequence of float
        For instance ``{"loss": [...], "val_loss": [...]}``. Other entries are ignored.
    what : str
        Suffix of the entries to plot: "loss", or for the RBMs of a deep
        autoencoder "error" and "free_energy_gap".
    title : str, optional
    log : bool
        Use a logarithmic axis.

    Returns
    -------
    matplotlib.figure.Figure
    """
    curves = {
        name: np.asarray(v, dtype=float) for name, v in history.items() if name.endswith(what)
    }
    if not any(curve.size for curve in curves.values()):
        raise InvalidArgumentError(
            f"the history {sorted(history)} contains no {what}; fit the model first."
        )
    figure = style.new_figure(6.4, 3.8)
    axes = figure.subplots()
    for (name, curve), colour in zip(curves.items(), style.CLASS_COLOURS, strict=False):
        epochs, best = np.arange(1, len(curve) + 1), int(np.nanargmin(curve))
        axes.plot(epochs, curve, color=colour, linewidth=1.8, label=name.replace("_", " "))
        axes.plot(epochs[best], curve[best], "o", color=colour, markersize=5)
    style.plain_axes(axes)
    axes.set_yscale("log" if log else "linear")
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("epoch", color=style.INK)
    axes.set_ylabel(what.replace("_", " "), color=style.INK)
    axes.legend(frameon=False, labelcolor=style.INK)
    return style.finish(axes, title)


def plot_embedding(
    points: npt.ArrayLike,
    labels: Sequence[Any] | npt.NDArray[Any] | None = None,
    *,
    method: Literal["tsne", "pca"] = "tsne",
    title: str | None = None,
    random_state: int | None = 0,
) -> Figure:
    """Plot embeddings in two dimensions, coloured by class.

    Parameters
    ----------
    points : array-like, (n, d)
        Two columns are plotted directly; more are normalized and projected to two.
    labels : sequence of length n, optional
    method : {"tsne", "pca"}
        t-SNE preserves neighbourhoods (seconds per thousand points), PCA is linear.
    title : str, optional
    random_state : int, optional

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    van der Maaten, Hinton (2008), Visualizing data using t-SNE.
    """
    flat = _project(np.asarray(points, dtype=np.float64), method, random_state)
    classes, numbers = style.class_names(np.zeros(len(flat)) if labels is None else labels)
    if len(numbers) != len(flat):
        raise DimensionMismatchError(f"{len(flat)} points, but {len(numbers)} labels.")
    figure = style.new_figure(6.8, 6.0)
    axes = figure.subplots()
    size = float(np.clip(9000 / max(len(flat), 1), 4, 40))
    for number, name in enumerate(classes):
        own = flat[numbers == number]
        colour = style.CLASS_COLOURS[number % len(style.CLASS_COLOURS)]
        axes.scatter(own[:, 0], own[:, 1], s=size, color=colour, alpha=0.75, linewidths=0)
        if labels is not None and len(classes) <= 40:
            middle = np.median(own, axis=0)
            box = {"boxstyle": "round,pad=0.2", "fc": "white", "ec": colour, "alpha": 0.9}
            text = axes.text(middle[0], middle[1], str(name), ha="center", va="center", bbox=box)
            text.set(fontsize=11, weight="bold", color=style.INK)
    axes.set_xticks([])
    axes.set_yticks([])
    return style.finish(axes, title, border=True)


def _project(
    points: npt.NDArray[np.float64], method: str, random_state: int | None
) -> npt.NDArray[np.float64]:
    """Project (n, d) to (n, 2)."""
    if points.ndim != 2 or points.shape[1] < 2 or not len(points):
        raise DimensionMismatchError(f"points have shape {points.shape}; expected (n, 2 or more).")
    if method not in ("tsne", "pca"):
        raise InvalidArgumentError(f"method={method!r} is unknown; choose 'tsne' or 'pca'.")
    if points.shape[1] == 2 or len(points) == 1:
        return points[:, :2]
    points = normalize(points)
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    flat: npt.NDArray[np.float64]
    if method == "pca" or len(points) < 4:
        flat = PCA(2, svd_solver="full").fit_transform(points)
    else:
        perplexity = min(30.0, (len(points) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=random_state)
        flat = tsne.fit_transform(points)
    return flat


def plot_confusion_matrix(
    labels: Sequence[Any] | npt.NDArray[Any],
    predictions: Sequence[Any] | npt.NDArray[Any],
    *,
    title: str | None = None,
) -> Figure:
    """Plot how often each class (row) is predicted as each other (column).

    Colours show fractions of the row; numbers are counts.

    Parameters
    ----------
    labels, predictions : sequences of length n
        For instance the labels of queries, and those of their nearest matches.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    if len(labels) != len(predictions) or not len(labels):
        raise DimensionMismatchError(f"{len(labels)} labels with {len(predictions)} predictions.")
    both = np.concatenate([np.asarray(labels), np.asarray(predictions)])
    classes, numbers = style.class_names(both)
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (numbers[: len(labels)], numbers[len(labels) :]), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.48 * len(classes) + 1.6, 4, 14))
    figure = style.new_figure(side, side)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [str(name) for name in classes]
    rotation = 90 if max(map(len, names)) > 3 else 0
    axes.set_xticks(range(len(names)), names, rotation=rotation)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelsize=9, labelcolor=style.INK)
    if len(classes) <= 25:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.5 else style.INK
            text = axes.text(column, row, str(counts[row, column]), ha="center", va="center")
            text.set(fontsize=8, color=colour)
    axes.set_xlabel("predicted", color=style.INK)
    axes.set_ylabel("actual", color=style.INK)
    return style.finish(axes, title, border=True)
