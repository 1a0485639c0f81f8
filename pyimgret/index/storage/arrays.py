"""Type aliases for arrays and encoders."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
RowIds: TypeAlias = NDArray[np.int64]
Positions: TypeAlias = NDArray[np.int64]
Array: TypeAlias = NDArray[Any]


class EncoderLike(Protocol):
    """The interface of an encoder that an index needs."""

    embedding_size: int
    model_checksum: str

    @property
    def preprocessor(self) -> Any:
        """The preprocessing that turns an image into the network's input."""

    def encode(self, images: Any) -> Floats:
        """Return embeddings (n, d) of images, or of scaled tensors."""

    def save(self, path: Any) -> None:
        """Write the model zip."""
