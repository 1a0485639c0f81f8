"""The heat maps behind ``/v1/explain``: what is needed to make them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

HeatMap: TypeAlias = NDArray[np.float32]
"""Rows and columns of numbers from 0 to 1, laid over the whole picture."""

Explainer: TypeAlias = Callable[[Any, bytes, bytes], tuple[float, HeatMap, HeatMap]]
"""From the encoder and two encoded pictures to their score and heat maps."""


def default_explainer() -> Explainer:
    """Return what `pyimgret.explain` offers."""
    from pyimgret.explain import heat_maps

    return heat_maps
