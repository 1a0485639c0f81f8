"""Restricted Boltzmann machines and their training."""

from pyimgret.rbm.rbm import RBM, Momentum
from pyimgret.rbm.training import RbmHistory

__all__ = ["RBM", "Momentum", "RbmHistory"]
