"""A self-check: two small computations that are compared with NumPy.

An OpenBLAS that does not support the processor can silently give wrong products; training
would then run with useless results.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.exceptions import JvmStartError

#: Large enough to use both the main and the remainder code of every kernel.
_M, _K, _N = 67, 129, 93


def check(java: Any) -> None:
    """Multiply two matrices and run one convolution; compare with NumPy.

    Raises
    ------
    JvmStartError
        If a result is wrong.
    """
    random = np.random.default_rng(0)
    a = random.standard_normal((_M, _K), dtype=np.float32)
    b = random.standard_normal((_K, _N), dtype=np.float32)
    product = np.empty((_M, _N), dtype=np.float32)
    java.multiply(a.ctypes.data, b.ctypes.data, product.ctypes.data, _M, _K, _N)
    _compare("matrix product", product, a.astype(np.float64) @ b.astype(np.float64))

    image = random.standard_normal((19, 17), dtype=np.float32)
    kernel = random.standard_normal((5, 5), dtype=np.float32)
    out = np.empty_like(image)
    java.convolve(image.ctypes.data, kernel.ctypes.data, out.ctypes.data, 19, 17, 5)
    padded = np.pad(image.astype(np.float64), 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    _compare("convolution", out, np.einsum("hwij,ij->hw", windows, kernel.astype(np.float64)))


def _compare(what: str, got: NDArray[np.float32], expected: NDArray[np.float64]) -> None:
    worst = float(np.abs(got - expected).max())
    if not worst <= 1e-4:
        raise JvmStartError(
            f"The self-check failed: a {what} on ND4J differs from NumPy's by {worst:.3g}. The "
            "loaded BLAS or oneDNN does not support this processor. `pyimgret doctor` shows "
            "which; setting OPENBLAS_CORETYPE=Haswell or PYIMGRET_ONEDNN=0 may help."
        )
