"""Restricted Boltzmann machines: binary, Gaussian and rectified units, contrastive divergence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if

from pyimgret.base import Estimator, RandomState, seed_of, with_settings
from pyimgret.choices import check_numbers, choose
from pyimgret.exceptions import InvalidArgumentError, NotFittedError
from pyimgret.jvm.arrays import InputShape, NetworkInput
from pyimgret.preprocessing.inputs import Images, as_input, preprocessor_for
from pyimgret.rbm.training import PROBE, Floats, RbmLayer, momentum_of
from pyimgret.training.loop import run_epochs

VISIBLE_UNITS = frozenset({"bernoulli", "gaussian"})
HIDDEN_UNITS = VISIBLE_UNITS | {"relu"}

Momentum = float | tuple[tuple[int, float], ...]


def _flips_visible(rbm: RBM) -> bool:
    if rbm.visible != "bernoulli":
        raise InvalidArgumentError(
            "score_samples flips binary values; use free_energy for Gaussian ones."
        )
    return True


@with_settings
class RBM(Estimator):
    """A restricted Boltzmann machine, trained by contrastive divergence.

    With rows v and h, p(v, h) is proportional to exp(-E(v, h)),
    E = -h W v - b v - c h for binary units; for Gaussian units (variance 1) the term of the
    bias is replaced by ``|v - b|**2 / 2`` or ``|h - c|**2 / 2``. Rectified units stand for
    endlessly many binary copies (Nair and Hinton 2010).

    Parameters
    ----------
    n_components : int
        Hidden units.
    visible : str
        "bernoulli" for values in [0, 1], "gaussian" for data of mean 0 and variance 1.
    hidden : str
        "bernoulli", "gaussian" (a linear code) or "relu".
    k : int
        Steps of Gibbs sampling before the negative statistics are taken.
    persistent : bool
        Let the chains go on from batch to batch (Tieleman 2008): better likelihood, slower.
    sample_visible : bool, optional
        Draw the visible units in the chain. Leaving them at their means has less noise and is
        what the 2006 paper does, but is only right for reconstructions; so the default is to
        draw them when k > 1 or ``persistent``.
    learning_rate : float
        For the mean gradient of a batch. About 0.1 for binary units, 0.001 to 0.01 for others.
    momentum : float or tuple of (epoch, momentum)
        One value, or from which epoch which value.
    weight_decay : float
        Penalty on the weights, 0.0001 to 0.001; not on biases.
    sparsity_target : float, optional
        What part of the time a binary hidden unit should be on, such as 0.1; None for no term.
    sparsity_cost : float
        How strongly.
    sparsity_decay : float
        What part of the running mean of a unit's activity stays with each batch.
    batch_size : int
        Examples in a training step.
    epochs : int
        Passes over the data.
    random_state : int, Generator or RandomState, optional
        Makes a run repeatable.
    verbose : bool, optional
        Progress bar: yes, no, or on a terminal.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        W.
    intercept_hidden_, intercept_visible_ : ndarray
        c and b.
    h_samples_ : ndarray of shape (batch_size, n_components)
        The persistent chains, when there are any.
    history_ : dict of str to list of float
        "error", the mean squared reconstruction error of a value; with validation data
        "free_energy_gap", which rises when the RBM overfits.

    References
    ----------
    Hinton (2002), Training products of experts by minimizing contrastive divergence.
    Hinton (2010), A practical guide to training restricted Boltzmann machines.

    Examples
    --------
    >>> RBM(64, learning_rate=0.05)
    RBM(learning_rate=0.05, n_components=64)
    """

    n_components: int = field(default=256, kw_only=False)
    visible: str = "bernoulli"
    hidden: str = "bernoulli"
    k: int = 1
    persistent: bool = False
    sample_visible: bool | None = None
    learning_rate: float = 0.1
    momentum: Momentum = ((0, 0.5), (5, 0.9))
    weight_decay: float = 2e-4
    sparsity_target: float | None = None
    sparsity_cost: float = 0.1
    sparsity_decay: float = 0.9
    batch_size: int = 100
    epochs: int = 10
    random_state: RandomState = None
    verbose: bool | None = None

    def fit(self, X: Images, y: object = None, *, X_val: Images = None) -> Self:
        """Train anew on visible values.

        Parameters
        ----------
        X : array of shape (n, features), or images
            uint8 images are scaled to [0, 1].
        y : ignored
        X_val : array, optional
            For the free-energy gap.

        Raises
        ------
        ValueError
            For settings or values that make no sense.
        TrainingError
            When the parameters are no longer finite.
        """
        del y
        self.check_settings()
        data = self._visible(self._checked(X, reset=True), None)
        validation = None if X_val is None else self._visible(X_val, data.shape)
        self._begin(data)
        self._train(data, validation, self.epochs)
        return self

    def partial_fit(self, X: Images, y: object = None, *, X_val: Images = None) -> Self:
        """Pass once through the data, going on from where training is.

        What is no more than ``batch_size`` examples is one step.
        """
        del y
        self.check_settings()
        known = self.input_ if self._is_fitted() else None
        data = self._visible(self._checked(X, reset=known is None), known)
        validation = None if X_val is None else self._visible(X_val, data.shape)
        if known is None:
            self._begin(data)
        self._train(data, validation, 1)
        return self

    def transform(self, X: Images) -> Floats:
        """Return the hidden units' means, (n, n_components); max(0, x) for rectified units."""
        data = self._fitted_input(X)
        return self._parameters.hidden_means(data)

    def reconstruct(self, X: Images) -> Floats:
        """Return the visible units' means, given the hidden units' means, (n, features)."""
        return self.inverse_transform(self.transform(X))

    def inverse_transform(self, H: Floats) -> Floats:
        """Return the visible units' means for hidden values, (n, features)."""
        self._check_fitted()
        shape = InputShape("dense", 1, len(self.intercept_hidden_))
        data = as_input(np.asarray(H), None, shape, any_scale=True)
        out = np.empty((len(data), self.n_features_in_), np.float32)
        return self._parameters.compute("rbmVisible", data, out)

    def gibbs(self, X: Images, *, n_steps: int = 1, random_state: RandomState = None) -> Floats:
        """Return visible states after steps of block Gibbs sampling from given ones."""
        data = self._fitted_input(X)
        if n_steps < 1:
            raise InvalidArgumentError(f"n_steps must be at least 1, got {n_steps}.")
        out = np.empty((len(data), self.n_features_in_), np.float32)
        return self._parameters.compute("rbmGibbs", data, out, n_steps, seed_of(random_state))

    def sample(
        self, n_samples: int = 1, *, n_steps: int = 500, random_state: RandomState = None
    ) -> Floats:
        """Return states that the RBM draws, (n_samples, features), from random starts."""
        self._check_fitted()
        if n_samples < 1:
            raise InvalidArgumentError(f"n_samples must be at least 1, got {n_samples}.")
        random = np.random.default_rng(seed_of(random_state))
        start = random.random((n_samples, self.n_features_in_), dtype=np.float32)
        return self.gibbs(start, n_steps=n_steps, random_state=seed_of(random))

    def free_energy(self, X: Images) -> NDArray[np.float64]:
        """Return F(v) = -log sum over h of exp(-E(v, h)), (n,), up to a constant of the units."""
        data = self._fitted_input(X)
        return self._parameters.free_energy(data)

    @available_if(_flips_visible)  # type: ignore[untyped-decorator]
    def score_samples(self, X: Images, *, random_state: RandomState = None) -> NDArray[np.float64]:
        """Return the pseudo-likelihood, (n,), estimated by one flipped value an example.

        Only with binary visible units: a Gaussian value cannot be flipped.
        """
        data = self._fitted_input(X)
        values = data.scaled().reshape(len(data), -1).copy()
        energy = self._parameters.free_energy(data)
        random = np.random.default_rng(seed_of(random_state))
        chosen = (np.arange(len(values)), random.integers(values.shape[1], size=len(values)))
        values[chosen] = 1 - values[chosen]
        flipped = self._parameters.free_energy(self._visible(values, self.input_))
        return -self.n_features_in_ * np.logaddexp(0, energy - flipped)

    def __getstate__(self) -> dict[str, Any]:
        # NB: Java changes the arrays in place, so that a copy needs arrays of its own; those that
        # are attributes too come back by `_adopt`.
        state = {
            name: value
            for name, value in vars(self).items()
            if not (name.endswith("_") and isinstance(value, np.ndarray))
        }
        return state | {"_parameters": self._parameters.copy()} if self._is_fitted() else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._is_fitted():
            # NB: joblib may give arrays that are mapped read-only.
            self._adopt(self._parameters.copy(), self.input_)

    @property
    def epochs_done(self) -> int:
        """Passes through data so far."""
        return self._parameters.epochs if self._is_fitted() else 0

    def get_state(self) -> tuple[dict[str, Floats], dict[str, Any]]:
        """Return all that training needs to go on: arrays (copies), and what JSON can hold."""
        self._check_fitted()
        notes = {"epochs": self.epochs_done, "seed": self._seed, "history": self.history_}
        notes["input"] = self.input_.to_dict()
        return self._parameters.copy().arrays(), notes

    def set_state(self, arrays: dict[str, Floats], notes: dict[str, Any]) -> Self:
        """Take what `get_state` returned; `partial_fit` then goes on as if nothing had been."""
        copies: dict[str, Any] = {
            name: np.array(values, dtype=np.float32, order="C") for name, values in arrays.items()
        }
        self._seed = notes["seed"]
        self.history_ = dict(notes["history"])
        layer = RbmLayer(self.visible, self.hidden, **copies, epochs=notes["epochs"])
        self._adopt(layer, InputShape.from_dict(notes["input"]))
        return self

    def check_settings(self) -> None:
        """Raise ValueError for settings that make no sense."""
        choose("visible", self.visible, VISIBLE_UNITS)
        choose("hidden", self.hidden, HIDDEN_UNITS)
        check_numbers(self, "n_components", "k", "batch_size", "epochs", least=1, whole=True)
        check_numbers(self, "learning_rate", above=0)
        check_numbers(self, "weight_decay", least=0)
        if self.sparsity_target is not None:
            if self.hidden != "bernoulli":
                raise InvalidArgumentError("sparsity_target is for binary hidden units.")
            check_numbers(self, "sparsity_target", above=0, below=1)
        if not all(0 <= momentum_of(self.momentum, e) < 1 for e in range(self.epochs)):
            raise InvalidArgumentError(
                f"momentum is from 0 to below 1, and a schedule starts with epoch 0: "
                f"((0, 0.5), (5, 0.9)); got {self.momentum}."
            )

    def _fitted_input(self, X: Images) -> NetworkInput:
        self._check_fitted()
        return self._visible(self._checked(X, reset=False), self.input_)

    def _visible(self, X: Images, shape: InputShape | None) -> NetworkInput:
        data = as_input(X, preprocessor_for(X), shape)
        if self.visible == "bernoulli" and not data.within_unit_interval:
            low, high = data.range
            raise InvalidArgumentError(
                f"X holds values from {low:g} to {high:g}; binary visible units take values in "
                "[0, 1]. Scale them (X / 255 for pixels), or use visible='gaussian'."
            )
        return data

    def _begin(self, data: NetworkInput) -> None:
        self._seed = seed_of(self.random_state)
        random = np.random.default_rng(self._seed)
        n = self.n_components
        layer = RbmLayer.initial(self.visible, self.hidden, data, n, random)
        if self.persistent:
            layer.chain = random.integers(2, size=(self.batch_size, n)).astype(np.float32)
        if self.sparsity_target is not None:
            layer.activity = np.full(n, self.sparsity_target, np.float32)
        self._adopt(layer, data.shape)
        self.history_ = {}

    def _adopt(self, layer: RbmLayer, shape: InputShape) -> None:
        """Take units and parameters as the learned ones."""
        self._parameters = layer
        self.input_ = shape
        self.n_features_in_ = shape.size
        self.embedding_size_ = len(layer.hidden_bias)
        self.components_ = layer.weights
        self.intercept_hidden_ = layer.hidden_bias
        self.intercept_visible_ = layer.visible_bias
        if layer.chain is not None:
            self.h_samples_ = layer.chain

    def _train(self, data: NetworkInput, validation: NetworkInput | None, epochs: int) -> None:
        layer = self._parameters
        drawn = self.k > 1 or self.persistent
        learning = {
            name: getattr(self, name)
            for name in ("k", "learning_rate", "weight_decay", "sparsity_cost", "sparsity_decay")
        }
        learning |= {"seed": self._seed, "batch_size": self.batch_size}
        learning["sample_visible"] = drawn if self.sample_visible is None else self.sample_visible
        learning["sparsity_target"] = self.sparsity_target or 0.0

        def train_epoch(epoch: int, report: Callable[[int], None]) -> dict[str, float]:
            del epoch
            learning["momentum"] = momentum_of(self.momentum, layer.epochs)
            results = {"error": layer.train_epoch(data, learning, report)}
            if layer.chain is not None:  # which sees no reconstruction
                results["error"] = self._error(data.slice(0, PROBE))
            if validation is not None:
                n = min(PROBE, len(validation), len(data))
                means = [layer.free_energy(d.slice(0, n)).mean() for d in (validation, data)]
                results["free_energy_gap"] = float(means[0] - means[1])
            return results

        # NB: copies and states of this RBM may hold the same lists.
        self.history_ = {name: list(values) for name, values in self.history_.items()}
        batches = -(-len(data) // min(self.batch_size, len(data)))
        run_epochs(range(epochs), batches, train_epoch, self.history_, verbose=self.verbose)

    def _error(self, data: NetworkInput) -> float:
        values = data.scaled().reshape(len(data), -1)
        reconstructed = self.inverse_transform(self._parameters.hidden_means(data))
        return float(np.mean((values - reconstructed) ** 2))

    def _is_fitted(self) -> bool:
        return hasattr(self, "_parameters")

    def _check_fitted(self) -> None:
        if not self._is_fitted():
            raise NotFittedError("This RBM is not trained; call fit(X).")
