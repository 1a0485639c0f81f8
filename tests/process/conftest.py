"""The helpers of this folder are importable, and the jars are there before the clock runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pyimgret.jvm.jars import jar_folder

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def jars() -> Path:
    return jar_folder()
