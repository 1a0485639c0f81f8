"""Networks: `Network` of any layers, autoencoders, and what they have in common."""

from pyimgret.networks.autoencoder import Autoencoder, DenoisingAutoencoder
from pyimgret.networks.base import Model
from pyimgret.networks.conv import ConvNet, RowNet
from pyimgret.networks.conv_autoencoder import ConvAutoencoder
from pyimgret.networks.deep import DeepAutoencoder
from pyimgret.networks.network import Network
from pyimgret.networks.persistence import PlainNetwork, load

__all__ = [
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
