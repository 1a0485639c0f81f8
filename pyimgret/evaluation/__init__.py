"""Evaluation of retrieval: metrics, robustness to noise, post-processing of embeddings."""

from pyimgret.evaluation.improvements import augment_database, expand_queries, whitening
from pyimgret.evaluation.metrics import (
    RetrievalReport,
    mean_average_precision,
    nearest_neighbours,
    precision_at_k,
    recall_at_k,
    retrieval_report,
)
from pyimgret.evaluation.robustness import (
    LEVELS,
    UNITS,
    NoiseReport,
    NoiseRow,
    damage,
    noise_report,
    raw_pixels,
    was_trained_against,
)

__all__ = [
    "LEVELS",
    "UNITS",
    "NoiseReport",
    "NoiseRow",
    "RetrievalReport",
    "augment_database",
    "damage",
    "expand_queries",
    "mean_average_precision",
    "nearest_neighbours",
    "noise_report",
    "precision_at_k",
    "raw_pixels",
    "recall_at_k",
    "retrieval_report",
    "was_trained_against",
    "whitening",
]
