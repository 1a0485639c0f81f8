"""Old folders of jars go, and never one that a process uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyimgret.jvm import jar_cache, jars

OLD = "jars-0123456789ab-linux-x86_64"
pytestmark = pytest.mark.skipif(jar_cache.fcntl is None, reason="Windows has no shared locks")


def complete(folder: Path, *, used: float = 0) -> Path:
    """Make a complete folder, last taken into use at a time."""
    folder.mkdir(parents=True)
    (folder / "some.jar").write_bytes(b"jar")
    (folder / jar_cache.MARK).touch()
    os.utime(folder / jar_cache.MARK, (used, used))
    return folder


def test_folder_that_nobody_used_for_long_is_removed(tmp_path: Path) -> None:
    folder = complete(tmp_path / OLD)
    assert jar_cache.remove_unused(tmp_path, "jars") == [folder]
    assert list(tmp_path.iterdir()) == []


def test_folder_that_was_used_lately_stays(tmp_path: Path) -> None:
    folder = complete(tmp_path / OLD)
    (tmp_path / "weights").mkdir()
    other = complete(tmp_path / OLD.replace("jars", "spark"))
    os.utime(folder / jar_cache.MARK)
    assert jar_cache.remove_unused(tmp_path, "jars") == []
    assert sorted(tmp_path.iterdir()) == [folder, other, tmp_path / "weights"]


def test_start_counts_as_use(tmp_path: Path) -> None:
    folder = complete(tmp_path / OLD)
    # As a process does that starts its JVM and ends.
    script = "import sys, pathlib; from pyimgret.jvm.jar_cache import hold; "
    script += "print(hold(pathlib.Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", script, folder], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"
    assert jar_cache.remove_unused(tmp_path, "jars") == []


HOLDER = """
import os, pathlib, sys
from pyimgret.jvm.jar_cache import MARK, hold
folder = pathlib.Path(sys.argv[1])
print(hold(folder), flush=True)
os.utime(folder / MARK, (0, 0))
print("old", flush=True)
sys.stdin.read()
"""


def test_process_that_has_run_for_long_keeps_its_folder(tmp_path: Path) -> None:
    folder = complete(tmp_path / OLD)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout
    assert [holder.stdout.readline() for _ in range(2)] == ["True\n", "old\n"]
    assert jar_cache.remove_unused(tmp_path, "jars") == []
    holder.communicate()
    assert jar_cache.remove_unused(tmp_path, "jars") == [folder]


def test_folder_without_its_mark_is_not_taken_into_use(tmp_path: Path) -> None:
    (complete(tmp_path / OLD) / jar_cache.MARK).unlink()
    assert not jar_cache.hold(tmp_path / OLD)
    assert not jar_cache.hold(tmp_path / "none")


def test_what_killed_processes_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    for name in ("fetching-a", "removing-b", "fetching-new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "some.jar").touch()
    for name in ("fetching-a", "removing-b"):
        os.utime(tmp_path / name, (0, 0))
    jar_cache.remove_unused(tmp_path, "jars")
    assert [path.name for path in tmp_path.iterdir()] == ["fetching-new"]


USERS = """
import os, pathlib, sys
from pyimgret.jvm import jar_cache
folder = pathlib.Path(sys.argv[1])
filled = lost = 0

def build(staging):
    global filled
    filled += 1
    (staging / "some.jar").touch()

for _ in range(300):
    if not jar_cache.hold(folder):
        jar_cache.fill(folder, build)
    if folder not in jar_cache._held:
        continue  # made, and removed before it could be held: the time below is never this old
    # As if it had been used for the last time long ago: the lock alone must keep it now.
    os.utime(folder / jar_cache.MARK, (0, 0))
    for _ in range(20):
        lost += not (folder / "some.jar").exists()
    os.close(jar_cache._held.pop(folder))
    jar_cache.remove_unused(folder.parent, "jars")
print(lost, filled)
"""


def test_nobody_loses_folder_to_others_who_remove_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", USERS, tmp_path / OLD]
    users = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [user.communicate(timeout=120)[0].split() for user in users]
    assert [user.returncode for user in users] == [0, 0, 0]
    assert [lost for lost, _ in outputs] == ["0", "0", "0"]
    # It was removed again and again all the while.
    assert sum(int(filled) for _, filled in outputs) > 10


def test_new_folder_of_jars_takes_place_of_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "cache_folder", lambda: tmp_path)
    old, young = complete(tmp_path / OLD), complete(tmp_path / OLD.replace("0", "f"))
    os.utime(young / jar_cache.MARK)
    source = jars.project_root() / "pom.xml"
    made = jars.filled_folder("jars", [source], lambda staging, _: (staging / "x").touch())
    assert not old.exists()
    assert sorted(tmp_path.iterdir()) == sorted([made, young])
    assert jars.filled_folder("jars", [source], lambda *_: pytest.fail("filled twice")) == made
