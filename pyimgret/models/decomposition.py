"""Linear codes: PCA and SVD, computed by scikit-learn, saved and served as networks."""

from __future__ import annotations

import base64
from dataclasses import field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pyimgret.base import RandomState, seed_of, with_settings
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.jvm.network import JavaNetwork
from pyimgret.layers import Dense
from pyimgret.models.base import Reconstructing
from pyimgret.models.parameters import from_json, to_json
from pyimgret.preprocessing import Preprocessor
from pyimgret.preprocessing.inputs import Images, as_input, preprocessor_for


@with_settings
class _LinearEncoder(Reconstructing, abstract=True):
    """A linear map to a code, as a one-layer network.

    Parameters
    ----------
    n_components : int
        Dimension of the code.
    preprocessing : Preprocessor, optional
        How images become input; uint8 arrays imply their own.
    random_state : int, Generator or RandomState, optional
        For scikit-learn's randomised solver.
    """

    n_components: int = field(kw_only=False)
    preprocessing: Preprocessor | None = None
    random_state: RandomState = None

    @property
    def components_(self) -> NDArray[np.float32]:
        """The orthonormal directions, (n_components, features)."""
        return np.ascontiguousarray(self.java_network.get("0_W").T)

    def fit(self, X: Images, y: object = None) -> Self:
        """Find the components.

        Parameters
        ----------
        X : images
            As `encode` takes them.

        Raises
        ------
        ValueError
            When there are fewer images or pixels than components.
        """
        del y
        X = self._checked(X, reset=True)
        preprocessor = self.preprocessing or preprocessor_for(X)
        data = as_input(X, preprocessor, None, any_scale=self._any_scale)
        vectors = data.scaled().reshape(len(data), -1)
        most = min(vectors.shape)
        if not 1 <= self.n_components <= most:
            raise InvalidArgumentError(
                f"n_components={self.n_components} is not what {vectors.shape[0]} images of "
                f"{vectors.shape[1]} pixels can give; choose at most {most}."
            )
        found = self._decompose(vectors, seed_of(self.random_state) % 2**32)
        components = found.components_.astype(np.float32)
        self.mean_ = getattr(found, "mean_", np.zeros(len(vectors[0]))).astype(np.float32)
        layers = [Dense(self.n_components, name="code").to_dict()]
        shape, updater = data.shape.to_network(), {"type": "sgd", "learning_rate": 0.1}
        network = JavaNetwork.create(
            {"seed": 0, "updater": updater, "input": shape, "layers": layers}
        )
        network.set("0_W", components.T)
        network.set("0_b", -(self.mean_ @ components.T))
        self.history_ = {}
        self._adopt(network, data.shape, preprocessor, 0)
        return self

    def reconstruct(self, X: Images, *, batch_size: int = 256) -> NDArray[np.float32]:
        """Return the nearest images within the span of the components, as the scaled input."""
        data = self._checked_input(X)
        codes = self.trained.activate(data, self.code_layer_, batch_size)
        return self._decoded(codes, batch_size).reshape(data.values.shape)

    def _decoded(self, codes: NDArray[np.float32], batch_size: int) -> NDArray[np.float32]:
        del batch_size
        return codes @ self.components_ + self.mean_

    def _decompose(self, vectors: NDArray[np.float32], seed: int) -> Any:
        """Return scikit-learn's estimator of this kind, fitted."""
        raise NotImplementedError

    def _state(self) -> dict[str, Any]:
        return {"mean": base64.b64encode(self.mean_.astype("<f4").tobytes()).decode()}

    def _restore_state(self, state: dict[str, Any]) -> None:
        values = np.frombuffer(base64.b64decode(state["mean"]), dtype="<f4")
        self.mean_ = values.astype(np.float32)


@with_settings
class PCA(_LinearEncoder):
    """Principal component analysis as a one-layer network.

    The components are computed by scikit-learn and stored as the weights of an identity dense
    layer, so a PCA model is saved, served and embedded in a JVM exactly like an autoencoder.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, features)
    mean_ : ndarray of shape (features,)
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Not in the files of pyimgret 0.1.

    References
    ----------
    Hotelling (1933), Analysis of a complex of statistical variables into principal components.

    Examples
    --------
    >>> PCA(n_components=30)
    PCA(n_components=30)
    """

    def _decompose(self, vectors: NDArray[np.float32], seed: int) -> Any:
        from sklearn.decomposition import PCA

        found = PCA(self.n_components, random_state=seed).fit(vectors)
        self.explained_variance_ratio_ = found.explained_variance_ratio_
        return found

    def _state(self) -> dict[str, Any]:
        # NB: a model out of a file of version 0.1 has none.
        ratio = getattr(self, "explained_variance_ratio_", None)
        return super()._state() | {"explained": to_json(ratio)}

    def _restore_state(self, state: dict[str, Any]) -> None:
        super()._restore_state(state)
        ratio = from_json(state.get("explained"))
        if ratio is not None:
            self.explained_variance_ratio_ = ratio


@with_settings
class SVD(_LinearEncoder):
    """Truncated singular value decomposition as a one-layer network: PCA without centring.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, features)

    References
    ----------
    Halko, Martinsson and Tropp (2011), Finding structure with randomness. Deerwester et al.
    (1990), Indexing by latent semantic analysis.

    Examples
    --------
    >>> SVD(n_components=30)
    SVD(n_components=30)
    """

    def _decompose(self, vectors: NDArray[np.float32], seed: int) -> Any:
        from sklearn.decomposition import TruncatedSVD

        return TruncatedSVD(self.n_components, random_state=seed).fit(vectors)
