"""What of the Spark part needs no cluster: inputs, settings, errors, Parquet, the commands."""

from __future__ import annotations

import gzip
import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pyimgret import spark
from pyimgret.cli import main
from pyimgret.exceptions import (
    DimensionMismatchError,
    IndexStoreError,
    JavaCallError,
    JvmStartError,
)
from pyimgret.index import Index
from pyimgret.index.ingest.parquet import SUMMARY
from pyimgret.index.milvus import MilvusIndex
from pyimgret.models import Autoencoder, Network
from pyimgret.spark import submission, training


def test_arrays_show_their_first_rows_without_reading_rest(tmp_path: Path) -> None:
    digits = np.arange(1000 * 12, dtype=np.uint8).reshape(1000, 3, 4)
    np.save(tmp_path / "digits.npy", digits)
    idx = b"\0\0\x08\x03" + np.array(digits.shape, ">u4").tobytes() + digits.tobytes()
    (tmp_path / "digits.idx").write_bytes(idx)
    for name in ("digits.npy", "digits.idx"):
        sample = spark.Arrays(tmp_path / name).sample()
        assert sample.dtype == np.uint8
        np.testing.assert_array_equal(sample, digits[: len(sample)])


@pytest.mark.parametrize(
    ("content", "message"),
    [(gzip.compress(b"1"), "gunzip"), (b"text", "neither"), (b"\0\0\x0b\1", "neither"), (b"", "n")],
)
def test_files_that_cannot_be_read_in_parts_are_rejected(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        spark.Arrays(tmp_path / "file").sample()


def test_vector_model_takes_no_images() -> None:
    with pytest.raises(DimensionMismatchError, match=r"Arrays\(path\)"):
        spark.Images("/photos").to_dict(None)


def test_settings_of_user_win() -> None:
    options = spark.SparkOptions("local[1]", conf={"spark.ui.enabled": "true"}, max_cores=3)
    settings = options.settings()
    assert settings["spark.ui.enabled"] == "true"
    assert settings["spark.cores.max"] == "3"
    with pytest.raises(ValueError, match="known: ship, local"):
        spark.SparkOptions("local[1]", jars="send")
    with pytest.raises(ValueError, match="off_heap must be at least 1"):
        spark.SparkOptions("local[1]", off_heap=0)


def test_executor_sees_no_more_processors_than_its_cores() -> None:
    settings = spark.SparkOptions("local[1]", executor_cores=3).settings()
    assert "-XX:ActiveProcessorCount=3" in settings["spark.executor.extraJavaOptions"].split()
    assert "ActiveProcessorCount" not in settings["spark.driver.extraJavaOptions"]


def fake_java(folder: Path, version: str) -> str:
    java = folder / "java"
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return str(java)


@pytest.mark.parametrize("version", ["25.0.1", "23", "1.8.0_402"])
def test_java_that_spark_does_not_run_on_is_rejected(tmp_path: Path, version: str) -> None:
    with pytest.raises(JvmStartError, match="preferably 17"):
        submission.check_java(fake_java(tmp_path, version))


@pytest.mark.parametrize("version", ["11.0.2", "17.0.15", "21"])
def test_java_that_spark_runs_on_is_taken(tmp_path: Path, version: str) -> None:
    submission.check_java(fake_java(tmp_path, version))


def test_failure_names_its_innermost_cause() -> None:
    log = (
        '24/01/01 INFO x\nException in thread "main" org.apache.spark.SparkException: Job aborted\n'
        "\tat a.b\nCaused by: java.io.IOException: /data/x.npy is 10 bytes long.\n\tat c.d\n"
    )
    error = submission._failure("SparkTrainer", log)
    assert isinstance(error, JavaCallError)
    assert error.java_class == "java.io.IOException"
    assert "10 bytes long" in str(error)
    assert error.java_stack.startswith("Exception in thread")


def test_failure_without_exception_shows_end_of_log() -> None:
    assert "no route to host" in str(submission._failure("SparkTrainer", "a\nno route to host\n"))


class _SubmittedError(Exception):
    """Ends a run at its submission."""


@pytest.mark.jvm
def test_job_describes_network_examples_and_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []

    def submit(_name: str, job: dict[str, Any], *_: Any, **__: Any) -> None:
        jobs.append(json.loads(json.dumps(job)))
        raise _SubmittedError

    monkeypatch.setattr(training, "submit", submit)
    np.save(tmp_path / "x.npy", np.zeros((9, 4, 4), np.uint8))
    model = Autoencoder(hidden_sizes=(8,), code_size=2, schedule="one_cycle", random_state=3)
    with pytest.raises(_SubmittedError):
        spark.train(model, spark.Arrays(tmp_path / "x.npy"), options=spark.SparkOptions("local[1]"))
    (job,) = jobs
    assert job["examples"]["layout"] == "dense"
    assert job["input"]["preprocessing"]["mean"] == [0.0]
    assert job["network"]["updater"]["schedule_iterations"] == training._NOMINAL
    assert len(job["network"]["updater"]["schedule"]) == 400


def test_rows_of_another_size_than_preprocessing_are_rejected(tmp_path: Path) -> None:
    from pyimgret.preprocessing import Preprocessor

    np.save(tmp_path / "x.npy", np.zeros((9, 4, 4), np.uint8))
    model = Autoencoder(preprocessing=Preprocessor("L", 5, 5))
    with pytest.raises(DimensionMismatchError, match="resize the array first"):
        training._inspect_input(model, spark.Arrays(tmp_path / "x.npy"))


def test_vectors_as_targets_are_rejected_before_anything_starts() -> None:
    from pyimgret.layers import Dense, Output

    network = Network([Dense(4), Output(2)])
    with pytest.raises(ValueError, match="can be trained on its input or on classes"):
        training._targets(network, np.zeros((9, 2), np.float32), spark.Arrays("x.npy"))


def write_embeddings(folder: Path, count: int, told: int) -> None:
    """Write what an encoding leaves, in two files."""
    good = folder / "broken=false"
    good.mkdir(parents=True)
    vectors = np.eye(count, 4, dtype=np.float32) + 0.1
    for part, rows in enumerate(np.array_split(np.arange(count), 2)):
        table = pa.table({"key": [str(r) for r in rows], "vector": list(vectors[rows])})
        pq.write_table(table, good / f"part-{part}.parquet")
    (folder / SUMMARY).write_text(json.dumps({"embeddings": told, "model_checksum": None}))


def test_embeddings_go_into_index(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e", 9, told=9)
    with Index.create(tmp_path / "index", dimension=4) as index:
        assert spark.import_embeddings(index, tmp_path / "e", prefix="p/", batch_size=2) == 9
        assert sorted(index.keys()) == [f"p/{n}" for n in range(9)]
        best = index.search([0.1, 1.1, 0.1, 0.1], k=1)
        assert next(iter(best)).key == "p/1"


def test_embeddings_go_into_milvus(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e", 9, told=9)
    with MilvusIndex.create(str(tmp_path / "lite.db"), dimension=4) as index:
        assert spark.import_embeddings(index, tmp_path / "e", batch_size=2) == 9
        assert len(index) == 9
        assert next(iter(index.search([0.1, 1.1, 0.1, 0.1], k=1))).key == "1"


def test_import_command_takes_folder(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e", 9, told=9)
    Index.create(tmp_path / "index", dimension=4).close()
    arguments = ["index", "import", "--index", str(tmp_path / "index"), str(tmp_path / "e")]
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"imported": 9, "count": 9}


def test_import_command_fills_milvus_and_resumes_there(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e", 9, told=9)
    uri = str(tmp_path / "lite.db")
    arguments = ["index", "import", "--milvus", uri, "--collection", "c", str(tmp_path / "e")]
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"imported": 9, "count": 9}
    with MilvusIndex(uri, "c") as index:
        assert next(iter(index.search([0.1, 1.1, 0.1, 0.1], k=1))).key == "1"

    again = CliRunner().invoke(main, arguments)
    assert again.exit_code != 0
    assert "already contains" in again.output + str(again.exception)
    replaced = CliRunner().invoke(main, [*arguments, "--replace", "--json"])
    assert json.loads(replaced.stdout) == {"imported": 9, "count": 9}


def test_milvus_is_not_filled_with_embeddings_of_another_model(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e", 9, told=9)
    told = {"embeddings": 9, "model_checksum": "this one"}
    (tmp_path / "e" / SUMMARY).write_text(json.dumps(told))
    uri = str(tmp_path / "lite.db")
    MilvusIndex.create(uri, dimension=4, model_checksum="another").close()
    arguments = ["index", "import", "--milvus", uri, str(tmp_path / "e")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code != 0
    assert "another" in result.output + str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "either --index or --milvus"),
        ("--index i --milvus m.db", "either --index or --milvus"),
        ("--milvus m.db --model m.zip", "--model does nothing with --milvus"),
    ],
)
def test_import_goes_to_one_place(arguments: str, message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["index", "import", *arguments.split(), str(tmp_path)])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("kind", ["images", "pictures"], ids=["0.2.0", "0.1.0"])
def test_images_keep_their_folder_as_metadata(kind: str, tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e", 9, told=9)
    summary = {"embeddings": 9, "kind": kind}
    (tmp_path / "e" / SUMMARY).write_text(json.dumps(summary))
    with Index.create(tmp_path / "index", dimension=4) as index:
        spark.import_embeddings(index, tmp_path / "e")
        assert index.get("3").metadata == {"folder": ""}


def test_missing_file_is_noticed(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "e", 9, told=10)
    with (
        Index.create(tmp_path / "index", dimension=4) as index,
        pytest.raises(IndexStoreError, match="files are missing"),
    ):
        spark.import_embeddings(index, tmp_path / "e")


def test_folder_that_is_not_output_is_rejected(tmp_path: Path) -> None:
    with (
        Index.create(tmp_path / "index", dimension=4) as index,
        pytest.raises(IndexStoreError, match="may not have finished"),
    ):
        spark.import_embeddings(index, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --master local --out m.zip", "exactly one of --images DIR and --array"),
        (
            "train --master local --array a.npy --size 3 --out m.zip",
            "--size does nothing without --images",
        ),
        ("train --master local --array a.npy --out no/m.zip", "does not exist"),
        ("train --master local --array a.npy --conf x --out m.zip", "not a setting"),
        ("train --array a.npy --out m.zip", "--master"),
        ("embed --master local --array a.npy --model no.zip --out e", "no.zip"),
    ],
)
def test_wrong_usage_is_reported(
    arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["spark", *arguments.split()])
    assert result.exit_code == 2
    assert message in result.output
