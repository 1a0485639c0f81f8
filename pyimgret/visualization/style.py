"""The look of `pyimgret.visualization`: colours, bare axes, pictures as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from pyimgret.exceptions import DimensionMismatchError, MissingExtraError
from pyimgret.files.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#22272e"
FAINT: Final = "#7a828c"
GRID: Final = "#e4e7eb"
RIGHT: Final = "#2f9e5b"
WRONG: Final = "#d64545"
ACCENT: Final = "#2c6fbb"
CLASS_COLOURS: Final = (
    "#2c6fbb", "#f08a24", "#2f9e5b", "#d64545", "#8259b5",
    "#8c6450", "#e377b4", "#6f7780", "#b3b02a", "#22a7b8",
)  # fmt: skip


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of `width` x `height` inches that no window knows of."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "pictures are drawn by matplotlib, which is not installed; "
            "install the extra: pip install 'pyimgret[demo]'."
        ) from error
    return Figure(figsize=(width, height), facecolor="white", dpi=150)


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the name ends in, all of it or nothing."""
    kind = path.suffix.removeprefix(".").lower()
    write_atomically(path, lambda target: figure.savefig(target, format=kind))


def pixels(image: Any) -> npt.NDArray[np.uint8]:
    """Return a picture of any kind as uint8, (h, w) or (h, w, 3)."""
    from pyimgret.preprocessing import decode

    if isinstance(image, np.ndarray) and np.issubdtype(image.dtype, np.floating):
        levels: npt.NDArray[np.uint8] = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
        return levels
    grey = isinstance(image, np.ndarray) and image.ndim == 2
    return np.asarray(decode(image, "L" if grey else "RGB"))


def show(
    axes: Axes, image: Any, *, frame: str = GRID, width: float = 0.8, square: bool = False
) -> None:
    """Draw a picture with a thin frame and no ticks; `square` pads it to equal sides."""
    drawn = padded(pixels(image)) if square else pixels(image)
    smooth = "antialiased" if min(drawn.shape[:2]) >= 100 else "nearest"
    axes.imshow(drawn, cmap="gray", vmin=0, vmax=255, interpolation=smooth)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(frame)
        spine.set_linewidth(width)


def padded(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a picture in the middle of a pale square.

    Examples
    --------
    >>> padded(np.zeros((1, 3), np.uint8))[:, 0].tolist()
    [246, 0, 246]
    """
    missing = max(image.shape[:2]) - np.array(image.shape[:2])
    around = [(int(m) // 2, int(m) - int(m) // 2) for m in missing]
    around += [(0, 0)] * (image.ndim - 2)
    return np.pad(image, around, constant_values=246)


def headline(figure: Figure, text: str, side: float) -> None:
    """Write a title at the top left, `side` inches from the edge."""
    figure.text(
        side / figure.get_figwidth(), 1 - 0.1 / figure.get_figheight(), text,
        va="top", fontsize=11, color=INK, weight="bold",
    )  # fmt: skip


def plain_axes(axes: Axes) -> None:
    """Leave only the lower and the left edge, and a quiet grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=9)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def mosaic(tiles: npt.NDArray[Any], columns: int, *, gap: int, fill: float) -> npt.NDArray[Any]:
    """Lay tiles ``(n, h, w[, 3])`` out row by row with gaps between and around them.

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
            f"weights of shape {W.shape} cannot be drawn; expected (inputs, units) of a dense "
            "layer, or (filters, 1 or 3, h, w) of a convolution."
        )
    side = round(W.shape[0] ** 0.5)
    wanted = shape or (side, side)
    if int(np.prod(wanted)) != W.shape[0]:
        raise DimensionMismatchError(
            f"{W.shape[0]} inputs are no picture of {wanted}; give shape=(h, w) or (h, w, 3)."
        )
    return W.T.reshape(-1, *wanted)


def class_names(labels: Sequence[Any] | npt.NDArray[Any]) -> tuple[list[Any], npt.NDArray[Any]]:
    """Return the sorted classes and the number of each label's class."""
    names, numbers = np.unique(np.asarray(labels), return_inverse=True)
    return names.tolist(), numbers
