"""Retrieval metrics: precision, recall and mean average precision by class labels.

An item of the database is *relevant* to a query when it has the query's label. Rankings
are by cosine similarity; ties are ordered by position in the database, so that
results are deterministic. A query whose class has no other member has no relevant
items: it is excluded from every mean, and counted.

References
----------
Manning, Raghavan, Schütze (2008), Introduction to Information Retrieval, chapter 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from pyimgret.evaluation.ranking import normalised, rankings
from pyimgret.exceptions import DimensionMismatchError, InvalidArgumentError


def precision_at_k(relevance: npt.ArrayLike, k: int) -> float:
    """Return the mean fraction of relevant items among the first `k`.

    Parameters
    ----------
    relevance : array-like of bool, shape (n_queries, n_ranked)
        Whether the item at each rank is relevant, the best rank first.
    k : int
        Ranks beyond the end of a ranking count as misses.

    Examples
    --------
    >>> precision_at_k([[1, 0, 1, 0], [1, 1, 0, 0]], k=3)
    0.6666666666666666
    """
    ranked = _ranked(relevance, k)
    return float(np.mean(ranked[:, :k].sum(axis=1) / k))


def recall_at_k(
    relevance: npt.ArrayLike, k: int, *, n_relevant: npt.ArrayLike | None = None
) -> float:
    """Return the mean fraction of the relevant items that are among the first `k`.

    Parameters
    ----------
    relevance : array-like of bool, shape (n_queries, n_ranked)
    k : int
    n_relevant : array-like of int, shape (n_queries,), optional
        Number of relevant items in the database; by default all are in the ranking.
        Queries without relevant items are excluded.

    Examples
    --------
    >>> recall_at_k([[1, 0, 1, 0], [0, 0, 0, 1]], k=2)
    0.25
    """
    ranked = _ranked(relevance, k)
    totals = _totals(ranked, n_relevant)
    return _mean(ranked[:, :k].sum(axis=1)[totals > 0] / totals[totals > 0])


def mean_average_precision(
    relevance: npt.ArrayLike, *, n_relevant: npt.ArrayLike | None = None
) -> float:
    """Return mAP: the precision at the rank of each relevant item, averaged.

    Parameters
    ----------
    relevance : array-like of bool, shape (n_queries, n_ranked)
    n_relevant : array-like of int, shape (n_queries,), optional
        As in `recall_at_k`: relevant items beyond the end of the ranking count as
        having precision 0.

    Examples
    --------
    >>> mean_average_precision([[1, 0, 1, 0], [0, 1, 0, 0]])  # (1 + 2/3) / 2 and 1/2
    0.6666666666666666
    """
    ranked = _ranked(relevance, 1)
    totals = _totals(ranked, n_relevant)
    return _mean(_average_precisions(ranked, totals)[totals > 0])


@dataclass(frozen=True)
class RetrievalReport:
    """The results of `retrieval_report`.

    Attributes
    ----------
    precision, recall : dict of int to float
        By k, averaged over the queries.
    mean_average_precision : float
        Over the whole ranking.
    n_queries : int
        Number of evaluated queries.
    n_database : int
        Number of items ranked for each query; in leave-one-out all but the query.
    n_skipped : int
        Number of excluded queries, because no other item has their label.
    skipped_labels : tuple
        Those labels.
    per_class : dict of label to dict
        ``precision_at_k``, ``recall_at_k``, ``map`` and ``n_queries`` of each class.
    """

    precision: dict[int, float]
    recall: dict[int, float]
    mean_average_precision: float
    n_queries: int
    n_database: int
    n_skipped: int = 0
    skipped_labels: tuple[Any, ...] = ()
    per_class: dict[Any, dict[str, float]] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as a flat dict, as ``pyimgret evaluate --json`` prints them."""
        return {
            **{f"precision_at_{k}": value for k, value in self.precision.items()},
            **{f"recall_at_{k}": value for k, value in self.recall.items()},
            "map": self.mean_average_precision,
            "n_queries": self.n_queries,
            "n_database": self.n_database,
            "n_skipped": self.n_skipped,
            "skipped_labels": list(self.skipped_labels),
        }

    def __str__(self) -> str:
        figures = [f"P@{k} {value:.3f}" for k, value in self.precision.items()]
        figures += [f"recall@{k} {value:.3f}" for k, value in self.recall.items()]
        text = ", ".join([*figures, f"mAP {self.mean_average_precision:.3f}"])
        text += f" ({self.n_queries} queries against {self.n_database} images)"
        if self.n_skipped:
            text += f"; {self.n_skipped} excluded: no other image has their label"
        return text


def retrieval_report(
    embeddings: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    queries: npt.ArrayLike | None = None,
    query_labels: npt.ArrayLike | None = None,
    ks: Sequence[int] = (1, 10),
) -> RetrievalReport:
    """Rank a database by cosine for many queries and compute retrieval metrics.

    Parameters
    ----------
    embeddings : array-like, shape (n, d)
        The database. Need not be normalised.
    labels : array-like, shape (n,)
        Numbers or strings.
    queries : array-like, shape (m, d), optional
        By default leave-one-out: every item of the database is a query against all others.
    query_labels : array-like, shape (m,)
        Together with `queries`.
    ks : sequence of int
        Ranks at which precision and recall are computed.

    Returns
    -------
    RetrievalReport

    Raises
    ------
    DimensionMismatchError
        If the shapes of the arrays do not match.
    ValueError
        If no query has relevant items, or a vector is not finite.

    Notes
    -----
    Memory use is about 100 MB plus the vectors, whatever their number: the scores are
    computed and sorted block by block.

    Examples
    --------
    >>> vectors = [[1, 0], [1, 0.1], [0, 1], [0.1, 1]]
    >>> print(retrieval_report(vectors, ["a", "a", "b", "b"], ks=(1,)))
    P@1 1.000, recall@1 1.000, mAP 1.000 (4 queries against 3 images)
    """
    if (queries is None) != (query_labels is None):
        raise InvalidArgumentError(
            "queries and query_labels belong together; give both or neither."
        )
    if not ks or min(ks) < 1:
        raise InvalidArgumentError(f"ks={tuple(ks)} must be positive integers.")
    leave_out = queries is None
    database = normalised(embeddings, "embeddings")
    rows = database if leave_out else normalised(cast(npt.ArrayLike, queries), "queries")
    names = _labels(labels, len(database), "labels")
    row_names = names if leave_out else _labels(query_labels, len(rows), "query")
    if rows.shape[1] != database.shape[1]:
        raise DimensionMismatchError(
            f"queries of dimension {rows.shape[1]} against a database of dimension "
            f"{database.shape[1]}; encode both with the same model."
        )
    classes, numbers = np.unique(np.concatenate([names, row_names]), return_inverse=True)
    own, targets = numbers[: len(names)], numbers[len(names) :]
    n_relevant = np.bincount(own, minlength=len(classes))[targets] - leave_out
    counted, skipped = np.flatnonzero(n_relevant > 0), targets[n_relevant == 0]
    if not counted.size:
        raise InvalidArgumentError("no query has relevant items: no two images share a label.")
    hits, averages = [], []
    for part, order, _ in rankings(database, rows, counted, leave_out):
        relevance = own[order] == targets[part, None]
        hits.append([relevance[:, :k].sum(axis=1) for k in ks])
        averages.append(_average_precisions(relevance, n_relevant[part]))
    found = dict(zip(ks, np.concatenate(hits, axis=1), strict=True))
    figures = {f"precision_at_{k}": count / k for k, count in found.items()}
    figures |= {f"recall_at_{k}": count / n_relevant[counted] for k, count in found.items()}
    figures["map"] = np.concatenate(averages)
    members = {classes[n].item(): targets[counted] == n for n in np.unique(targets[counted])}
    return RetrievalReport(
        precision={k: _mean(figures[f"precision_at_{k}"]) for k in ks},
        recall={k: _mean(figures[f"recall_at_{k}"]) for k in ks},
        mean_average_precision=_mean(figures["map"]),
        n_queries=len(counted),
        n_database=len(database) - leave_out,
        n_skipped=len(skipped),
        skipped_labels=tuple(classes[np.unique(skipped)].tolist()),
        per_class={
            name: {figure: _mean(values[chosen]) for figure, values in figures.items()}
            | {"n_queries": int(chosen.sum())}
            for name, chosen in members.items()
        },
    )


def nearest_neighbours(
    embeddings: npt.ArrayLike, queries: npt.ArrayLike | None = None, *, k: int = 5
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the `k` nearest items of a database by cosine, nearest first.

    Parameters
    ----------
    embeddings : array-like, shape (n, d)
    queries : array-like, shape (m, d), optional
        By default every item of the database against all others.
    k : int
        Fewer are returned if the database is smaller.

    Returns
    -------
    positions : ndarray of int64, shape (m, k)
    scores : ndarray of float32, shape (m, k)
        Cosines.

    Examples
    --------
    >>> positions, scores = nearest_neighbours([[1, 0], [0, 2]], [[0, 1]], k=2)
    >>> positions.tolist(), scores.tolist()
    ([[1, 0]], [[1.0, 0.0]])
    """
    database = normalised(embeddings, "embeddings")
    unit_queries = database if queries is None else normalised(queries, "queries")
    blocks = rankings(
        database, unit_queries, np.arange(len(unit_queries)), leave_out=queries is None
    )
    parts = [(order[:, :k], scores[:, :k]) for _, order, scores in blocks]
    positions = np.concatenate([part[0] for part in parts])
    return positions, np.concatenate([part[1] for part in parts])


def _average_precisions(
    relevance: npt.NDArray[np.bool_], totals: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the average precision of each row; 0 where `totals` is 0."""
    rows, ranks = np.nonzero(relevance)
    found = relevance.sum(axis=1)
    firsts = np.cumsum(found) - found
    order = np.arange(1, len(rows) + 1) - np.repeat(firsts, found)  # 1st, 2nd hit of its row
    sums = np.bincount(rows, weights=order / (ranks + 1), minlength=len(relevance))
    averages: npt.NDArray[np.float64] = sums / np.maximum(totals, 1)
    return averages


def _ranked(relevance: npt.ArrayLike, k: int) -> npt.NDArray[np.bool_]:
    ranked = np.asarray(relevance).astype(bool)
    if ranked.ndim != 2 or not len(ranked):
        raise DimensionMismatchError(
            f"relevance has shape {ranked.shape}; expected (n_queries, n_ranked)."
        )
    if k < 1:
        raise InvalidArgumentError(f"k={k} must be at least 1.")
    return ranked


def _totals(
    ranked: npt.NDArray[np.bool_], n_relevant: npt.ArrayLike | None
) -> npt.NDArray[np.int64]:
    found = ranked.sum(axis=1)
    totals = found if n_relevant is None else np.asarray(n_relevant).astype(np.int64)
    if totals.shape != found.shape or np.any(totals < found):
        raise DimensionMismatchError(
            f"n_relevant must hold {len(found)} numbers, each at least the number in the ranking."
        )
    return totals


def _labels(labels: Any, n: int, name: str) -> npt.NDArray[Any]:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise DimensionMismatchError(f"{name} have shape {array.shape}; expected ({n},).")
    return array


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
