"""What noise does to a search: why one reduces the dimension at all.

Clean pictures are the database; the queries are made worse, step by step. Codes of a model
that kept what matters find their likes longer than raw pixels do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pyimgret.exceptions import InvalidArgumentError

Pixels = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]
Encode = Callable[[Pixels], Vectors]

#: Kinds of damage and their levels, from slight to heavy.
LEVELS: dict[str, tuple[float, ...]] = {
    "gaussian": (0.1, 0.2, 0.4, 0.6),
    "salt and pepper": (0.05, 0.1, 0.2, 0.4),
    "occlusion": (0.2, 0.3, 0.4, 0.5),
    "shift": (1, 2, 3, 4),
    "rotation": (5, 10, 20, 30),
}

#: What a level says.
UNITS = {
    "gaussian": "standard deviation, white is 1",
    "salt and pepper": "part of the pixels",
    "occlusion": "side of a black square, part of the picture's",
    "shift": "pixels, any direction",
    "rotation": "degrees, either way",
}

#: Kind to the parameter of a model that was trained against it.
_TRAINED = {"gaussian": "noise", "shift": "shift", "rotation": "rotation"}


def damage(images: Pixels, kind: str, level: float, *, random_state: int = 0) -> Pixels:
    """Return pictures made worse, the input left as it is.

    Parameters
    ----------
    images : ndarray of uint8, (n, h, w) or (n, h, w, 3)
    kind : str
        One of `LEVELS`.
    level : float
        In the unit that `UNITS` names; 0 changes nothing.
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
    """Return where what is shifted by so much arrives."""
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
    """One model under one damage.

    Attributes
    ----------
    trained : bool
        Whether this model saw the kind, at this level or a heavier one, in training.
    """

    model: str
    kind: str
    level: float
    precision_at_10: float
    map: float
    trained: bool


@dataclass(frozen=True)
class NoiseReport:
    """Retrieval under noise.

    Attributes
    ----------
    rows : list of NoiseRow
        By kind, level (0 is the clean query) and model.
    milliseconds : dict of str to float
        Median time of one query, by model: encoding one picture and ranking the database.
    dimensions : dict of str to int
        Numbers in a vector, by model.
    """

    rows: list[NoiseRow]
    milliseconds: dict[str, float]
    dimensions: dict[str, int]
    n_queries: int
    n_database: int

    def unseen(self, kind: str, level: float) -> bool:
        """Say whether no model saw this kind and level in training."""
        return level > 0 and not any(
            row.trained for row in self.rows if row.kind == kind and row.level == level
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
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
    """Search for damaged pictures among clean ones.

    Parameters
    ----------
    models : dict of name to model
        What encodes uint8 pictures; raw pixels are always compared too.
    images : ndarray of uint8, (n, h, w) or (n, h, w, 3)
    labels : ndarray of shape (n,)
    queries : int
        So many, drawn at random, are made worse; the others are the database.
    levels : dict of kind to levels, optional
        By default `LEVELS`.
    random_state : int
    """
    if not 0 < queries < len(images):
        raise InvalidArgumentError(
            f"queries={queries} of {len(images)} pictures leaves one part empty."
        )
    order = np.random.default_rng(random_state).permutation(len(images))
    asked, kept = order[:queries], order[queries:]
    encoders: dict[str, Encode] = {"raw pixels": raw_pixels}
    encoders |= {name: model.encode for name, model in models.items()}
    database = {name: encode(images[kept]) for name, encode in encoders.items()}
    rows = []
    for kind, steps in (LEVELS if levels is None else levels).items():
        for level in (0, *steps):
            worse = damage(images[asked], kind, level, random_state=random_state)
            for name, encode in encoders.items():
                report = _judge(encode(worse), labels[asked], database[name], labels[kept])
                trained = was_trained_against(models.get(name), kind, level)
                rows.append(NoiseRow(name, kind, level, *report, trained))
    return NoiseReport(
        rows,
        {n: _milliseconds(e, images[asked[:30]], database[n]) for n, e in encoders.items()},
        {name: vectors.shape[1] for name, vectors in database.items()},
        len(asked), len(kept),
    )  # fmt: skip


def raw_pixels(images: Pixels) -> Vectors:
    """Return pictures as vectors of their pixels, from 0 to 1."""
    return np.divide(images.reshape(len(images), -1), 255, dtype=np.float32)


def was_trained_against(model: object, kind: str, level: float) -> bool:
    """Say whether a model saw a damage in training, at this level or a heavier one."""
    heaviest = getattr(model, _TRAINED.get(kind, ""), None)
    return isinstance(heaviest, (int, float)) and 0 < level <= heaviest


def _judge(
    queries: Vectors, asked: npt.NDArray[Any], database: Vectors, kept: npt.NDArray[Any]
) -> tuple[float, float]:
    from pyimgret.evaluation.metrics import retrieval_report

    report = retrieval_report(database, kept, queries=queries, query_labels=asked)
    return report.precision[10], report.mean_average_precision


def _milliseconds(encode: Encode, images: Pixels, database: Vectors) -> float:
    """Return the median time of a query: one picture encoded, the nearest ten found."""
    norms = np.linalg.norm(database, axis=1, keepdims=True)
    unit = database / np.where(norms > 0, norms, 1)
    times = []
    for image in images:
        start = time.perf_counter()
        scores = unit @ encode(image[np.newaxis])[0]
        best = np.argpartition(-scores, min(10, len(scores) - 1))[:10]
        best[np.argsort(-scores[best])]
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))
