"""Robustness of retrieval to noise: a reason for dimensionality reduction.

The database consists of clean images; the queries are damaged at increasing levels. Codes of
a model that keeps the essential features are more robust than raw pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyimgret.evaluation.metrics import retrieval_report
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.preprocessing import normalize

Pixels = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]
Encode = Callable[[Pixels], Vectors]

#: Kinds of damage and their levels, in increasing order.
LEVELS: dict[str, tuple[float, ...]] = {
    "gaussian": (0.1, 0.2, 0.4, 0.6),
    "salt and pepper": (0.05, 0.1, 0.2, 0.4),
    "occlusion": (0.2, 0.3, 0.4, 0.5),
    "shift": (1, 2, 3, 4),
    "rotation": (5, 10, 20, 30),
}

#: The unit of each kind's levels.
UNITS = {
    "gaussian": "standard deviation (white is 1)",
    "salt and pepper": "fraction of pixels",
    "occlusion": "side of a black square, relative to the image",
    "shift": "pixels, in a random direction",
    "rotation": "degrees, in both directions",
}

#: Kind -> the parameter of models that are trained with it.
_TRAINED = {"gaussian": "noise", "shift": "shift", "rotation": "rotation"}


def damage(images: Pixels, kind: str, level: float, *, random_state: int = 0) -> Pixels:
    """Return damaged copies of images.

    Parameters
    ----------
    images : ndarray of uint8, (n, h, w) or (n, h, w, 3)
    kind : str
        One of `LEVELS`.
    level : float
        In the unit given by `UNITS`; 0 changes nothing.
    random_state : int

    Examples
    --------
    >>> white = np.full((1, 4, 4), 255, np.uint8)
    >>> int((damage(white, "occlusion", 0.5) == 0).sum())
    4
    """
    if kind not in LEVELS:
        raise InvalidArgumentError(f"kind={kind!r} is unknown; known: {', '.join(LEVELS)}.")
    if level < 0:
        raise InvalidArgumentError(f"level must not be negative, got {level}.")
    random = np.random.default_rng([random_state, list(LEVELS).index(kind)])
    if level == 0:
        return images.copy()
    return _DAMAGES[kind](images, level, random)


def _gaussian(images: Pixels, level: float, random: np.random.Generator) -> Pixels:
    noisy = images + random.normal(scale=255 * level, size=images.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _salt_and_pepper(images: Pixels, level: float, random: np.random.Generator) -> Pixels:
    drawn = random.random(images.shape[:3])
    out = images.copy()
    out[drawn < level / 2] = 0
    out[(drawn >= level / 2) & (drawn < level)] = 255
    return out


def _occlusion(images: Pixels, level: float, random: np.random.Generator) -> Pixels:
    height, width = images.shape[1:3]
    tall, wide = (max(1, round(min(level, 1) * side)) for side in (height, width))
    out = images.copy()
    for image in out:
        top = int(random.integers(height - tall + 1))
        left = int(random.integers(width - wide + 1))
        image[top : top + tall, left : left + wide] = 0
    return out


def _shift(images: Pixels, level: float, random: np.random.Generator) -> Pixels:
    out = np.zeros_like(images)
    for before, after, angle in zip(
        images, out, random.uniform(0, 2 * np.pi, len(images)), strict=True
    ):
        down, right = round(level * np.sin(angle)), round(level * np.cos(angle))
        after[_part(down), _part(right)] = before[_part(-down), _part(-right)]
    return out


def _part(by: int) -> slice:
    """Return the destination slice of a shift."""
    return slice(by, None) if by >= 0 else slice(None, by)


def _rotation(images: Pixels, level: float, random: np.random.Generator) -> Pixels:
    from PIL import Image

    angles = level * random.choice([-1, 1], len(images))
    turned = [
        np.asarray(Image.fromarray(image).rotate(float(angle), Image.Resampling.BILINEAR))
        for image, angle in zip(images, angles, strict=True)
    ]
    return np.stack(turned)


_DAMAGES: dict[str, Callable[[Pixels, float, np.random.Generator], Pixels]] = {
    "gaussian": _gaussian,
    "salt and pepper": _salt_and_pepper,
    "occlusion": _occlusion,
    "shift": _shift,
    "rotation": _rotation,
}


@dataclass(frozen=True)
class NoiseRow:
    """The result of one model at one level of damage.

    Attributes
    ----------
    trained : bool
        Whether this model was trained with this kind, at this level or a higher one.
    """

    model: str
    kind: str
    level: float
    precision_at_10: float
    map: float
    trained: bool


@dataclass(frozen=True)
class NoiseReport:
    """The results of `noise_report`.

    Attributes
    ----------
    rows : list of NoiseRow
        Ordered by kind, level (0 is clean) and model.
    milliseconds : dict of str to float
        Median time per query of each model: encoding one image and ranking the database.
    dimensions : dict of str to int
        Dimension of the vectors of each model.
    """

    rows: list[NoiseRow]
    milliseconds: dict[str, float]
    dimensions: dict[str, int]
    n_queries: int
    n_database: int

    def unseen(self, kind: str, level: float) -> bool:
        """Return whether no model was trained with this kind and level."""
        return level > 0 and not any(
            row.trained for row in self.rows if row.kind == kind and row.level == level
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON-serializable dict."""
        rows = [
            vars(row) | {"unseen_by_all": self.unseen(row.kind, row.level)} for row in self.rows
        ]
        return vars(self) | {"rows": rows}


def noise_report(
    models: Mapping[str, Any],
    images: Pixels,
    labels: npt.NDArray[Any],
    *,
    queries: int = 1000,
    levels: Mapping[str, Sequence[float]] | None = None,
    random_state: int = 0,
) -> NoiseReport:
    """Evaluate retrieval of clean images by damaged queries.

    Parameters
    ----------
    models : dict of name to model
        Models that encode uint8 images; raw pixels are always included.
    images : ndarray of uint8, (n, h, w) or (n, h, w, 3)
    labels : ndarray of shape (n,)
    queries : int
        Number of random images to use as queries; the others are the database.
    levels : dict of kind to levels, optional
        By default `LEVELS`.
    random_state : int
    """
    if not 0 < queries < len(images):
        raise InvalidArgumentError(
            f"queries={queries} of {len(images)} images leaves no queries or no database."
        )
    order = np.random.default_rng(random_state).permutation(len(images))
    query_rows, database_rows = order[:queries], order[queries:]
    encoders: dict[str, Encode] = {"raw pixels": raw_pixels}
    encoders |= {name: model.encode for name, model in models.items()}
    database = {name: encode(images[database_rows]) for name, encode in encoders.items()}
    rows = []
    for kind, steps in (LEVELS if levels is None else levels).items():
        for level in (0, *steps):
            damaged = damage(images[query_rows], kind, level, random_state=random_state)
            for name, encode in encoders.items():
                found = retrieval_report(
                    database[name],
                    labels[database_rows],
                    queries=encode(damaged),
                    query_labels=labels[query_rows],
                )
                figures = found.precision[10], found.mean_average_precision
                trained = was_trained_against(models.get(name), kind, level)
                rows.append(NoiseRow(name, kind, level, *figures, trained))
    few = images[query_rows[:30]]
    return NoiseReport(
        rows,
        {name: _milliseconds(e, few, database[name]) for name, e in encoders.items()},
        {name: vectors.shape[1] for name, vectors in database.items()},
        len(query_rows),
        len(database_rows),
    )


def raw_pixels(images: Pixels) -> Vectors:
    """Return the pixels of images as vectors, scaled to 0..1."""
    return np.divide(images.reshape(len(images), -1), 255, dtype=np.float32)


def was_trained_against(model: object, kind: str, level: float) -> bool:
    """Return whether a model was trained with a damage at this level or a higher one."""
    heaviest = getattr(model, _TRAINED.get(kind, ""), None)
    return isinstance(heaviest, (int, float)) and 0 < level <= heaviest


def _milliseconds(encode: Encode, images: Pixels, database: Vectors) -> float:
    """Return the median time to encode one image and find its ten nearest."""
    unit = normalize(database)
    times = []
    for image in images:
        start = time.perf_counter()
        scores = unit @ encode(image[np.newaxis])[0]
        best = np.argpartition(-scores, min(10, len(scores) - 1))[:10]
        best[np.argsort(-scores[best])]
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))
