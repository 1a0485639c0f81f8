"""One cluster for the tests of Spark: a master and two workers on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pyimgret import spark
from pyimgret.datasets import load_digits
from pyimgret.models import Autoencoder, Model
from tests.spark.cluster import Cluster

EPOCHS = 6


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.spark)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


def on(master: str) -> spark.SparkOptions:
    """Return options small enough for two executors beside everything else."""
    return spark.SparkOptions(
        master=master,
        executor_memory="1g",
        driver_memory="1g",
        off_heap=1024,
        jars="local",
        conf={"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"},
    )


def digits_model(batch_size: int) -> Autoencoder:
    return Autoencoder(
        hidden_sizes=(256,), code_size=30, epochs=EPOCHS, batch_size=batch_size, random_state=1
    )


def error(model: Model, images: NDArray[np.uint8]) -> float:
    """Return the squared error of an image's reconstruction, summed over its pixels."""
    difference = model.reconstruct(images) - images.astype(np.float32) / 255
    return float((difference**2).sum(axis=(1, 2)).mean())


@pytest.fixture(scope="session")
def all_digits() -> NDArray[np.uint8]:
    return load_digits().images


@pytest.fixture(scope="session")
def digits_file(all_digits: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("digits") / "digits.npy"
    np.save(path, all_digits)
    return path


@pytest.fixture(scope="session")
def single(all_digits: NDArray[np.uint8]) -> Autoencoder:
    """The same autoencoder, trained in this process."""
    return digits_model(batch_size=128).fit(all_digits)


@pytest.fixture(scope="session")
def model_file(single: Autoencoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "ae.zip"
    single.save(path)
    return path
