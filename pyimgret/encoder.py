"""Encoder: any saved model, from images to embeddings of unit length."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyimgret.preprocessing import Preprocessor, normalize
from pyimgret.preprocessing.inputs import Images, is_table
from pyimgret.trained import KINDS, TrainedNetwork, read_metadata

if TYPE_CHECKING:
    from pyimgret.models import Model


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
        self._begin(model, model.trained, batch_size)

    def _begin(
        self, source: Model | TrainedNetwork, trained: TrainedNetwork, batch_size: int
    ) -> None:
        self._source = source
        self.batch_size = batch_size
        self.embedding_size: int = trained.embedding_size
        self.preprocessor: Preprocessor | None = trained.preprocessor
        self.model_checksum: str = trained.checksum()

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, batch_size: int = 256) -> Encoder:
        """Return the encoder of a model zip."""
        file = Path(path)
        metadata = read_metadata(file)
        if metadata is None or metadata.get("kind") not in KINDS:
            from pyimgret.models import load

            return cls(load(file), batch_size=batch_size)
        # NB: the model is an estimator, and importing scikit-learn takes longer than the JVM's
        # start; so it is made when it is first used.
        trained = TrainedNetwork.restore(file, metadata)
        encoder = cls.__new__(cls)
        encoder._begin(trained, trained, batch_size)
        return encoder

    @property
    def model(self) -> Model:
        """The model, with all that its kind can do."""
        if isinstance(self._source, TrainedNetwork):
            from pyimgret.models.serialization import model_of

            self._source = model_of(self._source)
        return self._source

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
        source = self.model if is_table(images) else self._source
        return normalize(source.encode(images, batch_size=self.batch_size))

    def encode_tensors(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embeddings of what the preprocessor gave, float32 (n, h, w[, 3])."""
        return self.encode(np.asarray(X, dtype=np.float32))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model zip."""
        self.model.save(path)

    def __repr__(self) -> str:
        return f"Encoder({self.model!r}, embedding_size={self.embedding_size})"
