"""The interface of the heat maps of ``/v1/explain``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

HeatMap: TypeAlias = NDArray[np.float32]
"""Values from 0 to 1 in rows and columns, covering the whole image."""

Explainer: TypeAlias = Callable[[Any, bytes, bytes], tuple[float, HeatMap, HeatMap]]
"""Computes score and heat maps from the encoder and two image files."""


def default_explainer() -> Explainer:
    """Return the explainer of `pyimgret.explain`."""
    from pyimgret.explain import heat_maps

    return heat_maps
