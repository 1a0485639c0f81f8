"""Made pictures for tests: no licence, no file, the same everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def made_pictures(count: int, side: int = 224, *, seed: int = 0) -> NDArray[np.uint8]:
    """Return pictures of sums of waves, integer arithmetic only, uint8 (count, side, side, 3)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    pictures = np.zeros((count, side, side, 3), np.int64)
    for picture in pictures:
        for channel in range(3):
            for _ in range(4):
                a, b, shift = *random.integers(-9, 10, 2).tolist(), int(random.integers(512))
                wave = (a * x + b * y + shift) % 512
                picture[..., channel] += np.minimum(wave, 511 - wave)
        picture[...] = picture // 4
    return pictures.astype(np.uint8)
