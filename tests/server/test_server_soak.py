"""A long mixed load: no wrong answer, no lost write, nothing that grows."""

from __future__ import annotations

import statistics
import sys

import numpy as np
import pytest
from server_fakes import FakeEncoder, make_images, png
from server_process import Process
from soak import Soak

from pyimgret.index import Index
from pyimgret_server.keys import make_key


def fill(index: Index, images: np.ndarray) -> None:
    index.add(
        list(images),
        keys=[f"fixed/{n}" for n in range(len(images))],
        metadata=[{"fixed": True}] * len(images),
    )


def soak(folder, index: Index, asked: list[bytes], requests: int, **options) -> Soak:
    """Serve the index in a process of its own and put the load on it."""
    expected = [
        [(m.key, m.score) for m in index.search(image, k=10, where="fixed == true")]
        for image in asked
    ]
    key = make_key(folder / "keys", "soak")
    arguments = ("--index", index.directory, "--writable", "--api-key-file", folder / "keys")
    with Process(*arguments, **options) as process:
        load = Soak(process.place, key, asked, expected, index.encoder.encode(asked))
        for tenth in range(1, 11):
            load.run(requests * tenth // 10)
    return load


def check(load: Soak, index: Index) -> None:
    """Look at what the load has found, and at what is in the index."""
    assert load.wrong == []
    kept = {key for key in index if key.startswith("soak/")}
    assert kept == load.kept
    assert load.kinds["search"] > 0.5 * load.done


def test_mixed_load_finds_no_wrong_answer_and_loses_no_write(tmp_path):
    with Index.create(tmp_path / "idx", FakeEncoder()) as index:
        fill(index, make_images(300))
        load = soak(tmp_path, index, [png(p) for p in make_images(40, seed=1)], 1500, fake=True)
        check(load, index)
        assert load.figures[-1]["pyimgret_threads"] <= load.figures[0]["pyimgret_threads"] + 1


@pytest.mark.slow
@pytest.mark.jvm
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_hundred_thousand_requests_leave_threads_and_memory_where_they_were(tmp_path):
    from pyimgret import Autoencoder, Encoder
    from pyimgret.datasets import load_digits

    images, _ = load_digits()
    model = Autoencoder((128,), code_size=30, epochs=1, random_state=0).fit(images[:1000])
    with Index.create(tmp_path / "idx", Encoder(model)) as index:
        fill(index, images[:2000])
        asked = [png(image) for image in images[2000:2200]]
        load = soak(tmp_path, index, asked, 100_000)
        check(load, index)
    print(load.kinds, load.figures)
    first, last = load.figures[0], load.figures[-1]
    assert abs(last["pyimgret_process_threads"] - first["pyimgret_process_threads"]) <= 2
    early = statistics.median(one["pyimgret_resident_bytes"] for one in load.figures[:3])
    assert last["pyimgret_resident_bytes"] < 1.1 * early
