"""Training: the loop over epochs, its history, schedules and checkpoints."""

from pyimgret.training.loop import History, TrainingSettings
from pyimgret.training.targets import Targets

__all__ = ["History", "Targets", "TrainingSettings"]
