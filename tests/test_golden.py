"""The golden vectors: what Python wrote once must come out again, here and in Java.

The Java side of the same files is java/core/src/test/java/org/pyimgret/encoder/Golden*.java.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyimgret.preprocessing import Preprocessor
from tests.golden.make_tensors import checksum

GOLDEN = Path(__file__).parent / "golden"
TENSORS = json.loads((GOLDEN / "tensors.json").read_text())


@pytest.mark.parametrize("name", TENSORS["preprocessing"])
def test_tensors_are_those_of_golden_file(name):
    preprocessor = Preprocessor.from_dict(TENSORS["preprocessing"][name])
    found = {
        file: checksum(preprocessor, GOLDEN / "pictures" / file) for file in TENSORS["tensors"]
    }
    assert found == {file: sums[name] for file, sums in TENSORS["tensors"].items()}


def test_every_golden_image_is_in_golden_file():
    assert {path.name for path in (GOLDEN / "pictures").iterdir()} == set(TENSORS["tensors"])
