"""Names for the arrays of this package."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Numbers: TypeAlias = NDArray[np.int64]
Array: TypeAlias = NDArray[Any]


class EncoderLike(Protocol):
    """What an index needs of an encoder."""

    embedding_size: int
    model_checksum: str

    @property
    def preprocessor(self) -> Any:
        """Turns a picture into pixels of the network's size."""

    def encode(self, images: Any) -> Floats:
        """Return embeddings of pictures, or of tensors that are scaled already, (n, d)."""

    def save(self, path: Any) -> None:
        """Write the model zip."""
