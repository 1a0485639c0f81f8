"""Fixed centres of classes, as far apart as can be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def centres(classes: int, size: int) -> NDArray[np.float32]:
    """Return +1 and -1, one row a class.

    Rows of a Hadamard matrix (Sylvester 1867) where ``size`` is a power of two that has enough
    of them: any two differ in half of their places. Else random rows, which nearly do.

    Examples
    --------
    >>> centres(3, 4).astype(int).tolist()
    [[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
    """
    if size & (size - 1) or classes >= size:
        random = np.random.default_rng(size)
        return random.choice(np.array([-1, 1], dtype=np.float32), (classes, size))
    hadamard = np.ones((1, 1), dtype=np.float32)
    while len(hadamard) < size:
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    # NB: the first row is all ones, and its bits would tell nothing.
    return hadamard[1 : classes + 1].copy()
