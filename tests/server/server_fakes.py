"""An encoder of NumPy only, images to ask with, and a server on a thread."""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from pyimgret.preprocessing import Preprocessor


class FakeEncoder:
    """A random projection of the pixels, as `pyimgret.Encoder` behaves."""

    def __init__(self, size: int = 16, seed: int = 0) -> None:
        self.embedding_size = size
        self.model = None
        self.preprocessor = Preprocessor("L", 8, 8, mean=[0.5], std=[0.5])
        rng = np.random.default_rng(seed)
        self.weights = rng.standard_normal((64, size)).astype(np.float32)
        self.model_checksum = hashlib.sha256(self.weights.tobytes()).hexdigest()
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def encode(self, images):
        scaled = getattr(images, "dtype", None) == np.float32
        return self.encode_tensors(images if scaled else self.preprocessor.batch(images))

    def encode_tensors(self, X):
        assert self.gate.wait(30)
        self.batches.append(len(X))
        codes = X.reshape(len(X), -1) @ self.weights
        lengths = np.linalg.norm(codes, axis=1, keepdims=True)
        return codes / np.where(lengths > 0, lengths, 1)

    def save(self, path) -> None:
        Path(path).write_bytes(b"fake model")


def make_images(count: int, seed: int = 0):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8), dtype=np.uint8)


def png(pixels, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def upload(content: bytes, **fields):
    return {"image": (io.BytesIO(content), "query.png"), **fields}


@contextlib.contextmanager
def served(app):
    """Serve an application on a free port; yields its address."""
    from pyimgret_server.serving import Server

    server = Server(app, port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()
        thread.join(40)
        assert not thread.is_alive()
