"""Restricted Boltzmann machines and their training."""

from pyimgret.rbm.rbm import RBM, VISIBLE_UNITS, Momentum

__all__ = ["RBM", "VISIBLE_UNITS", "Momentum"]
