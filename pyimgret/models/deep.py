"""Deep autoencoders, pretrained layer by layer with restricted Boltzmann machines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from pyimgret.base import seed_of
from pyimgret.exceptions import InvalidArgumentError, NotFittedError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.jvm.network import JavaNetwork
from pyimgret.layers import Layer
from pyimgret.models.autoencoder import Autoencoder
from pyimgret.models.network import TrainableModel
from pyimgret.models.pretraining import pretrain
from pyimgret.preprocessing import Preprocessor
from pyimgret.preprocessing.inputs import Images, as_input, preprocessor_for
from pyimgret.rbm import RBM, Momentum
from pyimgret.rbm.training import Floats
from pyimgret.training import History, Targets
from pyimgret.training.checkpoints import Checkpoints, TrainingCheckpoint, fingerprint
from pyimgret.training.loop import train

PRETRAININGS = ("rbm", "none")


class DeepAutoencoder(TrainableModel):
    """A deep autoencoder of sigmoid layers with a linear code, after Hinton and Salakhutdinov.

    Every layer is first learned as a restricted Boltzmann machine on the codes of the one
    below. The stack is then unrolled (down with W and the hidden biases, up with the transpose
    and the visible biases) and fine-tuned as a whole by backpropagation. The result is a plain
    Deeplearning4j network.

    Parameters
    ----------
    hidden_sizes : sequence of int
        Units of the layers before the code; the decoder has them in reverse.
    code_size : int
        Length of the code.
    pretraining : str
        "rbm"; or "none", a modern way for comparison: batch normalisation and rectified units
        from random weights.
    rbm_epochs, rbm_batch_size : int
        Of each machine.
    rbm_learning_rate, code_learning_rate : float
        Of the binary machines, and of the last one, whose hidden units are Gaussian.
    rbm_momentum : float or tuple of (epoch, momentum)
    rbm_weight_decay : float
    learning_rate, schedule, updater, batch_size, epochs, l2
        Of the fine-tuning.
    checkpoint : path, optional
        A folder that keeps the state after every epoch of both stages: a run that was killed
        goes on from there when it is started again with the same settings and data.
    preprocessing, random_state, verbose
        As for `Network`.

    Attributes
    ----------
    rbms_ : list of RBM
        The machines, as pretraining left them; not kept in the model's file.
    history_ : dict of str to list of float
        "loss" of fine-tuning, and "rbm_1_error", "rbm_1_free_energy_gap", …

    References
    ----------
    Hinton and Salakhutdinov (2006), Reducing the dimensionality of data with neural networks,
    Science 313.

    Examples
    --------
    >>> DeepAutoencoder(code_size=2, epochs=100)
    DeepAutoencoder(code_size=2, epochs=100)
    """

    patience = None

    def __init__(
        self,
        hidden_sizes: Sequence[int] = (1000, 500, 250),
        code_size: int = 30,
        *,
        pretraining: str = "rbm",
        rbm_epochs: int = 10,
        rbm_learning_rate: float = 0.1,
        code_learning_rate: float = 0.001,
        rbm_momentum: Momentum = ((0, 0.5), (5, 0.9)),
        rbm_weight_decay: float = 2e-4,
        rbm_batch_size: int = 100,
        l2: float = 0.0,
        updater: str = "adam",
        learning_rate: float = 2e-3,
        schedule: str = "one_cycle",
        batch_size: int = 250,
        epochs: int = 50,
        checkpoint: str | os.PathLike[str] | None = None,
        preprocessing: Preprocessor | None = None,
        random_state: int | None = None,
        verbose: bool | None = None,
    ) -> None:
        self.hidden_sizes = hidden_sizes
        self.code_size = code_size
        self.pretraining = pretraining
        self.rbm_epochs = rbm_epochs
        self.rbm_learning_rate = rbm_learning_rate
        self.code_learning_rate = code_learning_rate
        self.rbm_momentum = rbm_momentum
        self.rbm_weight_decay = rbm_weight_decay
        self.rbm_batch_size = rbm_batch_size
        self.l2 = l2
        self.updater = updater
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.epochs = epochs
        self.checkpoint = checkpoint
        self.preprocessing = preprocessing
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self, X: Images, y: object = None, *, X_val: Images = None, y_val: object = None
    ) -> Self:
        """Pretrain every layer, unroll, and fine-tune the whole.

        Parameters
        ----------
        X : images
            As `encode` takes them, with values in [0, 1] when they are not uint8.
        X_val : images, optional
            For the validation loss, and the free-energy gap of every machine.
        y, y_val : ignored
        """
        del y, y_val
        if self.pretraining != "none":
            self.pretrain(X, X_val=X_val)
        return self.fine_tune(X, X_val=X_val)

    def pretrain(self, X: Images, *, X_val: Images = None) -> Self:
        """Learn every layer as a restricted Boltzmann machine on the codes of the one below.

        Afterwards the unrolled network encodes and reconstructs, as yet without fine-tuning.
        """
        self._check_settings()
        if self.pretraining == "none":
            raise InvalidArgumentError(
                "pretraining='none' has no machines to learn; call fine_tune or fit."
            )
        data, validation = self._prepare(X, X_val)
        machines = self._machines(self._seed)
        histories = pretrain(
            machines, _vectors(data), self._checkpoints(data, fine_tuning=False),
            None if validation is None else _vectors(validation),
        )  # fmt: skip
        self.rbms_ = machines
        self.history_ = {
            f"rbm_{number}_{name}": values
            for number, history in enumerate(histories, 1) for name, values in history.items()
        }  # fmt: skip
        self._unroll(data)
        return self

    def fine_tune(self, X: Images, *, X_val: Images = None) -> Self:
        """Train the whole network by backpropagation, from the pretrained weights.

        Raises
        ------
        NotFittedError
            When ``pretraining="rbm"`` and `pretrain` has not run.
        """
        self._check_settings()
        if self.pretraining == "rbm" and not hasattr(self, "rbms_"):
            raise NotFittedError(
                "fine_tune starts from pretrained weights; call pretrain(X) first."
            )
        data, validation = self._prepare(X, X_val)
        kept = TrainingCheckpoint(self._checkpoints(data, fine_tuning=True), "fine_tuning")
        if self.pretraining == "rbm":
            self._unroll(data)
        else:
            self._build(data)
            self.history_ = {}
        settings = self._training(self._seed)
        judged = None if validation is None else (validation, Targets())
        history = History()
        try:
            train(self._network, data, Targets(), settings, judged, kept, history)
        finally:
            self.history_ |= history.to_dict()
        return self

    def _check_settings(self) -> None:
        super()._check_settings()
        self._plain()._check_settings()
        if self.pretraining not in PRETRAININGS:
            raise InvalidArgumentError(
                f"pretraining={self.pretraining!r} is unknown; known: {', '.join(PRETRAININGS)}."
            )
        for machine in self._machines(0) if self.pretraining == "rbm" else []:
            machine.check_settings()
        if self.checkpoint is not None and self.random_state is None:
            raise InvalidArgumentError(
                "checkpoint needs a random_state: a run that goes on must draw what it would have."
            )

    def _plain(self) -> Autoencoder:
        """Return the autoencoder of the same layers."""
        modern = self.pretraining == "none"
        return Autoencoder(
            self.hidden_sizes, self.code_size, "relu" if modern else "sigmoid",
            batch_normalization=modern, output="sigmoid", l2=self.l2,
        )  # fmt: skip

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        return self._plain()._layers(shape, targets, data)

    def _prepare(self, X: Images, X_val: Images) -> tuple[NetworkInput, NetworkInput | None]:
        preprocessor = self.preprocessing or preprocessor_for(X)
        data = as_input(X, preprocessor, None)
        validation = None if X_val is None else as_input(X_val, preprocessor, data.shape)
        for values in (data, validation):
            if values is not None and not values.within_unit_interval:
                raise InvalidArgumentError(
                    "X holds values from {:g} to {:g}; the units of a DeepAutoencoder take values "
                    "in [0, 1]. Scale them (X / 255 for pixels).".format(*values.range)
                )
        self._preprocessor = preprocessor
        if not hasattr(self, "_seed") or self.random_state is not None:
            self._seed = seed_of(self.random_state)
        return data, validation

    def _checkpoints(self, data: NetworkInput, *, fine_tuning: bool) -> Checkpoints:
        """Return where a stage keeps its state; one stage may change its settings alone."""
        if self.checkpoint is None:
            return Checkpoints(None, "")
        names = ["hidden_sizes", "code_size", "pretraining", "code_learning_rate"]
        names += [name for name in self._parameter_names() if name.startswith("rbm_")]
        if fine_tuning:
            names += ["l2", "updater", "learning_rate", "schedule", "batch_size", "epochs"]
        settings = {name: getattr(self, name) for name in names} | {"seed": self._seed}
        return Checkpoints(Path(self.checkpoint), fingerprint(settings, data))

    def _machines(self, seed: int) -> list[RBM]:
        """Return the machines, not fitted: binary ones, and a last one of Gaussian hidden units."""
        sizes = [*self.hidden_sizes, self.code_size]
        machines = []
        for number, size in enumerate(sizes):
            last = number == len(sizes) - 1
            machines.append(
                RBM(
                    size,
                    hidden="gaussian" if last else "bernoulli",
                    learning_rate=self.code_learning_rate if last else self.rbm_learning_rate,
                    momentum=self.rbm_momentum,
                    weight_decay=self.rbm_weight_decay,
                    batch_size=self.rbm_batch_size,
                    n_epochs=self.rbm_epochs,
                    random_state=(seed + number) % 2**63,
                    verbose=self.verbose,
                )
            )
        return machines

    def _build(self, data: NetworkInput) -> None:
        network = JavaNetwork.create(self._settings(data, Targets(), self._seed))
        self._adopt(network, data.shape, self._preprocessor, "code")

    def _unroll(self, data: NetworkInput) -> None:
        """Make the network of the machines: W and hidden biases down, W^T and visible ones up."""
        self._build(data)
        depth = len(self.rbms_)
        for number, rbm in enumerate(self.rbms_):
            up = 2 * depth - 1 - number
            self._network.set(f"{number}_W", np.ascontiguousarray(rbm.components_.T))
            self._network.set(f"{number}_b", rbm.intercept_hidden_)
            self._network.set(f"{up}_W", rbm.components_)
            self._network.set(f"{up}_b", rbm.intercept_visible_)

    def rbm_weights(self, number: int) -> Floats:
        """Return what the units of a machine look for, in pixels: (n_pixels, units).

        Parameters
        ----------
        number : int
            1 for the first machine. The weights of a higher one are multiplied with those
            below it, which is how its units see the picture when the layers below are linear.
        """
        if not hasattr(self, "rbms_"):
            raise NotFittedError("The machines are there after pretrain(X) or fit(X) alone.")
        if not 1 <= number <= len(self.rbms_):
            raise InvalidArgumentError(f"there are machines 1 to {len(self.rbms_)}, not {number}.")
        seen: Floats = self.rbms_[0].components_.T
        for rbm in self.rbms_[1:number]:
            seen = seen @ rbm.components_.T
        return seen


def _vectors(data: NetworkInput) -> Floats:
    return np.ascontiguousarray(data.scaled().reshape(len(data), -1))
