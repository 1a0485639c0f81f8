"""The wheel, installed in an empty environment on a machine without Java, Maven or this folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Tools that the wheel must not need: it brings a Java runtime by its extra and a Maven wrapper.
HIDDEN = ("java", "javac", "mvn", "mvnDebug", "python", "python3", "pyimgret")


@pytest.fixture
def tools(tmp_path) -> Path:
    """Return a folder with the tools of the system, but for those that are hidden."""
    folder = tmp_path / "tools"
    folder.mkdir()
    found = {tool.name: tool for place in ("/bin", "/usr/bin") for tool in Path(place).iterdir()}
    for name in found.keys() - set(HIDDEN):
        (folder / name).symlink_to(found[name])
    return folder


@pytest.mark.slow
@pytest.mark.skipif(not Path("/usr/bin/env").exists(), reason="The tools are looked for in /usr.")
def test_wheel_runs_demo_in_empty_environment(tmp_path, tools):
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT])
    [wheel] = tmp_path.glob("pyimgret-*.whl")
    run([sys.executable, "-m", "venv", tmp_path / "venv"])
    programs = tmp_path / "venv" / "bin"
    run([programs / "pip", "install", "-q", f"{wheel}[demo,jdk]"])
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    environment = {"HOME": str(tmp_path / "home"), "PATH": f"{programs}:{tools}"}
    assert shutil.which("java", path=environment["PATH"]) is None
    assert shutil.which("mvn", path=environment["PATH"]) is None

    def pyimgret(*arguments: str) -> str:
        return run([programs / "pyimgret", *arguments], tmp_path / "work", environment)

    table = pyimgret("demo")
    assert "autoencoder" in table
    assert (tmp_path / "work" / "demo" / "matches.png").stat().st_size > 10_000
    found = pyimgret("search", "--index", "demo/index", "demo/queries/7.png")
    assert found.count("digit-") == 5
    assert "self-check      passed" in pyimgret("doctor")


def run(command, folder=None, environment=None) -> str:
    """Run a command to its end and return what it said."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
