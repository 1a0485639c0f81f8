"""Find images that look like this one.

Networks are built and trained from Python on Deeplearning4j; embeddings are compared by
cosine similarity. Importing this package starts nothing: the Java virtual machine comes up
with the first call that needs it, and each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from pyimgret.version import __version__ as __version__

if TYPE_CHECKING:
    from pyimgret import datasets as datasets
    from pyimgret import encoder as encoder
    from pyimgret import evaluation as evaluation
    from pyimgret import exceptions as exceptions
    from pyimgret import explain as explain
    from pyimgret import index as index
    from pyimgret import layers as layers
    from pyimgret import models as models
    from pyimgret import preprocessing as preprocessing
    from pyimgret import pretrained as pretrained
    from pyimgret import rbm as rbm
    from pyimgret import spark as spark
    from pyimgret import visualization as visualization
    from pyimgret.encoder import Encoder as Encoder
    from pyimgret.index import Index as Index
    from pyimgret.jvm import JvmSettings as JvmSettings
    from pyimgret.jvm import configure as configure
    from pyimgret.jvm import with_java as with_java
    from pyimgret.models import PCA as PCA
    from pyimgret.models import SVD as SVD
    from pyimgret.models import Autoencoder as Autoencoder
    from pyimgret.models import ConvAutoencoder as ConvAutoencoder
    from pyimgret.models import ConvNet as ConvNet
    from pyimgret.models import DeepAutoencoder as DeepAutoencoder
    from pyimgret.models import DenoisingAutoencoder as DenoisingAutoencoder
    from pyimgret.models import Network as Network
    from pyimgret.models import RowNet as RowNet
    from pyimgret.models import load as load
    from pyimgret.preprocessing import Preprocessor as Preprocessor
    from pyimgret.pretrained import FineTunedNetwork as FineTunedNetwork
    from pyimgret.pretrained import PretrainedNetwork as PretrainedNetwork
    from pyimgret.rbm import RBM as RBM

_PUBLIC = {
    "encoder": "Encoder",
    "index": "Index",
    "jvm": "JvmSettings configure with_java",
    "models": "Autoencoder ConvAutoencoder ConvNet DeepAutoencoder DenoisingAutoencoder Network "
    "PCA RowNet SVD load",
    "preprocessing": "Preprocessor",
    "pretrained": "FineTunedNetwork PretrainedNetwork",
    "rbm": "RBM",
}
#: Public name to the module that has it.
_HOMES = {name: module for module, names in _PUBLIC.items() for name in names.split()}

_SUBMODULES = frozenset(
    module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
)

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"pyimgret.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'pyimgret' has no attribute {name!r}")
    return getattr(importlib.import_module(f"pyimgret.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_SUBMODULES})
