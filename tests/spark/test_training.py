"""Training on a real cluster, whole and with a worker lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pyimgret
from pyimgret import spark
from pyimgret.encoder import Encoder
from pyimgret.exceptions import JavaCallError
from pyimgret.layers import Convolution2D, Dense, Output
from pyimgret.models import Autoencoder, DeepAutoencoder, Network
from pyimgret.preprocessing import Preprocessor, normalize
from tests.plain_dl4j import plain_codes
from tests.spark.cluster import Cluster
from tests.spark.conftest import EPOCHS, digits_model, error, on

#: Batches of half the size on two workers, averaged often, come near to one machine's training.
CLOSE: dict[str, Any] = {"workers": 2, "averaging_frequency": 4}
HALF = 64


def assert_as_good(model: Autoencoder, single: Autoencoder, images: NDArray[np.uint8]) -> None:
    ours, theirs = error(model, images), error(single, images)
    print(f"squared error of a digit: {ours:.2f} on the cluster, {theirs:.2f} on one machine")
    assert ours <= 1.1 * theirs


def assert_restored_everywhere(
    file: Path, model: Autoencoder, images: NDArray[np.uint8], cluster: Cluster
) -> None:
    """Python, the Java encoder (on the cluster) and plain Deeplearning4j give the same."""
    np.testing.assert_array_equal(pyimgret.load(file).encode(images), model.encode(images))
    expected = Encoder.load(file).encode(images)

    tensors = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    plain = normalize(plain_codes(file, model.code_layer_, "DENSE,28,28,1", tensors))
    np.testing.assert_allclose(plain, expected, atol=1e-5)

    np.save(file.with_name("some.npy"), images)
    output = file.with_name("embeddings")
    spark.encode(file, spark.Arrays(file.with_name("some.npy")), output, options=on(cluster.url))
    ours: dict[str, NDArray[np.float32]] = {}
    for keys, vectors in spark.read_embeddings(output):
        ours.update(zip(keys, vectors, strict=True))
    np.testing.assert_allclose([ours[str(n)] for n in range(len(images))], expected, atol=1e-5)


def test_cluster_reconstructs_as_well_as_one_machine(
    cluster: Cluster,
    single: Autoencoder,
    all_digits: NDArray[np.uint8],
    digits_file: Path,
    tmp_path: Path,
) -> None:
    model = spark.train(
        digits_model(HALF), spark.Arrays(digits_file), options=on(cluster.url), **CLOSE
    )
    assert len(model.history_["loss"]) == EPOCHS
    assert_as_good(model, single, all_digits)

    model.save(tmp_path / "ae.zip")
    assert_restored_everywhere(tmp_path / "ae.zip", model, all_digits[::90], cluster)


def test_worker_killed_in_middle_costs_no_accuracy(
    cluster: Cluster, single: Autoencoder, all_digits: NDArray[np.uint8], digits_file: Path
) -> None:
    executors: list[int] = []
    victim = cluster.workers[-1]

    def watch(event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            executors.append(event["executors"])
        if event["event"] == "epoch" and event["epoch"] == EPOCHS // 2:
            assert victim.executors(), "the worker had nothing to lose"
            victim.kill()

    try:
        model = spark.train(
            digits_model(HALF),
            spark.Arrays(digits_file),
            options=on(cluster.url),
            progress=watch,
            **CLOSE,
        )
    finally:
        cluster.add_worker()
    assert (executors[0], executors[-1]) == (2, 1)
    assert len(executors) == EPOCHS
    assert_as_good(model, single, all_digits)


def test_convolutions_learn_classes(
    shuffled_digits: tuple[NDArray[np.uint8], NDArray[np.int64]], tmp_path: Path
) -> None:
    images, labels = shuffled_digits[0][:2000], shuffled_digits[1][:2000]
    np.save(tmp_path / "x.npy", images)
    network = Network(
        [
            Convolution2D(8, 5, 2, activation="relu"),
            Dense(32, "relu"),
            Output(10, "categorical_cross_entropy", "softmax"),
        ],
        input="convolutional",
        epochs=4,
        batch_size=32,
        learning_rate=3e-3,
        random_state=1,
    )
    spark.train(network, spark.Arrays(tmp_path / "x.npy"), labels, options=on("local[2]"))
    assert network.score(images, labels) > 0.8


def test_pretrained_network_is_fine_tuned_from_its_weights(
    all_digits: NDArray[np.uint8], tmp_path: Path
) -> None:
    images = all_digits[::5]
    np.save(tmp_path / "x.npy", images)
    settings: dict[str, Any] = {"rbm_epochs": 3, "epochs": 3, "learning_rate": 0.01}
    alone = DeepAutoencoder((64,), 16, batch_size=64, random_state=1, **settings)
    before = error(alone.pretrain(images), images)
    alone.fine_tune(images)
    model = DeepAutoencoder((64,), 16, batch_size=32, random_state=1, **settings)
    spark.train(
        model.pretrain(images),
        spark.Arrays(tmp_path / "x.npy"),
        options=on("local[2]"),
        averaging_frequency=1,
    )
    ours, theirs = error(model, images), error(alone, images)
    print(f"pretrained {before:.2f}, fine-tuned on Spark {ours:.2f}, alone {theirs:.2f}")
    assert ours < before
    assert ours <= 1.1 * theirs
    assert len(model.history_["loss"]) == 3
    assert any(name.startswith("rbm_1_") for name in model.history_)


def test_job_that_fails_says_why(digits_file: Path) -> None:
    model = digits_model(HALF)
    model.preprocessing = Preprocessor("L", 28, 28)
    broken = digits_file.with_name("short.npy")
    broken.write_bytes(digits_file.read_bytes()[:-1])
    with pytest.raises(JavaCallError, match="its header says"):
        spark.train(model, spark.Arrays(broken, (28, 28)), options=on("local[1]"))
