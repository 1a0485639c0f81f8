"""A disk that is full: clear errors, nothing lost, everything possible again afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from index_fakes import unit
from PIL import Image

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX limits")

WORKER = Path(__file__).with_name("full_disk_worker.py")
NAMESPACE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def can_mount(folder):
    """Tell whether this system lets a process mount a disk that only it sees."""
    attempt = [*NAMESPACE, "mount", "-t", "tmpfs", "none", str(folder)]
    try:
        return subprocess.run(attempt, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module", params=["tmpfs", "limit"])
def report(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"full-{request.param}")
    disk, images = folder / "disk", folder / "images"
    disk.mkdir()
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(150):
        Image.fromarray(rng.integers(0, 256, (32, 32), np.uint8)).save(images / f"{number}.png")
    np.save(folder / "rows.npy", unit(2000, 16, seed=7))
    prefix = NAMESPACE if request.param == "tmpfs" else []
    kind = request.param
    if prefix and not can_mount(disk):
        # NB: instead of skipping, use a limit on the size of files.
        prefix, kind = [], "limit"
    command = [*prefix, sys.executable, str(WORKER), kind, str(disk), str(images)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_full_disk_is_reported_with_advice(report):
    for name, (kind, message) in report["full"].items():
        assert kind == "IndexStoreError", (name, kind, message)
        assert (
            "free some space" in message
            or "is the disk full" in message
            or ("the disk is full" in message)
        ), (name, message)


def test_committed_images_survive_full_disk(report):
    assert report["during"] == report["before"]
    assert report["after"] == report["before"]


def test_full_disk_leaves_no_partial_files(report):
    assert report["left"] == []
    assert report["check"] == []


def test_index_works_again_when_space_is_freed(report):
    assert {name: kind for name, (kind, _) in report["again"].items() if kind != "done"} == {}
    assert report["count"] == 3000 + 2000 + 2000 + 150
    assert report["copy"] == report["count"]
