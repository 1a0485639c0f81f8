"""Encoder: any saved model, from images to embeddings of unit length."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyimgret.models import Model, load
from pyimgret.preprocessing import Preprocessor, normalize
from pyimgret.preprocessing.inputs import Images


class Encoder:
    """Turns images into L2-normalised embeddings with a trained model.

    Parameters
    ----------
    model : Model
        Any fitted model.
    batch_size : int
        Images that the network sees at a time.

    Attributes
    ----------
    model : Model
    embedding_size : int
        Length of an embedding.
    preprocessor : Preprocessor or None
    model_checksum : str
        SHA-256 over all that decides an embedding: weights, layers, preprocessing.
    """

    def __init__(self, model: Model, *, batch_size: int = 256) -> None:
        self.model = model
        self.batch_size = batch_size
        self.embedding_size: int = model.embedding_size
        self.preprocessor: Preprocessor | None = model.preprocessor
        self.model_checksum: str = checksum(model)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, batch_size: int = 256) -> Encoder:
        """Return the encoder of a model zip."""
        return cls(load(path), batch_size=batch_size)

    def encode(self, images: Images) -> NDArray[np.float32]:
        """Return embeddings, float32 (n, embedding_size), each of length 1.

        Parameters
        ----------
        images : images
            uint8 (n, h, w) or (n, h, w, 3); a list of paths, bytes, arrays or PIL images; or
            float32 tensors that the preprocessor gave.

        Raises
        ------
        ImageDecodeError, DimensionMismatchError
        """
        return normalize(self.model.encode(images, batch_size=self.batch_size))

    def encode_tensors(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embeddings of what the preprocessor gave, float32 (n, h, w[, 3])."""
        return self.encode(np.asarray(X, dtype=np.float32))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model zip."""
        self.model.save(Path(path))

    def __repr__(self) -> str:
        return f"Encoder({self.model!r}, embedding_size={self.embedding_size})"


def checksum(model: Model) -> str:
    """Return SHA-256, in hex, over all that decides a model's embedding."""
    decisive = model.definition()
    decisive["configuration"] = _without_progress(json.loads(model.java_network.configuration()))
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    digest.update(model.java_network.parameters.astype("<f4").tobytes())
    return digest.hexdigest()


def _without_progress(configuration: Any) -> Any:
    """Leave out what training counts: it does not change an embedding."""
    if isinstance(configuration, dict):
        return {
            key: _without_progress(value)
            for key, value in configuration.items()
            if key not in {"iterationCount", "epochCount"}
        }
    if isinstance(configuration, list):
        return [_without_progress(value) for value in configuration]
    return configuration
