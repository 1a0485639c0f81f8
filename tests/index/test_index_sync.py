"""Sync: what is new, changed, moved, vanished; odd names; kills; broken images."""

# ruff: noqa: PTH103, PTH110, PTH118, PTH120, PTH123, PTH104
# NB: pathlib knows no bytes.

from __future__ import annotations

import os
import shutil
import time

import numpy as np
import pytest
from index_fakes import FakeEncoder
from PIL import Image

from pyimgret.exceptions import ImageDecodeError, IndexStoreError
from pyimgret.files.walking import Hidden
from pyimgret.index import Index
from pyimgret.index.ingest.sync_plan import Plan
from pyimgret.preprocessing import Preprocessor


def image(path, seed):
    rng = np.random.default_rng(seed)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(file, "PNG")
    return path


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    for number, name in enumerate(["a.png", "cats/b.png", "cats/old/c.png", "dogs/d.png"]):
        image(root / name, number)
    return root


@pytest.fixture
def index(tmp_path, encoder):
    return Index.create(tmp_path / "idx", encoder)


def counts(report):
    known = report.to_dict()
    known.pop("failed")
    return {name: count for name, count in known.items() if count}


def test_second_sync_changes_nothing(index, folder, encoder):
    report = index.sync(folder)
    assert counts(report) == {"added": 4}
    assert sorted(index.keys()) == ["a.png", "cats/b.png", "cats/old/c.png", "dogs/d.png"]
    item = index.get("cats/old/c.png")
    assert item.metadata == {"folder": "cats/old"}
    assert item.source.path == os.fsencode(folder / "cats/old/c.png")
    encoder.batches.clear()
    assert counts(index.sync(folder)) == {"unchanged": 4}
    assert encoder.batches == []


def test_sync_handles_new_changed_moved_touched_and_missing_files(index, folder, encoder):
    index.sync(folder)
    ids = {key: index.get(key).id for key in index}
    index.update("cats/b.png", metadata={"folder": "cats", "name": "Tom"})
    image(folder / "new.png", 10)
    image(folder / "a.png", 11)
    os.utime(folder / "a.png", ns=(1, 1))
    (folder / "cats/b.png").rename(folder / "dogs/tom.png")
    os.utime(folder / "cats/old/c.png", ns=(5, 5))
    (folder / "dogs/d.png").unlink()
    encoder.batches.clear()
    plan = index.sync(folder, dry_run=True)
    expected = {"added": 1, "updated": 1, "moved": 1, "touched": 1, "deleted": 1}
    assert counts(plan) == expected
    assert sorted(index.keys()) == sorted(ids)
    changes = []
    report = index.sync(folder, on_change=lambda kind, key: changes.append((kind, key)))
    assert counts(report) == expected
    assert sum(encoder.batches) == 2
    assert set(changes) == {
        ("add", "new.png"),
        ("update", "a.png"),
        ("move", "dogs/tom.png"),
        ("touch", "cats/old/c.png"),
        ("delete", "dogs/d.png"),
    }
    moved = index.get("dogs/tom.png")
    assert moved.id == ids["cats/b.png"]
    assert moved.metadata == {"folder": "dogs", "name": "Tom"}
    assert index.get("a.png").id == ids["a.png"]
    assert index.search(folder / "a.png", k=1).scores[0] == pytest.approx(1, abs=1e-6)
    assert counts(index.sync(folder)) == {"unchanged": 4}


def test_dry_run_recognises_moved_folder(index, folder):
    index.sync(folder)
    before = [index.get(key).source.path for key in sorted(index.keys())]
    moved = folder.rename(folder.with_name("elsewhere"))
    image(moved / "new.png", 10)
    os.utime(image(moved / "a.png", 11), ns=(1, 1))
    (moved / "cats/b.png").rename(moved / "tom.png")
    (moved / "dogs/d.png").unlink()
    expected = {"added": 1, "updated": 1, "moved": 1, "deleted": 1, "unchanged": 1}
    assert counts(index.sync(moved, dry_run=True)) == expected
    assert [index.get(key).source.path for key in sorted(index.keys())] == before
    assert counts(index.sync(moved)) == expected
    assert index.get("cats/old/c.png").source.path == os.fsencode(moved / "cats/old/c.png")


def test_sync_without_delete_adds_moved_images(index, folder):
    index.sync(folder)
    (folder / "a.png").rename(folder / "z.png")
    assert counts(index.sync(folder, delete=False)) == {"added": 1, "unchanged": 3}
    assert "a.png" in index


def test_sync_of_two_copies_of_missing_image(index, folder):
    index.sync(folder)
    shutil.copy(folder / "a.png", folder / "x.png")
    (folder / "a.png").rename(folder / "y.png")
    assert counts(index.sync(folder)) == {"moved": 1, "added": 1, "unchanged": 3}
    assert np.allclose(index.get("x.png").vector, index.get("y.png").vector)


ODD = [
    b"new\nline.png",
    b"quote'\".png",
    b"100%.png",
    b"%41.png",
    b"caf\xe9.png",
    b"\xff\xfe.png",
    "日本.png".encode(),
    b" .png",
    b"-rf.png",
    b"a\\b.png",
    b"$(x)`y`;z.png",
    b"y." + b"x" * 200,
    b"no extension",
    b"\x01\x7f.png",
    b"\xc3\xa9.png",
    b"e\xcc\x81.png",
]


def test_any_file_name_is_allowed(index, tmp_path):
    root = os.fsencode(tmp_path / "odd")
    for number, name in enumerate(ODD):
        image(os.path.join(root, b"d\xe9p", name), number)
    report = index.sync(root)
    assert counts(report) == {"added": len(ODD)}
    assert len(set(index.keys())) == len(ODD)
    for key in index:
        key.encode("utf-8")
        assert os.path.exists(index.get(key).source.path)
    assert "d%E9p/caf%E9.png" in index
    assert "d%E9p/100%25.png" in index
    os.rename(root, root + b"\xe9moved")
    assert counts(index.sync(root + b"\xe9moved")) == {"unchanged": len(ODD)}
    assert all(os.path.exists(index.get(key).source.path) for key in index)


def test_links_are_followed_and_loops_terminate(index, folder, tmp_path):
    outside = tmp_path / "outside"
    image(outside / "o.png", 20)
    image(outside / "deep/p.png", 21)
    (outside / "back").symlink_to(folder)
    (folder / "self").symlink_to(folder)
    (folder / "cats/up").symlink_to("..")
    (folder / "linked").symlink_to(outside)
    (folder / "linked twice").symlink_to(outside / "deep")
    (folder / "file.png").symlink_to(folder / "a.png")
    (folder / "dangling.png").symlink_to(folder / "nothing.png")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (folder / "a real name for x.jpg").mkdir()
    report = index.sync(folder)
    assert report.added == 7
    assert {f.key for f in report.failed} == {"dangling.png", "circle.png"}
    linked = {key for key in index if key.startswith("linked")}
    assert len(linked) == 2


def test_pipes_and_sockets_are_reported_and_do_not_hang(index, folder):
    os.mkfifo(folder / "pipe.png")
    report = index.sync(folder)
    assert [(f.key, f.reason) for f in report.failed] == [("pipe.png", "not a regular file")]
    assert report.added == 4


def test_broken_image_is_skipped_until_it_changes(index, folder, encoder):
    broken = folder / "broken.png"
    broken.write_bytes(b"no image")
    report = index.sync(folder)
    assert [f.key for f in report.failed] == ["broken.png"]
    encoder.batches.clear()
    again = index.sync(folder)
    assert [f.reason for f in again.failed] == [f.reason for f in report.failed]
    assert encoder.batches == []
    image(broken, 30)
    assert counts(index.sync(folder)) == {"added": 1, "unchanged": 4}
    broken.write_bytes(b"broken again")
    assert len(index.sync(folder).failed) == 1
    assert "broken.png" not in index
    broken.unlink()
    assert index.sync(folder).failed == []


def test_strict_raises_and_keeps_what_was_committed(index, folder):
    (folder / "broken.png").write_bytes(b"no image")
    with pytest.raises(ImageDecodeError, match=r"^broken.png: "):
        index.sync(folder, strict=True)


def test_two_folders_with_same_names_need_prefixes(index, folder, tmp_path):
    other = tmp_path / "other"
    image(other / "a.png", 40)
    index.sync(folder)
    report = index.sync(other)
    assert [f.key for f in report.failed] == ["a.png"]
    with pytest.raises(IndexStoreError, match="prefix"):
        index.sync(other, prefix="other/")
    third = tmp_path / "third"
    image(third / "a.png", 41)
    assert counts(index.sync(third, prefix="third/")) == {"added": 1}
    assert index.get("third/a.png").metadata == {"folder": "third"}
    assert counts(index.sync(folder)) == {"unchanged": 4}


def test_missing_folder_deletes_nothing(index, folder):
    index.sync(folder)
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(IndexStoreError, match="is not a folder"):
        index.sync(folder)
    assert len(index) == 4


def test_sync_adopts_image_added_by_path(index, folder, monkeypatch):
    monkeypatch.chdir(folder)
    index.add(["a.png"])
    before = index.get("a.png")
    assert before.source.checksum
    assert counts(index.sync(folder)) == {"added": 4}
    assert index.get("a.png").id == before.id
    assert len(index) == 4


def test_metadata_and_progress(index, folder):
    seen = []
    index.sync(
        folder, metadata=lambda key: {"n": len(key)}, progress=lambda d, t: seen.append((d, t))
    )
    assert index.get("a.png").metadata == {"n": 5}
    assert seen[-1] == (4, 4)


def test_many_images_arrive_in_batches(index, tmp_path, encoder):
    root = tmp_path / "many"
    for number in range(300):
        image(root / f"{number:03}.png", number)
    assert counts(index.sync(root)) == {"added": 300}
    assert encoder.batches == [128, 128, 44]
    assert [m.keys[0] for m in index.search_batch(sorted(root.iterdir())[:5], 1)] == [
        f"{n:03}.png" for n in range(5)
    ]


def test_unrelated_folder_does_not_replace_missing_one(index, folder, tmp_path):
    index.sync(folder)
    folder.rename(tmp_path / "unplugged")
    other = tmp_path / "other"
    for number in range(5):
        image(other / f"holiday{number}.png", 50 + number)
    assert counts(index.sync(other, dry_run=True)) == {"added": 5}
    assert counts(index.sync(other)) == {"added": 5}
    assert len(index) == 9
    (tmp_path / "unplugged").rename(folder)
    assert counts(index.sync(folder)) == {"unchanged": 4}


def test_published_copy_is_not_synced(index, folder, tmp_path):
    index.sync(folder)
    copy = Index.open(index.publish(tmp_path / "copy"), index.encoder)
    with pytest.raises(IndexStoreError, match="published copy, which is read-only"):
        copy.sync(folder)
    assert counts(copy.sync(folder, dry_run=True)) == {"unchanged": 4}


class WithoutBias(FakeEncoder):
    """Returns zeros for a black image, as a network of rectified units may."""

    def __init__(self):
        super().__init__()
        self.preprocessor = Preprocessor("L", 8, 8)

    def encode_tensors(self, X):
        codes = X.reshape(len(X), -1) @ self.weights
        return codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-9)


def test_image_with_zero_embedding_is_reported(tmp_path, folder):
    index = Index.create(tmp_path / "silent", WithoutBias())
    Image.new("L", (8, 8), 0).save(folder / "black.png")
    report = index.sync(folder)
    assert [(f.key, f.reason) for f in report.failed] == [
        ("black.png", "the network's output is all zeros or not finite: it cannot be compared")
    ]
    assert report.added == 4
    assert [f.key for f in index.sync(folder).failed] == ["black.png"]
    added = index.add([folder / "black.png", folder / "a.png"], keys=["black", "a"])
    assert (added.added, [f.key for f in added.failed]) == (["a"], ["black"])
    (folder / "wrong.png").write_bytes(b"no image")
    assert index.sync(folder).failed[-1].reason.startswith("not an image in a known format")


HIDDEN = [".git/a.png", ".git/b.png", ".x.png", "cats/Thumbs.db", "cats/__MACOSX/c.png"]


def test_hidden_files_are_counted_and_added_on_request(index, folder):
    for number, name in enumerate(HIDDEN):
        image(folder / name, 30 + number)
    report = index.sync(folder)
    assert (report.added, report.hidden_skipped, report.hidden_kept) == (4, 4, 0)
    assert report.failed == []
    assert index.sync(folder, hidden=True).added == len(HIDDEN)
    assert set(HIDDEN) < set(index.keys())


def test_indexed_hidden_images_stay_while_files_exist(index, folder):
    for number, name in enumerate(HIDDEN):
        image(folder / name, 30 + number)
    index.sync(folder, hidden=True)  # as version 0.1.0 did always
    os.utime(image(folder / ".x.png", 40), ns=(1, 1))
    before = index.get(".x.png").vector
    report = index.sync(folder)
    assert (report.deleted, report.updated, report.unchanged) == (0, 0, 4)
    assert (report.hidden_skipped, report.hidden_kept) == (4, 5)
    assert set(HIDDEN) < set(index.keys())
    assert np.array_equal(index.get(".x.png").vector, before)
    (folder / ".x.png").unlink()
    shutil.rmtree(folder / ".git")
    report = index.sync(folder)
    assert (report.deleted, report.hidden_kept) == (3, 2)
    assert index.sync(folder, hidden=True).hidden_kept == 0


def test_hiding_file_deletes_image_and_unhiding_moves_it(index, folder):
    image(folder / ".x.png", 30)
    index.sync(folder, hidden=True)
    identifier = index.get(".x.png").id
    (folder / ".x.png").rename(folder / "x.png")
    (folder / "a.png").rename(folder / ".a.png")
    report = index.sync(folder)
    assert (report.moved, report.deleted, report.hidden_skipped) == (1, 1, 1)
    assert index.get("x.png").id == identifier
    assert "a.png" not in index


def test_given_folder_may_be_hidden(index, folder):
    moved = folder.rename(folder.with_name(".images"))
    assert counts(index.sync(moved)) == {"added": 4}


def test_many_hidden_and_missing_files_are_fast(index, tmp_path):
    root = os.fsencode(tmp_path)
    plan = Plan(index.context.database.acquire(), 1, "")
    plan.connection.execute("BEGIN")
    plan.connection.execute("INSERT INTO roots VALUES (1, ?, '')", (root,))
    rows = [(n + 1, f"i{n}", f"k{n}", root + b"/%d.png" % n) for n in range(20_000)]
    plan.connection.executemany("INSERT INTO items VALUES (?, ?, ?, '{}', 1, 1, ?, 1, 1, '')", rows)
    plan.connection.execute("COMMIT")
    start = time.monotonic()
    plan.scan(Hidden(root + b"/.%d" % n, b".%d" % n) for n in range(20_000))
    assert time.monotonic() - start < 5
    assert (plan.hidden_skipped, plan.hidden_kept, plan.counts()[2]) == (20_000, 0, 20_000)
    plan.connection.close()
