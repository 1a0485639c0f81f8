"""Improving embeddings without training, with statistics of the collection.

Each is an option of ``pyimgret evaluate``; whether it helps depends on the collection.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pyimgret.evaluation.metrics import nearest_neighbours
from pyimgret.evaluation.ranking import normalised
from pyimgret.exceptions import InvalidArgumentError

Floats = npt.NDArray[np.float32]

_BLOCK = 1024


def whitening(
    vectors: npt.ArrayLike, size: int, *, shrinkage: float = 10.0
) -> tuple[Floats, Floats]:
    """Return W and b such that ``x W + b`` whitens unit vectors like those given.

    All directions get equal weight, however much the collection varies along them (Jégou and Chum
    2012). The variances of a small collection are uncertain, and dividing by small ones
    amplifies noise, so ``shrinkage`` times their mean is added to all of them.

    Parameters
    ----------
    vectors : array-like, shape (n, d)
        Embeddings of the collection.
    size : int
        Number of leading dimensions to keep; less than ``n``, at most ``d``.
    shrinkage : float
        0 for exact whitening.

    Returns
    -------
    W : ndarray, shape (d, size)
    b : ndarray, shape (size,)

    Raises
    ------
    ValueError
        If there are too few vectors.

    References
    ----------
    Jégou and Chum (2012), Negative evidences and co-occurrences in image retrieval: the
    benefit of PCA and whitening.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((50, 4)) * [9, 3, 2, 1]
    >>> W, b = whitening(X, 3, shrinkage=0)
    >>> X /= np.linalg.norm(X, axis=1, keepdims=True)
    >>> np.round(np.cov((X @ W + b).T, bias=True), 3).diagonal().tolist()
    [1.0, 1.0, 1.0]
    """
    X = normalised(vectors, "vectors").astype(np.float64)
    most = min(len(X) - 1, X.shape[1])
    if not 1 <= size <= most:
        raise InvalidArgumentError(
            f"{len(X)} vectors of dimension {X.shape[1]} can be whitened to 1..{most} "
            f"dimensions, not {size}."
        )
    mean = X.mean(axis=0)
    _, singular, directions = np.linalg.svd(X - mean, full_matrices=False)
    variances = singular**2 / len(X)
    scale = 1 / np.sqrt(variances[:size] + shrinkage * variances[:size].mean())
    W = directions[:size].T * scale
    return W.astype(np.float32), (-mean @ W).astype(np.float32)


def augment_database(vectors: npt.ArrayLike, k: int = 10) -> Floats:
    """Return each vector replaced by the mean of itself and its ``k`` nearest.

    Labels are not used; the results have length 1.

    References
    ----------
    Turcot and Lowe (2009), Better matching with fewer features: the selection of useful
    features in large database recognition problems.

    Examples
    --------
    >>> X = [[1, 0], [0.96, 0.28], [0, 1], [-0.28, 0.96]]
    >>> augment_database(X, k=1).astype(float).round(2).tolist()
    [[0.99, 0.14], [0.99, 0.14], [-0.14, 0.99], [-0.14, 0.99]]
    """
    database = normalised(vectors, "vectors").astype(np.float32)
    if k < 1:
        return database
    positions, _ = nearest_neighbours(database, k=k)
    return _averaged(database, database, positions)


def expand_queries(queries: npt.ArrayLike, database: npt.ArrayLike, k: int = 10) -> Floats:
    """Return each query replaced by the mean of itself and its ``k`` nearest in a database.

    With an augmented database, queries must be expanded as well.

    References
    ----------
    Chum, Philbin, Sivic, Isard, Zisserman (2007), Total recall: automatic query expansion.

    Examples
    --------
    >>> expand_queries([[1, 0]], [[0.6, 0.8], [0, -1]], k=1).astype(float).round(3).tolist()
    [[0.894, 0.447]]
    """
    unit_queries = normalised(queries, "queries").astype(np.float32)
    found = normalised(database, "database").astype(np.float32)
    if k < 1:
        return unit_queries
    positions, _ = nearest_neighbours(found, unit_queries, k=k)
    return _averaged(unit_queries, found, positions)


def _averaged(own: Floats, database: Floats, positions: npt.NDArray[np.int64]) -> Floats:
    """Return the directions of each own vector plus those of the database at its positions."""
    out: Any = np.empty_like(own)
    for start in range(0, len(own), _BLOCK):
        part = slice(start, start + _BLOCK)
        out[part] = own[part] + database[positions[part]].sum(axis=1)
    return normalised(out, "means").astype(np.float32)
