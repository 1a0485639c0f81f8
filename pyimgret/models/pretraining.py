"""Greedy pretraining: one RBM after another, each on the codes of the one below."""

from __future__ import annotations

from pyimgret.rbm import RBM
from pyimgret.rbm.training import Floats
from pyimgret.training.checkpoints import Checkpoints


def pretrain(
    rbms: list[RBM], X: Floats, checkpoints: Checkpoints, X_val: Floats | None = None
) -> list[dict[str, list[float]]]:
    """Train every RBM on the codes of the one below; resumes from checkpoints.

    Returns
    -------
    The histories, RBM by RBM.

    References
    ----------
    Hinton, Osindero and Teh (2006), A fast learning algorithm for deep belief nets.
    """
    for number, rbm in enumerate(rbms, 1):
        stage = f"rbm_{number}"
        stored = checkpoints.read(stage)
        if stored is not None:
            rbm.set_state(*stored)
        while rbm.epochs_done < rbm.epochs:
            rbm.partial_fit(X, X_val=X_val)
            checkpoints.write(stage, *rbm.get_state())
        if number < len(rbms):
            X = rbm.transform(X)
            X_val = None if X_val is None else rbm.transform(X_val)
    return [rbm.history_ for rbm in rbms]
