"""Learning rates over time, sampled to the tables that Deeplearning4j's updaters take."""

from __future__ import annotations

import math

from pyimgret.choices import choose

#: A table entry every so many parts of the run: finer changes nothing that can be measured.
_POINTS = 400


def one_cycle(progress: float) -> float:
    """Return the part of the top rate: up over 30 % of the run, down to nothing by a cosine.

    References
    ----------
    Smith and Topin (2019), Super-convergence: very fast training of neural networks.

    Examples
    --------
    >>> one_cycle(0.3), round(one_cycle(0.0), 2)
    (1.0, 0.04)
    """
    if progress < 0.3:
        return _between(1 / 25, 1.0, progress / 0.3)
    return _between(1.0, 1e-5, (progress - 0.3) / 0.7)


def cosine(progress: float) -> float:
    """Return the part of the top rate: down from the start by a cosine.

    References
    ----------
    Loshchilov and Hutter (2017), SGDR: stochastic gradient descent with warm restarts.
    """
    return _between(1.0, 1e-5, progress)


def linear(progress: float) -> float:
    """Return the part of the top rate: down from the start in a straight line."""
    return 1.0 - progress * (1 - 1e-5)


def _between(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


_CURVES = {"one_cycle": one_cycle, "cosine": cosine, "linear": linear}
SCHEDULES = ("constant", *_CURVES)


def table(schedule: str, learning_rate: float, iterations: int) -> dict[str, float] | None:
    """Return iteration to learning rate, or None for a constant rate.

    Raises
    ------
    ValueError
        For an unknown schedule; lists the known ones.
    """
    if choose("schedule", schedule, SCHEDULES) == "constant":
        return None
    points = min(_POINTS, max(1, iterations))
    steps = sorted({round(i * iterations / points) for i in range(points)})
    return {str(s): learning_rate * _CURVES[schedule](s / max(1, iterations - 1)) for s in steps}
