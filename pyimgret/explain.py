"""Explanations of matches: which regions of two images make them similar.

If an embedding is the mean over the positions of a feature map, the cosine is a sum over
positions: the dot products of its vectors with the other unit embedding. This is exact.
For other embeddings a square is moved over the image (occlusion); the decrease of the cosine
is the contribution of the occluded region.

References
----------
Zhou, Khosla, Lapedriza, Oliva, Torralba (2016), Learning deep features for discriminative
localization. Stylianou, Souvenir, Pless (2019), Visualizing deep similarity networks. Zeiler
and Fergus (2014), Visualizing and understanding convolutional networks (occlusion).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import DimensionMismatchError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pyimgret.encoder import Encoder

Parts = NDArray[np.float32]

_GRID = 7


@dataclass(frozen=True)
class Explanation:
    """The contributions of regions to the similarity of two images.

    Attributes
    ----------
    score : float
        Their cosine similarity.
    query, match : ndarray of float32, shape (rows, columns)
        Contribution of each region. If ``exact``, each of the two sums to the score.
    exact : bool
        Whether the contributions are exact, or estimated by occlusion.
    """

    score: float
    query: Parts
    match: Parts
    exact: bool

    @property
    def heat(self) -> tuple[Parts, Parts]:
        """The heat maps of query and match: contributions above their mean, from 0 to 1."""
        return heat(self.query), heat(self.match)


def explain(encoder: Encoder, query: Any, match: Any) -> Explanation:
    """Explain which regions make two images similar.

    Parameters
    ----------
    encoder : Encoder
        Of images.
    query, match : path, bytes, array or PIL image

    Returns
    -------
    Explanation

    Raises
    ------
    ImageDecodeError
        If an image cannot be read.
    DimensionMismatchError
        If the model takes vectors.
    """
    if encoder.preprocessor is None:
        raise DimensionMismatchError("A model that takes vectors has no image regions to explain.")
    pixels = np.stack([encoder.preprocessor.pixels(image) for image in (query, match)])
    pooled = getattr(encoder.model, "pooled_maps", None)
    maps = None if pooled is None else pooled(pixels)
    if maps is None:
        return _occluded(encoder, pixels)
    return decompose(maps[0], maps[1])


def decompose(query: NDArray[np.float32], match: NDArray[np.float32]) -> Explanation:
    """Decompose the cosine of two mean-pooled feature maps (channels, rows, columns).

    Examples
    --------
    >>> maps = np.zeros((2, 2, 1, 2), np.float32)
    >>> maps[:, 0, 0, 0] = 1  # equal on the left
    >>> decompose(*maps).query.tolist()
    [[1.0, 0.0]]
    """
    sums = [np.asarray(m, np.float64).sum(axis=(1, 2)) for m in (query, match)]
    lengths = [float(np.linalg.norm(s)) or 1.0 for s in sums]
    parts = [
        np.einsum("chw,c->hw", np.asarray(m, np.float64), other) / (lengths[0] * lengths[1])
        for m, other in ((query, sums[1]), (match, sums[0]))
    ]
    score = float(sums[0] @ sums[1] / (lengths[0] * lengths[1]))
    return Explanation(score, parts[0].astype(np.float32), parts[1].astype(np.float32), True)


def heat(parts: Parts) -> Parts:
    """Return the contributions above their mean, scaled to 0..1.

    Examples
    --------
    >>> heat(np.array([[0.0, 1.0, 0.0, 3.0]], dtype=np.float32)).tolist()
    [[0.0, 0.0, 0.0, 1.0]]
    """
    above = np.clip(parts - parts.mean(), 0, None)
    top = float(above.max())
    scaled: Parts = (above / top if top > 0 else above).astype(np.float32)
    return scaled


def heat_maps(encoder: Encoder, query: bytes, match: bytes) -> tuple[float, Parts, Parts]:
    """Return the score and both heat maps, for the server's ``/v1/explain``."""
    found = explain(encoder, query, match)
    return (found.score, *found.heat)


def plot_explanation(explanation: Explanation, query: Any, match: Any) -> Figure:
    """Plot both images in grey, with their heat maps in colour.

    Parameters
    ----------
    explanation : Explanation
    query, match : path, bytes, array or PIL image
        Of which it is the explanation.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from pyimgret.visualization import style

    figure = style.new_figure(7.6, 4.0)
    grid = figure.add_gridspec(
        1, 3, width_ratios=[1, 1, 0.04], wspace=0.07, left=0.02, right=0.9, bottom=0.04, top=0.82
    )
    sides = (("query", query), ("best match", match))
    for column, ((name, image), hot) in enumerate(zip(sides, explanation.heat, strict=True)):
        axes = figure.add_subplot(grid[column])
        pixels = np.atleast_3d(style.pixels(image))
        pale = 0.7 * pixels.mean(axis=2, keepdims=True) + 0.2 * pixels + 0.1 * 255
        style.show(axes, np.broadcast_to(pale, (*pale.shape[:2], 3)).astype(np.uint8))
        left, right = axes.get_xlim()
        shown = axes.imshow(
            hot,
            cmap="YlOrRd",
            alpha=0.75 * np.sqrt(hot),
            interpolation="bicubic",
            extent=(left, right, *axes.get_ylim()),
            vmin=0,
            vmax=1,
        )
        axes.set_title(name, fontsize=10, color=style.INK, loc="left")
    bar = figure.colorbar(shown, cax=figure.add_subplot(grid[2]))
    bar.set_ticks([0, 0.5, 1], labels=["0", "0.5", "1"], fontsize=8, color=style.INK)
    bar.set_label("contribution, relative to the largest", fontsize=8, color=style.MUTED)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    kind = "exact decomposition" if explanation.exact else "estimated by occlusion"
    title = f"Why they are similar: cosine {explanation.score:.3f} ({kind})"
    style.headline(figure, title, 0.15)
    return figure


def _occluded(encoder: Encoder, pixels: NDArray[np.uint8]) -> Explanation:
    vectors = encoder.encode(pixels)
    score = float(vectors[0] @ vectors[1])
    parts = [
        score - encoder.encode(_hidden(image)) @ other
        for image, other in ((pixels[0], vectors[1]), (pixels[1], vectors[0]))
    ]
    query, match = (p.reshape(_GRID, _GRID).astype(np.float32) for p in parts)
    return Explanation(score, query, match, False)


def _hidden(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return copies of an image, each with another region filled with the mean colour."""
    fill = np.rint(image.mean(axis=(0, 1))).astype(np.uint8)
    copies = np.repeat(image[None], _GRID * _GRID, axis=0)
    rows = np.linspace(0, image.shape[0], _GRID + 1).astype(int)
    columns = np.linspace(0, image.shape[1], _GRID + 1).astype(int)
    for place, copy in enumerate(copies):
        y, x = divmod(place, _GRID)
        copy[rows[y] : rows[y + 1], columns[x] : columns[x + 1]] = fill
    return copies
