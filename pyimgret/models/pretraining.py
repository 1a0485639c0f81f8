"""Greedy pretraining: machine after machine, each on the codes of the one below."""

from __future__ import annotations

from pyimgret.rbm import RBM
from pyimgret.rbm.training import Floats
from pyimgret.training.checkpoints import Checkpoints


def pretrain(
    machines: list[RBM], X: Floats, checkpoints: Checkpoints, X_val: Floats | None = None
) -> list[dict[str, list[float]]]:
    """Train every machine on the codes of the one below; goes on from checkpoints.

    Returns
    -------
    The histories, machine by machine.

    References
    ----------
    Hinton, Osindero and Teh (2006), A fast learning algorithm for deep belief nets.
    """
    for number, machine in enumerate(machines, 1):
        _train(machine, f"rbm_{number}", X, checkpoints, X_val)
        if number < len(machines):
            X = machine.transform(X)
            X_val = None if X_val is None else machine.transform(X_val)
    return [machine.history_ for machine in machines]


def _train(
    machine: RBM, stage: str, X: Floats, checkpoints: Checkpoints, X_val: Floats | None
) -> None:
    found = checkpoints.read(stage)
    if found is not None:
        machine.set_state(*found)
    while machine.n_epochs_done < machine.n_epochs:
        machine.partial_fit(X, X_val=X_val)
        checkpoints.write(stage, *machine.get_state())
