"""Small real data, and the rule that tests needing Java are marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pyimgret.datasets import load_digits


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"jvm", "process"} & set(Path(item.path).parts):
            item.add_marker(pytest.mark.jvm)


@pytest.fixture(scope="session")
def shuffled_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the 5,000 digits and their classes in one shuffled order."""
    images, labels = load_digits()[:2]
    order = np.random.default_rng(0).permutation(len(images))
    return images[order], labels[order]


@pytest.fixture(scope="session")
def digits(shuffled_digits: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> NDArray[np.uint8]:
    """Return 600 digits, uint8 (600, 28, 28)."""
    return shuffled_digits[0][:600]


@pytest.fixture(scope="session")
def digit_labels(
    shuffled_digits: tuple[NDArray[np.uint8], NDArray[np.int64]],
) -> NDArray[np.int64]:
    """Return the classes of `digits`."""
    return shuffled_digits[1][:600]
