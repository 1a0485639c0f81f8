"""Writes to one item at the same time, by threads and by processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from index_fakes import FakeEncoder
from PIL import Image

from pyimgret.exceptions import KeyExistsError, KeyNotFoundError
from pyimgret.index import Index

ROUNDS = 60
WORKER = Path(__file__).with_name("race_worker.py")


def images(count, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, 8, 8), dtype=np.uint8))


class Interrupted(FakeEncoder):
    """Calls something while it encodes, which is when others write."""

    def __init__(self):
        super().__init__()
        self.meanwhile = lambda: None

    def encode_tensors(self, X):
        self.meanwhile()
        return super().encode_tensors(X)


@pytest.fixture
def encoder():
    return Interrupted()


@pytest.fixture
def index(tmp_path, encoder):
    with Index.create(tmp_path / "idx", encoder) as made:
        made.add(images(ROUNDS), keys=[f"k{n}" for n in range(ROUNDS)], metadata={"n": -1})
        yield made


def test_update_keeps_metadata_written_during_encoding(index, encoder):
    encoder.meanwhile = lambda: index.update("k1", metadata={"n": 7})
    before = index.get("k1")
    index.update("k1", images(1, seed=9)[0])
    after = index.get("k1")
    assert (after.metadata, after.id) == ({"n": 7}, before.id)
    assert not np.array_equal(after.vector, before.vector)


def test_item_deleted_during_encoding_stays_deleted(index, encoder):
    encoder.meanwhile = lambda: index.delete("k1")
    with pytest.raises(KeyNotFoundError, match="'k1'"):
        index.update("k1", images(1)[0], metadata={"n": 1})
    assert "k1" not in index


def test_key_added_during_encoding_raises_key_exists_error(index, encoder):
    other = Index.open(index.directory, FakeEncoder())
    encoder.meanwhile = lambda: other.add(images(1), keys=["new"], metadata={"by": "other"})
    with pytest.raises(KeyExistsError, match="already contains 'new'"):
        index.add(images(1, seed=9), keys=["new"])
    assert index.get("new").metadata == {"by": "other"}
    other.close()


def together(*actions):
    """Call functions at the same moment, each on a thread, and return their results."""
    barrier, results = threading.Barrier(len(actions)), [None] * len(actions)

    def run(place, action):
        barrier.wait()
        try:
            results[place] = action()
        except (KeyExistsError, KeyNotFoundError) as error:
            results[place] = type(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_threads_updating_image_and_metadata_lose_neither(index):
    for number, image in enumerate(images(ROUNDS, seed=2)):
        key, before = f"k{number}", index.get(f"k{number}").vector
        together(
            lambda key=key, image=image: index.update(key, image),
            lambda key=key, number=number: index.update(key, metadata={"n": number}),
        )
        assert index.get(key).metadata == {"n": number}
        assert not np.array_equal(index.get(key).vector, before)


def test_threads_updating_and_deleting_leave_nothing(index):
    for number, image in enumerate(images(ROUNDS, seed=2)):
        key = f"k{number}"
        results = together(
            lambda key=key, image=image: index.update(key, image),
            lambda key=key: index.update(key, metadata={"n": 1}),
            lambda key=key: index.delete(key),
        )
        assert results[2] == 1
        assert set(results[:2]) <= {None, KeyNotFoundError}
    assert len(index) == 0


def test_threads_adding_one_key_succeed_once(index):
    for number in range(ROUNDS):
        results = together(
            *(
                lambda image=image, number=number: index.add([image], keys=[f"new{number}"]).added
                for image in images(4, seed=number)
            )
        )
        assert results.count(KeyExistsError) == 3
        assert [f"new{number}"] in results


def processes(index, tmp_path, *actions):
    """Run workers at the same time, and return how many of their changes were made."""
    start = tmp_path / "start"
    command = [sys.executable, str(WORKER)]
    arguments = [str(index.directory), str(ROUNDS), str(start)]
    workers = [
        subprocess.Popen([*command, action, *arguments], stdout=subprocess.PIPE, text=True)
        for action in actions
    ]
    try:
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        start.touch()
        done = [int(worker.communicate(timeout=120)[0]) for worker in workers]
        assert all(worker.returncode == 0 for worker in workers)
        return done
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
            worker.stdout.close()


def test_processes_updating_image_and_metadata_lose_neither(index, tmp_path):
    before = [index.get(f"k{n}").vector for n in range(ROUNDS)]
    assert processes(index, tmp_path, "image", "metadata", "image") == [ROUNDS] * 3
    assert [index.get(f"k{n}").metadata["n"] for n in range(ROUNDS)] == list(range(ROUNDS))
    after = [index.get(f"k{n}").vector for n in range(ROUNDS)]
    assert not any(map(np.array_equal, before, after))


def test_processes_updating_and_deleting_leave_nothing(index, tmp_path):
    done = processes(index, tmp_path, "image", "metadata", "delete")
    assert done[2] == ROUNDS
    assert len(index) == 0


def test_processes_adding_one_key_succeed_once(index, tmp_path):
    assert sum(processes(index, tmp_path, "add", "add", "add")) == ROUNDS
    assert len(index) == 2 * ROUNDS


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "images"
    place.mkdir()
    for number, image in enumerate(images(3)):
        Image.fromarray(image).save(place / f"{number}.png")
    return place


def test_sync_does_not_replace_concurrently_added_image(index, encoder, folder):
    other = Index.open(index.directory, FakeEncoder())
    encoder.meanwhile = lambda: other.add(images(1), keys=["1.png"], metadata={"by": "other"})
    report = index.sync(folder)
    assert (report.added, [failure.key for failure in report.failed]) == (2, ["1.png"])
    assert index.get("1.png").metadata == {"by": "other"}
    other.close()


def test_sync_adds_moved_image_deleted_concurrently(index, encoder, folder):
    index.sync(folder)
    (folder / "1.png").rename(folder / "moved.png")
    Image.fromarray(images(1, seed=5)[0]).save(folder / "new.png")
    encoder.meanwhile = lambda: "1.png" in index and index.delete("1.png")
    index.sync(folder)
    assert {"moved.png", "new.png"} < set(index.keys())
