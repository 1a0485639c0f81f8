"""Deep autoencoders, pretrained layer by layer with restricted Boltzmann machines."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from pyimgret.base import seed_of, with_settings
from pyimgret.choices import choose
from pyimgret.exceptions import InvalidArgumentError, NotFittedError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.jvm.network import JavaNetwork
from pyimgret.layers import Layer
from pyimgret.models.autoencoder import DenseStack
from pyimgret.models.weights import through
from pyimgret.preprocessing.inputs import Images
from pyimgret.rbm import RBM, VISIBLE_UNITS, Momentum
from pyimgret.rbm.training import Floats
from pyimgret.training import Targets
from pyimgret.training.checkpoints import Checkpoints, TrainingCheckpoint, fingerprint

PRETRAININGS = frozenset({"rbm", "none"})


@with_settings
class DeepAutoencoder(DenseStack):
    """A deep autoencoder of sigmoid layers with a linear code, after Hinton and Salakhutdinov.

    Every layer is first learned as a restricted Boltzmann machine on the codes of the one
    below. The stack is then unrolled (down with W and the hidden biases, up with the transpose
    and the visible biases) and fine-tuned as a whole by backpropagation. The result is a plain
    Deeplearning4j network.

    Parameters
    ----------
    visible : str
        "bernoulli" for values in [0, 1], "gaussian" for vectors of mean 0 and variance 1.
    pretraining : str
        "rbm"; or "none", a modern way for comparison: batch normalisation and rectified units
        from random weights.
    rbm_epochs : int
        Epochs of each RBM.
    rbm_learning_rate : float
        Of the RBMs with binary units.
    code_learning_rate : float
        Of the RBMs with Gaussian units: the last one, and the first one if ``visible`` says so.
    rbm_momentum : float or tuple of (epoch, momentum)
        As for `RBM`.
    rbm_weight_decay : float
        Penalty on the weights of the RBMs.
    rbm_batch_size : int
        Images in a training step of an RBM.
    l2 : float
        Penalty on the weights in fine-tuning.
    checkpoint : path, optional
        A folder that keeps the state after every epoch of both stages: a run that was killed
        resumes when it is started again with the same settings and data.

    Attributes
    ----------
    rbms_ : list of RBM
        As pretraining left them; not stored in the model's file.
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

    visible: str = "bernoulli"
    pretraining: str = "rbm"
    rbm_epochs: int = 10
    rbm_learning_rate: float = 0.1
    code_learning_rate: float = 0.001
    rbm_momentum: Momentum = ((0, 0.5), (5, 0.9))
    rbm_weight_decay: float = 2e-4
    rbm_batch_size: int = 100
    learning_rate: float = 2e-3
    batch_size: int = 250
    epochs: int = 50

    def fit(
        self, X: Images, y: object = None, *, X_val: Images = None, y_val: object = None
    ) -> Self:
        """Pretrain every layer, unroll, and fine-tune the whole.

        Parameters
        ----------
        X : images
            As `encode` takes them, with values in [0, 1] when they are not uint8.
        X_val : images, optional
            For the validation loss, and the free-energy gap of every RBM.
        y, y_val : ignored
        """
        del y, y_val
        if self.pretraining != "none":
            self.pretrain(X, X_val=X_val)
        return self.fine_tune(X, X_val=X_val)

    def pretrain(self, X: Images, *, X_val: Images = None) -> Self:
        """Learn every layer as a restricted Boltzmann machine on the codes of the one below.

        Afterwards the unrolled network encodes and reconstructs, as yet without fine-tuning.

        References
        ----------
        Hinton, Osindero and Teh (2006), A fast learning algorithm for deep belief nets.
        """
        self._check_settings()
        if self.pretraining == "none":
            raise InvalidArgumentError(
                "pretraining='none' has no RBMs to train; call fine_tune or fit."
            )
        data, validation = self._prepare(X, X_val)
        rbms = self._rbms(self._seed)
        checkpoints = self._checkpoints(data, fine_tuning=False)
        codes, codes_val = _vectors(data), None if validation is None else _vectors(validation[0])
        self.history_ = {}
        for number, rbm in enumerate(rbms, 1):
            stored = checkpoints.read(f"rbm_{number}")
            if stored is not None:
                rbm.set_state(*stored)
            while rbm.epochs_done < rbm.epochs:
                rbm.partial_fit(codes, X_val=codes_val)
                checkpoints.write(f"rbm_{number}", *rbm.get_state())
            self.history_ |= {f"rbm_{number}_{n}": values for n, values in rbm.history_.items()}
            if number < len(rbms):
                codes = rbm.transform(codes)
                codes_val = None if codes_val is None else rbm.transform(codes_val)
        self.rbms_ = rbms
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
        checkpoint = TrainingCheckpoint(self._checkpoints(data, fine_tuning=True), "fine_tuning")
        if self.pretraining == "rbm":
            self._unroll(data)
        else:
            self._build(data)
            self.history_ = {}
        self._train(data, Targets(), self._training(self._seed), validation, checkpoint)
        return self

    def _check_settings(self) -> None:
        super()._check_settings()
        choose("visible", self.visible, VISIBLE_UNITS)
        choose("pretraining", self.pretraining, PRETRAININGS)
        for rbm in self._rbms(0) if self.pretraining == "rbm" else []:
            rbm.check_settings()

    def _layers(self, shape: InputShape, targets: Targets, data: NetworkInput) -> list[Layer]:
        del targets, data
        modern = self.pretraining == "none"
        output = "sigmoid" if self.visible == "bernoulli" else "identity"
        return self._stack(shape.size, "relu" if modern else "sigmoid", output, normalized=modern)

    def _prepare(
        self, X: Images, X_val: Images
    ) -> tuple[NetworkInput, tuple[NetworkInput, Targets] | None]:
        data, self._preprocessor = self._input(X)
        validation = self._validation(X_val, None, self._preprocessor, data.shape, Targets())
        for values in [data] if validation is None else [data, validation[0]]:
            if self.visible == "bernoulli" and not values.within_unit_interval:
                raise InvalidArgumentError(
                    "X holds values from {:g} to {:g}; the units of a DeepAutoencoder take values "
                    "in [0, 1]. Scale them (X / 255 for pixels), or use visible='gaussian' for "
                    "standardised vectors.".format(*values.range)
                )
        if not hasattr(self, "_seed") or self.random_state is not None:
            self._seed = seed_of(self.random_state)
        return data, validation

    def _checkpoints(self, data: NetworkInput, *, fine_tuning: bool) -> Checkpoints:
        """Return where a stage keeps its state; one stage may change its settings alone."""
        if self.checkpoint is None:
            return Checkpoints(None, "")
        names = ["hidden_sizes", "code_size", "visible", "pretraining", "code_learning_rate"]
        names += [name for name in self.get_params() if name.startswith("rbm_")]
        if fine_tuning:
            names += ["l2", "optimizer", "learning_rate", "schedule", "batch_size", "epochs"]
            names += ["patience"]
        settings = {name: getattr(self, name) for name in names} | {"seed": self._seed}
        return Checkpoints(Path(self.checkpoint), fingerprint(settings, data))

    def _rbms(self, seed: int) -> list[RBM]:
        """Return the RBMs, not fitted: the last one has Gaussian hidden units, others binary."""
        sizes = [*self.hidden_sizes, self.code_size]
        rbms = []
        for number, size in enumerate(sizes):
            last = number == len(sizes) - 1
            visible = "bernoulli" if number else self.visible
            linear = last or visible == "gaussian"
            rbms.append(
                RBM(
                    size,
                    visible=visible,
                    hidden="gaussian" if last else "bernoulli",
                    learning_rate=self.code_learning_rate if linear else self.rbm_learning_rate,
                    momentum=self.rbm_momentum,
                    weight_decay=self.rbm_weight_decay,
                    batch_size=self.rbm_batch_size,
                    epochs=self.rbm_epochs,
                    random_state=(seed + number) % 2**63,
                    verbose=self.verbose,
                )
            )
        return rbms

    def _build(self, data: NetworkInput) -> None:
        network = JavaNetwork.create(self._settings(data, Targets(), self._seed))
        self._adopt(network, data.shape, self._preprocessor, "code")

    def _unroll(self, data: NetworkInput) -> None:
        """Make the network of the RBMs: W and hidden biases down, W^T and visible ones up."""
        self._build(data)
        depth = len(self.rbms_)
        for number, rbm in enumerate(self.rbms_):
            up = 2 * depth - 1 - number
            self._network.set(f"{number}_W", np.ascontiguousarray(rbm.components_.T))
            self._network.set(f"{number}_b", rbm.intercept_hidden_)
            self._network.set(f"{up}_W", rbm.components_)
            self._network.set(f"{up}_b", rbm.intercept_visible_)

    def rbm_weights(self, number: int) -> Floats:
        """Return what the units of an RBM respond to, in pixels: (n_pixels, units).

        Parameters
        ----------
        number : int
            1 for the first RBM. The weights of a higher one are multiplied with those
            below it, which is how its units see the image when the layers below are linear.
        """
        if not hasattr(self, "rbms_"):
            raise NotFittedError("There are RBMs only after pretrain(X) or fit(X).")
        if not 1 <= number <= len(self.rbms_):
            raise InvalidArgumentError(f"there are RBMs 1 to {len(self.rbms_)}, not {number}.")
        seen: Floats = through([rbm.components_.T for rbm in self.rbms_[:number]])
        return seen


def _vectors(data: NetworkInput) -> Floats:
    return np.ascontiguousarray(data.scaled().reshape(len(data), -1))
