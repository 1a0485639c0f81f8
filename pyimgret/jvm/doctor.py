"""Diagnosis of the installation, for ``pyimgret doctor``."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from pyimgret.exceptions import PyimgretError
from pyimgret.files.cache import cache_folder
from pyimgret.jvm.bridge import bridge
from pyimgret.jvm.jars import jar_folder, native_classifier
from pyimgret.jvm.java import INSTALL, INSTALL_RUNTIME, NotInstalledError, java_home, java_program
from pyimgret.jvm.settings import ENGINES, available_cores, current_settings


def report() -> dict[str, Any]:
    """Return facts about the installation and the JVM, and problems with their solutions.

    Starts the JVM, and downloads the jars if necessary.
    """
    facts: dict[str, Any] = {"java": None, "maven": _maven(), "problems": []}
    facts["settings"] = vars(current_settings()) | {"jvm_options": current_settings().jvm_options()}
    facts["cores"] = available_cores()
    try:
        facts["java"] = _java()
        facts["platform"] = "".join(native_classifier())
        facts["cache"] = str(cache_folder())
        folder = jar_folder()
        facts["jars"] = {
            "folder": str(folder),
            "files": sorted(p.name for p in folder.glob("*.jar")),
        }
        facts["jvm"] = json.loads(bridge().call("info"))
        facts["jvm"]["blas_kernel"] = blas_kernel()
        facts["self_check"] = "passed"
    except PyimgretError as error:
        facts["self_check"] = "failed"
        problem = str(error)
        if isinstance(error, NotInstalledError):
            table = INSTALL | {"any system": INSTALL_RUNTIME}
            rows = (f"\n  {system}: {command}" for system, command in table.items())
            problem = f"{error.missing} Install a JDK and Maven:{''.join(rows)}"
        facts["problems"].append(problem)
    facts["problems"] += _warnings(facts)
    return facts


def blas_kernel() -> str | None:
    """Return the processor type that the loaded OpenBLAS has selected its kernels for.

    None if the system does not list the libraries of a process.
    """
    try:
        maps = Path("/proc/self/maps").read_text().split()
    except OSError:
        return None
    # NB: NumPy and SciPy may have loaded their own OpenBLAS; JavaCPP loads the one in question.
    for name in sorted({w for w in maps if "openblas" in w and "javacpp" in w}):
        core = getattr(ctypes.CDLL(name), "openblas_get_corename", None)
        if core is not None:
            core.restype = ctypes.c_char_p
            return str(core().decode())
    return None


def _java() -> str | None:
    home = java_home()
    program = str(java_program(home)) if home else shutil.which("java")
    return None if program is None else _first_line([program, "-version"])


def _maven() -> str | None:
    program = shutil.which("mvn")
    return None if program is None else _first_line([program, "--version"]) or program


def _first_line(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines and not done.returncode else None


def _warnings(facts: dict[str, Any]) -> list[str]:
    """Return warnings about reduced performance."""
    problems: list[str] = []
    jvm = facts.get("jvm")
    if jvm is None:
        return problems
    if jvm["engine"] not in ENGINES:
        problems.append(
            "Deeplearning4j runs the networks, several times slower than oneDNN 3 could: "
            f"{jvm['engine']}."
        )
    if not jvm["onednn"] and current_settings().onednn:
        problems.append(
            "Deeplearning4j's oneDNN is off, so what it runs is slower than necessary: "
            f"{facts['platform']} has no build with it, or another Deeplearning4j is on the "
            "class path."
        )
    if jvm["threads"] > facts["cores"]:
        problems.append(
            f"{jvm['threads']} threads share {facts['cores']} cores; set PYIMGRET_THREADS="
            f"{facts['cores']} or unset OMP_NUM_THREADS."
        )
    return problems
