"""A trained network and its file: a Deeplearning4j zip with one more entry, ``pyimgret.json``.

Plain Deeplearning4j restores the zip (``ModelSerializer``) and never looks at that entry.
Nothing here imports scikit-learn, so that the encoder of a file starts fast.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pyimgret.choices import names
from pyimgret.exceptions import InvalidArgumentError, ModelFormatError
from pyimgret.files.atomic import write_atomically
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.jvm.bridge import bridge
from pyimgret.jvm.graph import JavaGraph
from pyimgret.jvm.network import JavaNetwork
from pyimgret.preprocessing import Preprocessor
from pyimgret.preprocessing.inputs import Images, as_input

METADATA = "pyimgret.json"
FORMAT = 1

#: Kinds of model that can average the codes of an image and its mirror image.
_MIRRORING = names("FineTunedNetwork PretrainedNetwork")
#: Kinds of model that encode as `TrainedNetwork` does, which those of other packages may not.
KINDS = _MIRRORING | names(
    "Autoencoder ConvAutoencoder ConvNet DeepAutoencoder DenoisingAutoencoder Network PCA "
    "PlainNetwork RowNet SVD"
)


@dataclass
class TrainedNetwork:
    """A network in Java and what it takes: all that an embedding follows from.

    Attributes
    ----------
    java_network : JavaNetwork
    input : InputShape
        What the network takes.
    preprocessor : Preprocessor or None
        How images become input; None for vectors.
    code_layer : int
        The layer whose output is the code; it may be given by name, or counted from the end.
    any_scale : bool
        Whether float vectors of any size make sense, as they do for a linear map.
    flip : bool
        Whether `encode` averages the codes of an image and its mirror image.
    path, metadata : Path, dict
        The file that the network is from, and what it says of the model.
    embedding_size : int
        Length of a code.
    """

    java_network: JavaNetwork
    input: InputShape
    preprocessor: Preprocessor | None
    code_layer: Any
    any_scale: bool = True
    flip: bool = False
    path: Path | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._shapes: dict[int, tuple[int, ...]] = {}
        self.code_layer = self.layer_index(self.code_layer)
        self.embedding_size = self.width(self.code_layer)

    @classmethod
    def restore(cls, path: Path, metadata: dict[str, Any]) -> Self:
        """Restore the network of a model's file, whose metadata `read_metadata` has returned.

        Raises
        ------
        ModelFormatError
            When the file is broken or hostile.
        """
        with refuse_garbled(path):
            kind, stored = metadata["kind"], metadata["preprocessing"]
            handle = {"multilayer": JavaNetwork, "graph": JavaGraph}.get(metadata["network"])
            if handle is None:
                raise ModelFormatError(
                    f"{path} holds a network of the kind {metadata['network']!r}."
                )
            trained = cls(
                handle.restore(path),
                InputShape.from_dict(metadata["input"]),
                None if stored is None else Preprocessor.from_dict(stored),
                metadata["code_layer"],
                any_scale=kind in {"PCA", "SVD", "PlainNetwork"},
                flip=kind in _MIRRORING and metadata["parameters"].get("flip", False),
                path=path,
                metadata=metadata,
            )
            if trained.embedding_size != metadata["embedding_size"]:
                raise ModelFormatError(
                    f"{path}: the code layer gives {trained.embedding_size} values, but "
                    f"{METADATA} says {metadata['embedding_size']}."
                )
        return trained

    def encode(self, X: Images, *, batch_size: int = 256) -> NDArray[np.float32]:
        """Return the codes of images, (n, embedding_size)."""
        data = self.as_input(X)
        codes = self.activate(data, self.code_layer, batch_size)
        if not self.flip:
            return codes
        mirrored = self.as_input(np.ascontiguousarray(data.values[:, :, ::-1]))
        return (codes + self.activate(mirrored, self.code_layer, batch_size)) / np.float32(2)

    def as_input(self, X: Images) -> NetworkInput:
        """Return images or vectors in the form that Java reads."""
        return as_input(X, self.preprocessor, self.input, any_scale=self.any_scale)

    def activate(self, data: NetworkInput, layer: int, batch_size: int) -> NDArray[np.float32]:
        """Return the output of a layer, flattened to (n, values)."""
        width = self.width(layer)
        return self.java_network.activate(data, last=layer, width=width, batch_size=batch_size)

    def shape(self, layer: int) -> tuple[int, ...]:
        """Return the output shape of a layer: (values,) or (channels, height, width)."""
        if layer not in self._shapes:
            probe = NetworkInput(np.zeros((1, self.input.size), np.float32), None, self.input)
            self._shapes[layer] = self.java_network.output_shape(probe, layer)
        return self._shapes[layer]

    def width(self, layer: int) -> int:
        """Return the number of output values of a layer."""
        return math.prod(self.shape(layer))

    def layer_index(self, layer: int | str) -> int:
        """Return the index of a layer that is named, or counted from either end."""
        layers = self.java_network.describe()["layers"]
        if isinstance(layer, str):
            known = [entry["name"] for entry in layers]
            if layer not in known:
                raise InvalidArgumentError(
                    f"no layer is called {layer!r}; there are {', '.join(known)}."
                )
            return known.index(layer)
        index = layer + len(layers) if layer < 0 else layer
        if not 0 <= index < len(layers):
            raise InvalidArgumentError(f"there is no layer {layer}; the network has {len(layers)}.")
        return index

    def definition(self) -> dict[str, Any]:
        """Return what, beside the network itself, decides an embedding."""
        return {
            "code_layer": self.java_network.layer_reference(self.code_layer),
            "normalisation": "l2",
            "input": self.input.to_dict(),
            "preprocessing": self.preprocessor and self.preprocessor.to_dict(),
        }

    def checksum(self) -> str:
        """Return SHA-256, in hex, over all that decides an embedding."""
        configuration = json.loads(self.java_network.configuration())
        decisive = self.definition() | {"configuration": _without_progress(configuration)}
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
        digest.update(self.java_network.parameters.astype("<f4").tobytes())
        return digest.hexdigest()

    def save(self, path: Path, description: dict[str, Any]) -> None:
        """Write a model; an existing file is replaced when the new one is complete and on disk."""

        def write(target: Path) -> None:
            self.java_network.write(target)
            with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(METADATA, json.dumps(description, indent=1))

        write_atomically(path, write)


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


@contextlib.contextmanager
def refuse_garbled(path: Path | None) -> Iterator[None]:
    """Say of what is missing or wrong in a model's metadata that its file is broken."""
    try:
        yield
    except ModelFormatError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFormatError(f"{path}: {METADATA} lacks or garbles {error}.") from error


def read_metadata(path: Path) -> dict[str, Any] | None:
    """Return what ``pyimgret.json`` says, or None for a zip of plain Deeplearning4j.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ModelFormatError
        When the file is broken, hostile, or of a newer version.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no such model file", str(path))
    text = bridge().call("readMetadata", str(path))
    if not text:
        return None
    try:
        metadata = json.loads(text)
    except ValueError as error:
        raise ModelFormatError(f"{path}: {METADATA} is not JSON: {error}") from error
    if not isinstance(metadata, dict) or not isinstance(metadata.get("format"), int):
        raise ModelFormatError(f"{path}: {METADATA} does not say its format version.")
    if metadata["format"] > FORMAT:
        raise ModelFormatError(
            f"{path} has format version {metadata['format']}, written by "
            f"{metadata.get('library', 'a newer pyimgret')}; this one reads up to {FORMAT}. "
            "Upgrade pyimgret."
        )
    return metadata
