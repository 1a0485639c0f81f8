"""An encoder of NumPy only, which behaves as `pyimgret.encoder.Encoder` does."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from pyimgret.preprocessing import Preprocessor


class FakeEncoder:
    """A random projection of the pixels."""

    def __init__(self, size: int = 16, seed: int = 0, mode: str = "L") -> None:
        self.embedding_size = size
        self.preprocessor = Preprocessor(mode, 8, 8, mean=[0.5], std=[0.5])
        rng = np.random.default_rng(seed)
        pixels = int(np.prod(self.preprocessor.shape))
        self.weights = rng.standard_normal((pixels, size)).astype(np.float32)
        self.bias = rng.standard_normal(size).astype(np.float32)
        self.model_checksum = hashlib.sha256(self.weights.tobytes()).hexdigest()
        self.batches: list[int] = []

    def encode(self, images):
        scaled = getattr(images, "dtype", None) == np.float32
        return self.encode_tensors(images if scaled else self.preprocessor.batch(images))

    def encode_tensors(self, X):
        self.batches.append(len(X))
        codes = X.reshape(len(X), -1) @ self.weights + self.bias
        return codes / np.linalg.norm(codes, axis=1, keepdims=True)

    def save(self, path) -> None:
        Path(path).write_bytes(b"fake model")


def unit(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Return random vectors of length 1, (n, d)."""
    rows = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
