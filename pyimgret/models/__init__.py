"""Networks: `Network` of any layers, autoencoders, and what they have in common."""

from pyimgret.models.autoencoder import Autoencoder, ConvAutoencoder, DenoisingAutoencoder
from pyimgret.models.base import Model
from pyimgret.models.conv import ConvNet, RowNet
from pyimgret.models.decomposition import PCA, SVD
from pyimgret.models.deep import DeepAutoencoder
from pyimgret.models.network import Network
from pyimgret.models.serialization import PlainNetwork, load

__all__ = [
    "PCA",
    "SVD",
    "Autoencoder",
    "ConvAutoencoder",
    "ConvNet",
    "DeepAutoencoder",
    "DenoisingAutoencoder",
    "Model",
    "Network",
    "PlainNetwork",
    "RowNet",
    "load",
]
