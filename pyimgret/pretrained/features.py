"""What a network that does not change makes of files: computed once, and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyimgret.encoder import Encoder
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.files.atomic import write_atomically
from pyimgret.pretrained.network import PretrainedNetwork

#: Images that are in memory at a time.
_AT_A_TIME = 64


def cached_features(
    network: PretrainedNetwork, files: Sequence[Path], folder: Path, *, layer: str | None = None
) -> NDArray[np.float32]:
    """Return the features of files, from a cache when nothing has changed.

    The cache is a file of its own for each network, layer and list of files; one whose network,
    names, sizes or times are others is not used. It is mapped into memory, not read, and made in
    pieces: neither needs more memory for more images. Nothing deletes it.

    Parameters
    ----------
    network : PretrainedNetwork
    files : sequence of Path
        Images that can be read.
    folder : Path
        Where the cache is kept; made when it is missing.
    layer : str, optional
        A vertex whose maps are wanted in place of the embeddings.

    Returns
    -------
    ndarray
        Read-only: embeddings, (n, embedding_size), or maps, (n, height, width, channels).
    """
    cache = folder / f"features-{_identity(network, files, layer)[:24]}.npy"
    if not cache.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(cache, lambda target: _compute(network, files, layer, target))
    stored: NDArray[np.float32] = np.load(cache, mmap_mode="r", allow_pickle=False)
    return stored


def _identity(network: PretrainedNetwork, files: Sequence[Path], layer: str | None) -> str:
    """Return a checksum of what the features follow from."""
    digest = hashlib.sha256(f"{Encoder(network).model_checksum} {network.flip} {layer}".encode())
    for file in files:
        status = file.stat()
        digest.update(
            f"{file.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(
                errors="surrogateescape"
            )
        )
    return digest.hexdigest()


def _compute(
    network: PretrainedNetwork, files: Sequence[Path], layer: str | None, target: Path
) -> None:
    assert network.preprocessor is not None  # an ImageNet network takes images
    out = None
    for start in range(0, len(files), _AT_A_TIME):
        some = files[start : start + _AT_A_TIME]
        pixels = np.stack([network.preprocessor.pixels(file) for file in some])
        if layer is None:
            part = network.encode(pixels)
        else:
            part = network.feature_maps(pixels, layer).transpose(0, 2, 3, 1)
        if out is None:
            shape = (len(files), *part.shape[1:])
            out = np.lib.format.open_memmap(target, mode="w+", dtype=np.float32, shape=shape)
        out[start : start + len(part)] = part
    if out is None:
        raise InvalidArgumentError("there are no files to compute features of.")
    out.flush()
