"""Models from their files."""

from __future__ import annotations

import importlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

from pyimgret.exceptions import InvalidArgumentError, ModelFormatError
from pyimgret.jvm.arrays import InputShape
from pyimgret.jvm.graph import JavaGraph
from pyimgret.jvm.network import JavaNetwork
from pyimgret.models.base import Model
from pyimgret.preprocessing import Preprocessor
from pyimgret.trained import METADATA, TrainedNetwork, read_metadata, refuse_garbled

_ELSEWHERE = {"FineTunedNetwork": "pyimgret.pretrained", "PretrainedNetwork": "pyimgret.pretrained"}
"""Kinds of model that other packages define, and which."""


def load(
    path: str | os.PathLike[str],
    *,
    code_layer: int | str | None = None,
    preprocessing: Preprocessor | None = None,
    shape: InputShape | None = None,
) -> Model:
    """Return a saved model, of the kind that was saved.

    Parameters
    ----------
    path : path
        A model zip.
    code_layer : int or str, optional
        Whose output is the embedding; needed for a zip that Deeplearning4j wrote itself, and
        refused for one of pyimgret's, which says so itself. So are the following two.
    preprocessing : Preprocessor, optional
        How images become input; needed likewise.
    shape : InputShape, optional
        What such a network takes; by default images as the preprocessing gives them: for a
        graph that begins with a convolution as images, else as one vector each.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ModelFormatError
        When the file is broken, hostile, of a newer version, or lacks what must be given.
    ValueError
        When something is given that the file says itself.
    """
    file = Path(path)
    metadata = read_metadata(file)
    if metadata is None:
        return _load_plain(file, code_layer, preprocessing, shape)
    given = {"code_layer": code_layer, "preprocessing": preprocessing, "shape": shape}
    if refused := ", ".join(name for name, value in given.items() if value is not None):
        raise InvalidArgumentError(
            f"{file} holds a {metadata.get('kind')} that pyimgret saved, and says itself how "
            f"images become codes; {refused} can be given for a zip of Deeplearning4j's alone. "
            "Call load(path) without; model.activate(X, layer) gives the output of any layer."
        )
    return model_of(TrainedNetwork.restore(file, metadata))


def model_of(trained: TrainedNetwork) -> Model:
    """Return the model, of the kind that was saved, of a network out of its file."""
    metadata = trained.metadata
    with refuse_garbled(trained.path):
        # NB: a kind is known when its module is loaded.
        if metadata["kind"] in _ELSEWHERE:
            importlib.import_module(_ELSEWHERE[metadata["kind"]])
        kind = Model.kinds.get(metadata["kind"])
        if kind is None:
            raise ModelFormatError(
                f"{trained.path} holds a {metadata['kind']!r}; known kinds: "
                f"{', '.join(sorted(Model.kinds))}."
            )
        model = kind.__new__(kind)
        model._restore_parameters(metadata["parameters"])
        model._take(trained)
        model.history_ = metadata.get("training", {}).get("history", {})
        model.__dict__["scores_"] = metadata.get("scores", {})
        model._restore_state(metadata.get("state", {}))
    return model


def _load_plain(
    file: Path,
    code_layer: int | str | None,
    preprocessing: Preprocessor | None,
    shape: InputShape | None,
) -> Model:
    if code_layer is None or (preprocessing is None and shape is None):
        raise ModelFormatError(
            f"{file} holds no {METADATA}: Deeplearning4j wrote it, and it does not say how "
            "images become its input. Give load(path, code_layer=..., preprocessing=...)."
        )
    configuration = _configuration(file)
    graph = "vertices" in configuration
    # NB: restoring checks the file; only then is what it says believed.
    network = JavaGraph.restore(file) if graph else JavaNetwork.restore(file)
    kind = _graph_input(file, configuration) if graph else "dense"
    if shape is None:
        assert preprocessing is not None
        channels = 3 if preprocessing.mode == "RGB" else 1
        shape = InputShape(kind, preprocessing.height, preprocessing.width, channels)
    model = PlainNetwork()
    model._adopt(network, shape, preprocessing, code_layer)
    model.history_ = {}
    return model


def _configuration(file: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(file) as archive:
            configuration: dict[str, Any] = json.loads(archive.read("configuration.json"))
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelFormatError(f"{file} holds no readable configuration.json: {error}") from error
    return configuration


def _graph_input(file: Path, configuration: dict[str, Any]) -> str:
    """Return the kind of input that a graph of Deeplearning4j's own takes."""
    inputs = configuration["networkInputs"]
    if len(inputs) != 1:
        raise ModelFormatError(f"{file} holds a graph with {len(inputs)} inputs; 1 is expected.")
    if '"NHWC"' in json.dumps(configuration):
        raise ModelFormatError(
            f"{file} holds a graph with channels last (NHWC); save it with channels first (NCHW)."
        )
    vertices = configuration["vertices"]
    first = [
        vertices[n] for n, sources in configuration["vertexInputs"].items() if inputs[0] in sources
    ]
    return "convolutional" if any(map(_takes_images, first)) else "dense"


def _takes_images(vertex: dict[str, Any]) -> bool:
    layer = vertex.get("layerConf", {}).get("layer", {}).get("@class", "")
    flat = "FeedForwardToCnn" in str(vertex.get("preProcessor"))
    return not flat and any(word in layer for word in ("Convolution", "Subsampling", "ZeroPadding"))


class PlainNetwork(Model):
    """A network that Deeplearning4j saved itself; it encodes, and can be saved with the rest."""
