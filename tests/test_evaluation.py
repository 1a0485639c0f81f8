"""Retrieval figures: small cases by hand, and a slow, plain implementation as the judge."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from pyimgret.evaluation import (
    mean_average_precision,
    nearest_neighbours,
    precision_at_k,
    ranking,
    recall_at_k,
    retrieval_report,
)
from pyimgret.exceptions import DimensionMismatchError

# -- by hand -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relevance", "k", "precision", "recall"),
    [
        ([[1, 0, 0, 0]], 1, 1, 1),
        ([[0, 1, 1, 0]], 1, 0, 0),
        ([[0, 1, 1, 0]], 2, 1 / 2, 1 / 2),
        ([[0, 1, 1, 0], [1, 1, 1, 1]], 2, 3 / 4, 1 / 2),
        ([[1, 1]], 4, 1 / 2, 1),  # ranks that do not exist are misses
    ],
)
def test_precision_and_recall_by_hand(relevance, k, precision, recall):
    assert precision_at_k(relevance, k) == pytest.approx(precision)
    assert recall_at_k(relevance, k) == pytest.approx(recall)


@pytest.mark.parametrize(
    ("relevance", "expected"),
    [
        ([[1, 0, 0]], 1),
        ([[0, 0, 1]], 1 / 3),
        ([[1, 0, 1, 0, 1]], (1 + 2 / 3 + 3 / 5) / 3),
        # Manning et al., chapter 8: two queries average
        ([[1, 0, 0], [0, 1, 1]], (1 + (1 / 2 + 2 / 3) / 2) / 2),
        ([[1, 1, 1]], 1),
    ],
)
def test_mean_average_precision_by_hand(relevance, expected):
    assert mean_average_precision(relevance) == pytest.approx(expected)


def test_relevant_items_that_ranking_does_not_reach_count():
    assert mean_average_precision([[1, 0]], n_relevant=[4]) == pytest.approx(1 / 4)
    assert recall_at_k([[1, 0]], 2, n_relevant=[4]) == pytest.approx(1 / 4)


def test_query_with_nothing_to_find_is_left_out_of_recall_and_map():
    assert recall_at_k([[1, 0], [0, 0]], 1) == 1
    assert mean_average_precision([[0, 1], [0, 0]]) == pytest.approx(1 / 2)


def test_leave_one_out_by_hand():
    # angles 0, 10, 25, 90: from each the others in the order of the differences
    angles = np.deg2rad([0, 10, 25, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    report = retrieval_report(vectors, ["a", "b", "a", "b"], ks=(1, 2))
    # 0 (a): b a b -> AP 1/2, 10 (b): a a b -> 1/3, 25 (a): b a b -> 1/2, 90 (b): a b a -> 1/2
    assert report.precision == {1: 0.0, 2: pytest.approx((1 / 2 + 0 + 1 / 2 + 1 / 2) / 4)}
    assert report.recall == {1: 0.0, 2: pytest.approx(3 / 4)}
    assert report.mean_average_precision == pytest.approx((1 / 2 + 1 / 3 + 1 / 2 + 1 / 2) / 4)
    assert (report.n_queries, report.n_database) == (4, 3)
    assert report.per_class["b"] == {
        "precision_at_1": 0,
        "precision_at_2": 0.25,
        "recall_at_1": 0,
        "recall_at_2": 0.5,
        "map": pytest.approx(5 / 12),
        "n_queries": 2,
    }


# -- against a plain implementation --------------------------------------------------


def plain(database, labels, queries, query_labels, k, *, leave_out=False):
    """The definitions, query by query."""
    precisions, recalls, averages = [], [], []
    unit = [v / (np.linalg.norm(v) or 1) for v in database]
    for number, (query, label) in enumerate(zip(queries, query_labels, strict=True)):
        query = query / (np.linalg.norm(query) or 1)
        ranked = sorted(
            (i for i in range(len(database)) if not (leave_out and i == number)),
            key=lambda i: (-round(float(query @ unit[i]), 9), i),
        )
        relevant = [labels[i] == label for i in ranked]
        if not any(relevant):
            continue
        precisions.append(sum(relevant[:k]) / k)
        recalls.append(sum(relevant[:k]) / sum(relevant))
        found = [sum(relevant[: r + 1]) / (r + 1) for r in range(len(ranked)) if relevant[r]]
        averages.append(sum(found) / len(found))
    return np.mean(precisions), np.mean(recalls), np.mean(averages), len(averages)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("block", [1, 50, 1 << 21])
def test_report_agrees_with_definitions(seed, block, monkeypatch):
    monkeypatch.setattr(ranking, "BLOCK", block)
    rng = np.random.default_rng(seed)
    n, m, d, k = rng.integers(5, 40), rng.integers(1, 20), rng.integers(1, 5), rng.integers(1, 12)
    # small whole numbers make many ties, and some zero vectors
    database = rng.integers(-2, 3, (n, d)).astype(float)
    queries = rng.integers(-2, 3, (m, d)).astype(float)
    labels, asked = rng.integers(0, 4, n), rng.integers(0, 4, m)
    labels[0] = asked[0]
    labels[1] = labels[2]
    for leave_out in (False, True):
        if leave_out:
            queries, asked = database, labels
        expected = plain(database, labels, queries, asked, k, leave_out=leave_out)
        given = {} if leave_out else {"queries": queries, "query_labels": asked}
        report = retrieval_report(database, labels, ks=(int(k),), **given)
        result = (report.precision[k], report.recall[k], report.mean_average_precision)
        assert result == pytest.approx(expected[:3], abs=1e-12)
        assert report.n_queries == expected[3]
        assert report.n_queries + report.n_skipped == len(queries)
        assert report.n_database == n - leave_out


@pytest.mark.parametrize("seed", range(5))
def test_functions_and_report_agree(seed):
    rng = np.random.default_rng(seed)
    database, queries = rng.normal(size=(60, 6)), rng.normal(size=(9, 6))
    labels, asked = rng.integers(0, 3, 60), rng.integers(0, 3, 9)
    order, scores = nearest_neighbours(database, queries, k=60)
    relevance = labels[order] == asked[:, None]
    report = retrieval_report(database, labels, queries=queries, query_labels=asked, ks=(7,))
    assert precision_at_k(relevance, 7) == pytest.approx(report.precision[7])
    assert recall_at_k(relevance, 7) == pytest.approx(report.recall[7])
    assert mean_average_precision(relevance) == pytest.approx(report.mean_average_precision)
    assert np.all(np.diff(scores, axis=1) <= 0)


def test_it_agrees_with_scikit_learns_average_precision():
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    scores, relevance = rng.normal(size=(20, 50)), rng.integers(0, 2, (20, 50))
    expected = np.mean(
        [average_precision_score(r, s) for r, s in zip(relevance, scores, strict=True)]
    )
    ranked = np.take_along_axis(relevance, np.argsort(-scores, axis=1), axis=1)
    assert mean_average_precision(ranked) == pytest.approx(expected)


# -- ties, lengths, lonely classes ---------------------------------------------------


def test_equal_scores_keep_order_of_database():
    vectors = np.tile(np.random.default_rng(0).normal(size=(3, 300)), (40, 1))
    positions, scores = nearest_neighbours(vectors, vectors[:3], k=120)
    for query in range(3):
        same = positions[query][scores[query] == scores[query].max()]
        np.testing.assert_array_equal(same, np.arange(query, 120, 3))


def test_both_zeros_are_same_score():
    positions, scores = nearest_neighbours([[0, -1], [0, 1], [0, 0]], [[1.0, 0]], k=3)
    assert positions.tolist() == [[0, 1, 2]]
    assert scores.tolist() == [[0, 0, 0]]


def test_length_does_not_matter():
    rng = np.random.default_rng(1)
    vectors, labels = rng.normal(size=(50, 4)), rng.integers(0, 3, 50)
    longer = vectors * rng.uniform(0.1, 100, (50, 1))
    assert retrieval_report(longer, labels) == retrieval_report(vectors, labels)


def test_class_with_no_other_member_is_left_out_and_said():
    report = retrieval_report([[1, 0], [1, 1], [0, 1]], ["a", "a", "lonely"], ks=(1,))
    assert (report.n_queries, report.n_skipped) == (2, 1)
    assert report.skipped_labels == ("lonely",)
    assert "lonely" not in report.per_class
    assert "1 excluded: no other image has their label" in str(report)


def test_query_of_class_that_database_lacks_is_left_out_and_said():
    report = retrieval_report([[1, 0]], [3], queries=[[1, 0], [0, 1]], query_labels=[3, 4])
    assert (report.n_queries, report.skipped_labels) == (1, (4,))


def test_when_nothing_can_be_found_it_reports_it():
    with pytest.raises(ValueError, match="no two images share a label"):
        retrieval_report([[1, 0], [0, 1]], ["a", "b"])


def test_document_for_machines_has_promised_keys():
    report = retrieval_report(np.eye(4)[[0, 0, 1, 1]], [0, 0, 1, 1])
    document = json.loads(json.dumps(report.to_dict()))
    promised = {"precision_at_1", "precision_at_10", "recall_at_10", "map"}
    assert promised | {"n_queries", "n_database"} <= document.keys()
    assert (document["map"], document["n_queries"], document["n_database"]) == (1.0, 4, 3)


# -- wrong input ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 2]], [1, 2]), "labels have shape"),
        (([1, 2], [1, 2]), r"embeddings have shape \(2,\)"),
        (([[1, 2]], [1], [[1, 2, 3]], [1]), "encode both with the same model"),
        (([[1, 2]], [1], [[1, 2]], [1, 1]), "query"),
    ],
)
def test_arrays_that_do_not_fit_are_rejected(arguments, message):
    names = ("embeddings", "labels", "queries", "query_labels")
    with pytest.raises(DimensionMismatchError, match=message):
        retrieval_report(**dict(zip(names, arguments, strict=False)))


def test_queries_without_labels_are_rejected():
    with pytest.raises(ValueError, match="belong together"):
        retrieval_report([[1.0]], [1], queries=[[1.0]])


def test_vector_that_is_not_finite_is_named():
    with pytest.raises(ValueError, match="embeddings: row 1 contains"):
        retrieval_report([[1, 0], [np.nan, 0]], [1, 1])


@pytest.mark.parametrize("k", [0, -1])
def test_k_must_be_positive(k):
    with pytest.raises(ValueError, match="must be"):
        precision_at_k([[1]], k)
    with pytest.raises(ValueError, match="must be"):
        retrieval_report([[1.0], [1.0]], [1, 1], ks=(k,))


def test_relevance_must_be_table():
    with pytest.raises(DimensionMismatchError):
        precision_at_k([1, 0], 1)
    with pytest.raises(DimensionMismatchError):
        recall_at_k([[1, 1]], 1, n_relevant=[1])


# -- size ----------------------------------------------------------------------------


def test_memory_is_bounded_by_blocks():
    rng = np.random.default_rng(0)
    database, queries = rng.normal(size=(20_000, 8)), rng.normal(size=(1_000, 8))
    labels, asked = rng.integers(0, 10, 20_000), rng.integers(0, 10, 1_000)
    tracemalloc.start()
    try:
        retrieval_report(database, labels, queries=queries, query_labels=asked)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200e6  # the scores alone, in float64, would be 160 MB, and their sort more
