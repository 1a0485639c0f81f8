"""Why do two pictures match? Which regions of each carry their similarity.

An embedding that is the mean of a map's places makes the cosine a sum over places: each
place's share is its own vector times the other picture's unit embedding. These parts are exact.
For other embeddings a grey square goes over the picture, and what the cosine loses is the part
of what it hides.

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
    """What made two pictures similar.

    Attributes
    ----------
    score : float
        Their cosine.
    query, match : ndarray of float32, shape (rows, columns)
        What each region adds to it. When ``exact``, each of the two sums to the score.
    exact : bool
        Whether the parts are the cosine's own terms, or estimated by hiding regions.
    """

    score: float
    query: Parts
    match: Parts
    exact: bool

    @property
    def heat(self) -> tuple[Parts, Parts]:
        """What stands out in query and match: parts above their mean, from 0 to 1."""
        return heat(self.query), heat(self.match)


def explain(encoder: Encoder, query: Any, match: Any) -> Explanation:
    """Say which regions of two pictures carry their similarity.

    Parameters
    ----------
    encoder : Encoder
        Of pictures.
    query, match : path, bytes, array or PIL image

    Returns
    -------
    Explanation

    Raises
    ------
    ImageDecodeError
        When one cannot be read.
    DimensionMismatchError
        For a model of vectors.
    """
    if encoder.preprocessor is None:
        raise DimensionMismatchError("A model of vectors has no regions to show.")
    pixels = np.stack([encoder.preprocessor.pixels(image) for image in (query, match)])
    pooled = getattr(encoder.model, "pooled_maps", None)
    maps = None if pooled is None else pooled(pixels)
    if maps is None:
        return _occluded(encoder, pixels)
    return decompose(maps[0], maps[1])


def decompose(query: NDArray[np.float32], match: NDArray[np.float32]) -> Explanation:
    """Split the cosine of two mean-pooled maps, (channels, rows, columns) each, by places.

    Examples
    --------
    >>> maps = np.zeros((2, 2, 1, 2), np.float32)
    >>> maps[:, 0, 0, 0] = 1  # both show the same, on the left
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
    """Return what of the parts is above their mean, scaled to 0..1.

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
    """Return the score and both heat maps, as the server's ``/v1/explain`` takes them."""
    found = explain(encoder, query, match)
    return (found.score, *found.heat)


def plot_explanation(explanation: Explanation, query: Any, match: Any) -> Figure:
    """Draw both pictures with their heat over them; returns a matplotlib figure."""
    from pyimgret.visualization.style import new_figure, show

    figure = new_figure(7.0, 3.8)
    sides = (("query", query), ("match", match))
    for (name, image), hot, place in zip(sides, explanation.heat, (1, 2), strict=True):
        axes = figure.add_subplot(1, 2, place)
        show(axes, image)
        left, right = axes.get_xlim()
        bottom, top = axes.get_ylim()
        axes.imshow(
            hot, cmap="inferno", alpha=0.55, interpolation="bilinear",
            extent=(left, right, bottom, top), vmin=0, vmax=1,
        )  # fmt: skip
        axes.set_title(name, fontsize=10)
    kind = "sum of the parts" if explanation.exact else "parts by hiding regions"
    figure.suptitle(f"cosine {explanation.score:.3f} ({kind})", fontsize=11)
    return figure


def _occluded(encoder: Encoder, pixels: NDArray[np.uint8]) -> Explanation:
    vectors = encoder.encode(pixels)
    score = float(vectors[0] @ vectors[1])
    parts = [
        score - encoder.encode(_hidden(picture)) @ other
        for picture, other in ((pixels[0], vectors[1]), (pixels[1], vectors[0]))
    ]
    query, match = (p.reshape(_GRID, _GRID).astype(np.float32) for p in parts)
    return Explanation(score, query, match, False)


def _hidden(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture again and again, each time with another region filled by its mean."""
    fill = np.rint(picture.mean(axis=(0, 1))).astype(np.uint8)
    copies = np.repeat(picture[None], _GRID * _GRID, axis=0)
    rows = np.linspace(0, picture.shape[0], _GRID + 1).astype(int)
    columns = np.linspace(0, picture.shape[1], _GRID + 1).astype(int)
    for place, copy in enumerate(copies):
        y, x = divmod(place, _GRID)
        copy[rows[y] : rows[y + 1], columns[x] : columns[x + 1]] = fill
    return copies
