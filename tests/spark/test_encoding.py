"""Bulk encoding on a real cluster, whole and with a worker lost; and on to an index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyimgret import spark
from pyimgret.encoder import Encoder
from pyimgret.index import Index
from tests.spark.cluster import Cluster
from tests.spark.conftest import on

COUNT = 60_000


@pytest.fixture(scope="session")
def many_digits(all_digits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """60,000 different images: the digits, shifted and dimmed."""
    moved = [
        np.roll(all_digits, (i % 3 - 1, i // 3 % 3 - 1), axis=(1, 2)) >> (i // 9) for i in range(12)
    ]
    return np.concatenate(moved)


@pytest.fixture(scope="session")
def many_file(many_digits: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "many.npy"
    np.save(path, many_digits)
    return path


@pytest.fixture(scope="session")
def expected(model_file: Path, many_digits: NDArray[np.uint8]) -> NDArray[np.float32]:
    return Encoder.load(model_file).encode(many_digits)


def assert_complete(folder: Path, expected: NDArray[np.float32]) -> None:
    """None lost, none twice, each the same as on one machine."""
    seen = np.zeros(len(expected), dtype=int)
    worst = 0.0
    for keys, vectors in spark.read_embeddings(folder):
        rows = [int(key) for key in keys]
        np.add.at(seen, rows, 1)
        worst = max(worst, float(np.abs(vectors - expected[rows]).max()))
    print(f"{seen.sum()} embeddings, largest difference {worst:.1e}")
    assert (seen == 1).all()
    assert worst <= 1e-5


def test_sixty_thousand_digits_are_encoded_as_on_one_machine(
    cluster: Cluster,
    model_file: Path,
    many_file: Path,
    expected: NDArray[np.float32],
    tmp_path: Path,
) -> None:
    output = tmp_path / "embeddings"
    report = spark.encode(model_file, spark.Arrays(many_file), output, options=on(cluster.url))
    assert (report.images, report.embeddings, report.broken) == (COUNT, COUNT, 0)
    assert_complete(output, expected)

    with Index.create(tmp_path / "index", Encoder.load(model_file)) as index:
        assert spark.import_embeddings(index, output, prefix="digit/") == COUNT
        assert len(index) == COUNT
        np.testing.assert_allclose(index.get("digit/123").vector, expected[123], atol=1e-5)


def test_worker_killed_in_middle_loses_nothing(
    cluster: Cluster,
    model_file: Path,
    many_file: Path,
    expected: NDArray[np.float32],
    tmp_path: Path,
) -> None:
    victim = cluster.workers[-1]
    killed_at: list[int] = []

    def watch(event: dict[str, Any]) -> None:
        if event["event"] == "rows" and not killed_at:
            assert victim.executors(), "the worker had nothing to lose"
            victim.kill()
            killed_at.append(event["done"])

    try:
        report = spark.encode(
            model_file,
            spark.Arrays(many_file),
            tmp_path / "embeddings",
            options=on(cluster.url),
            part_rows=1000,
            batch_size=32,
            progress=watch,
        )
    finally:
        cluster.add_worker()
    assert 0 < killed_at[0] < COUNT
    assert report.embeddings == COUNT
    assert_complete(tmp_path / "embeddings", expected)


def test_rows_that_are_not_finite_are_set_aside_and_others_encoded(
    model_file: Path, all_digits: NDArray[np.uint8], tmp_path: Path
) -> None:
    rows = all_digits[:20].astype(np.float32) / 255
    expected = Encoder.load(model_file).encode_tensors(rows)
    rows[3, 5, 5], rows[11, 0, 0], rows[12, 0, 0] = np.nan, np.inf, -np.inf
    np.save(tmp_path / "rows.npy", rows)
    output = tmp_path / "embeddings"
    report = spark.encode(
        model_file, spark.Arrays(tmp_path / "rows.npy"), output, options=on("local[1]")
    )
    assert (report.images, report.embeddings, report.broken) == (20, 17, 3)
    reasons = dict(spark.read_failures(output))
    assert set(reasons) == {"3", "11", "12"}
    assert all("finite" in reason for reason in reasons.values())
    for keys, vectors in spark.read_embeddings(output):
        np.testing.assert_allclose(vectors, expected[[int(key) for key in keys]], atol=1e-5)
