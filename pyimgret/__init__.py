"""Find images that look like this one.

Networks are built and trained from Python on Deeplearning4j; embeddings are compared by
cosine similarity. Importing this package starts nothing: the Java virtual machine comes up
with the first call that needs it, and each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pyimgret import datasets as datasets
    from pyimgret import decomposition as decomposition
    from pyimgret import encoder as encoder
    from pyimgret import evaluation as evaluation
    from pyimgret import exceptions as exceptions
    from pyimgret import explain as explain
    from pyimgret import finetuning as finetuning
    from pyimgret import improvements as improvements
    from pyimgret import index as index
    from pyimgret import layers as layers
    from pyimgret import networks as networks
    from pyimgret import preprocessing as preprocessing
    from pyimgret import pretrained as pretrained
    from pyimgret import rbm as rbm
    from pyimgret import robustness as robustness
    from pyimgret import spark as spark
    from pyimgret import visualization as visualization
    from pyimgret._jvm import JvmSettings as JvmSettings
    from pyimgret._jvm import configure as configure
    from pyimgret._jvm import with_java as with_java
    from pyimgret.decomposition import PCA as PCA
    from pyimgret.decomposition import SVD as SVD
    from pyimgret.encoder import Encoder as Encoder
    from pyimgret.finetuning import FineTunedNetwork as FineTunedNetwork
    from pyimgret.index import Index as Index
    from pyimgret.networks import Autoencoder as Autoencoder
    from pyimgret.networks import ConvAutoencoder as ConvAutoencoder
    from pyimgret.networks import ConvNet as ConvNet
    from pyimgret.networks import DeepAutoencoder as DeepAutoencoder
    from pyimgret.networks import DenoisingAutoencoder as DenoisingAutoencoder
    from pyimgret.networks import Network as Network
    from pyimgret.networks import RowNet as RowNet
    from pyimgret.networks import load as load
    from pyimgret.preprocessing import Preprocessor as Preprocessor
    from pyimgret.pretrained import PretrainedNetwork as PretrainedNetwork
    from pyimgret.rbm import RBM as RBM

#: Public name to the module that has it.
_HOMES = {
    "Autoencoder": "networks",
    "DeepAutoencoder": "networks",
    "DenoisingAutoencoder": "networks",
    "ConvAutoencoder": "networks",
    "ConvNet": "networks",
    "Encoder": "encoder",
    "FineTunedNetwork": "finetuning",
    "Index": "index",
    "JvmSettings": "_jvm",
    "Network": "networks",
    "PCA": "decomposition",
    "Preprocessor": "preprocessing",
    "PretrainedNetwork": "pretrained",
    "RBM": "rbm",
    "RowNet": "networks",
    "SVD": "decomposition",
    "configure": "_jvm",
    "load": "networks",
    "with_java": "_jvm",
}

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
