"""The parts of a similarity are exactly the cosine, and lie where the alike things are."""

from __future__ import annotations

import numpy as np
import pytest

from pyimgret.exceptions import DimensionMismatchError
from pyimgret.explain import decompose, explain, heat
from pyimgret.preprocessing import Preprocessor


def test_parts_sum_to_cosine() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        a, b = random.standard_normal((2, 30, 7, 5)).astype(np.float32)
        found = decompose(a, b)
        u, v = a.mean(axis=(1, 2)), b.mean(axis=(1, 2))
        cosine = u @ v / np.linalg.norm(u) / np.linalg.norm(v)
        assert found.query.shape == (7, 5)
        assert abs(found.score - cosine) < 1e-5
        assert abs(found.query.sum() - cosine) < 1e-5
        assert abs(found.match.sum() - cosine) < 1e-5


def test_maps_of_zeros_explain_nothing() -> None:
    found = decompose(np.zeros((3, 2, 2), np.float32), np.ones((3, 2, 2), np.float32))
    assert found.score == 0
    assert not found.query.any()


def test_heat_lies_between_0_and_1() -> None:
    hot = heat(np.random.default_rng(0).standard_normal((7, 7)).astype(np.float32))
    assert hot.min() == 0
    assert hot.max() == 1
    assert not heat(np.ones((2, 2), np.float32)).any()


class Pixels:
    """An encoder whose embedding is the image itself."""

    preprocessor = Preprocessor("L", 14, 14)
    model = object()

    def encode(self, pixels):
        flat = pixels.reshape(len(pixels), -1).astype(np.float32)
        return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def test_hiding_finds_what_two_images_share() -> None:
    query, match = np.zeros((14, 14), np.uint8), np.zeros((14, 14), np.uint8)
    query[4:10, 0:6] = match[4:10, 0:6] = 200
    query[0:4, 10:14] = 200
    found = explain(Pixels(), query, match)
    assert not found.exact
    assert abs(found.score - 36 / np.sqrt(36 * 52)) < 1e-5
    positive = np.clip(found.query, 0, None)
    assert positive[2:5, :3].sum() >= 0.8 * positive.sum()


def test_model_of_vectors_has_no_regions() -> None:
    vectors = Pixels()
    vectors.preprocessor = None
    with pytest.raises(DimensionMismatchError, match="no image regions"):
        explain(vectors, np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))
