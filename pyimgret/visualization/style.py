"""The style of `pyimgret.visualization`: colours, axes, image tiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt

from pyimgret.exceptions import DimensionMismatchError, MissingExtraError
from pyimgret.files.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#22272e"
MUTED: Final = "#7a828c"
GRID: Final = "#e4e7eb"
CORRECT: Final = "#2f9e5b"
INCORRECT: Final = "#d64545"
CLASS_COLOURS: Final = (
    *("#2c6fbb", "#f08a24", "#2f9e5b", "#d64545", "#8259b5"),
    *("#8c6450", "#e377b4", "#6f7780", "#b3b02a", "#22a7b8"),
)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of `width` x `height` inches, without pyplot."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "plots need matplotlib, which is not installed; "
            "install the extra: pip install 'pyimgret[demo]'."
        ) from error
    return Figure(figsize=(width, height), facecolor="white", dpi=150)


def save(figure: Figure, path: Path) -> None:
    """Save a figure atomically, in the format of the file name's suffix."""
    kind = path.suffix.removeprefix(".").lower()
    write_atomically(path, lambda target: figure.savefig(target, format=kind))


def pixels(image: Any) -> npt.NDArray[np.uint8]:
    """Return any image as uint8, (h, w) or (h, w, 3)."""
    from pyimgret.preprocessing import decode

    if isinstance(image, np.ndarray) and np.issubdtype(image.dtype, np.floating):
        levels: npt.NDArray[np.uint8] = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
        return levels
    grey = isinstance(image, np.ndarray) and image.ndim == 2
    return np.asarray(decode(image, "L" if grey else "RGB"))


def show(
    axes: Axes, image: Any, *, frame: str = GRID, width: float = 0.8, square: bool = False
) -> None:
    """Show an image with a thin frame and no ticks; `square` pads it to a square."""
    drawn = padded(pixels(image)) if square else pixels(image)
    smooth = "antialiased" if min(drawn.shape[:2]) >= 100 else "nearest"
    axes.imshow(drawn, cmap="gray", vmin=0, vmax=255, interpolation=smooth)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(frame)
        spine.set_linewidth(width)


def padded(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return an image centred in a pale square.

    Examples
    --------
    >>> padded(np.zeros((1, 3), np.uint8))[:, 0].tolist()
    [246, 0, 246]
    """
    missing = max(image.shape[:2]) - np.array(image.shape[:2])
    around = [(int(m) // 2, int(m) - int(m) // 2) for m in missing]
    around += [(0, 0)] * (image.ndim - 2)
    return np.pad(image, around, constant_values=246)


def headline(figure: Figure, text: str | None, side: float) -> None:
    """Add a title, if there is one, at the top left, `side` inches from the edge."""
    if text:
        x, y = side / figure.get_figwidth(), 1 - 0.12 / figure.get_figheight()
        figure.text(x, y, text, va="top", fontsize=11, color=INK, weight="bold")


def finish(axes: Axes, title: str | None, *, border: bool = False) -> Figure:
    """Add a title and lay the figure out; `border` draws light edges on all sides."""
    if border:
        for spine in axes.spines.values():
            spine.set_color(GRID)
    if title:
        axes.set_title(title, fontsize=11, color=INK, loc="left", weight="bold", pad=8)
    figure = cast("Figure", axes.get_figure())
    figure.set_layout_engine("tight")
    return figure


def plain_axes(axes: Axes) -> None:
    """Style axes: only the lower and left edges, and a light grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=9)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def mosaic(tiles: npt.NDArray[Any], columns: int, *, gap: int, fill: float) -> npt.NDArray[Any]:
    """Arrange tiles ``(n, h, w[, 3])`` in a grid with gaps between and around them.

    Examples
    --------
    >>> mosaic(np.ones((2, 1, 1)), 2, gap=1, fill=0.5)
    array([[0.5, 0.5, 0.5, 0.5, 0.5],
           [0.5, 1. , 0.5, 1. , 0.5],
           [0.5, 0.5, 0.5, 0.5, 0.5]])
    """
    n, height, width = tiles.shape[:3]
    rows = -(-n // columns)
    size = (rows * (height + gap) + gap, columns * (width + gap) + gap, *tiles.shape[3:])
    canvas = np.full(size, fill, dtype=tiles.dtype)
    for number, tile in enumerate(tiles):
        top = gap + number // columns * (height + gap)
        left = gap + number % columns * (width + gap)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def weight_tiles(weights: npt.ArrayLike, shape: tuple[int, ...] | None) -> npt.NDArray[np.float64]:
    """Return weights as tiles, (n, h, w) or (n, h, w, 3)."""
    W = np.asarray(weights, dtype=np.float64)
    if W.ndim == 4 and W.shape[1] in (1, 3):  # convolution: (out, in, kh, kw)
        filters = W.transpose(0, 2, 3, 1)
        return filters[..., 0] if W.shape[1] == 1 else filters
    if W.ndim != 2:
        raise DimensionMismatchError(
            f"weights of shape {W.shape} cannot be plotted; expected (inputs, units) of a dense "
            "layer, or (filters, 1 or 3, h, w) of a convolution."
        )
    side = round(W.shape[0] ** 0.5)
    wanted = shape or (side, side)
    if int(np.prod(wanted)) != W.shape[0]:
        raise DimensionMismatchError(
            f"{W.shape[0]} inputs do not form an image of {wanted}; give shape=(h, w) or (h, w, 3)."
        )
    return W.T.reshape(-1, *wanted)


def class_names(labels: Sequence[Any] | npt.NDArray[Any]) -> tuple[list[Any], npt.NDArray[Any]]:
    """Return the sorted classes and the class index of each label."""
    names, numbers = np.unique(np.asarray(labels), return_inverse=True)
    return names.tolist(), numbers
