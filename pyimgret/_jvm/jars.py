"""Where the Java classes come from: our jar, and Deeplearning4j's by Maven, once."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pyimgret.exceptions import JvmStartError

#: How each system calls its packages for a JDK and for Maven.
INSTALL = {
    "Debian, Ubuntu": "sudo apt-get install openjdk-17-jdk maven",
    "Fedora": "sudo dnf install java-17-openjdk-devel maven",
    "macOS": "brew install openjdk@17 maven",
    "Windows": "winget install EclipseAdoptium.Temurin.17.JDK; choco install maven",
}

_ROOT = Path(__file__).resolve().parent.parent.parent


def install_hint() -> str:
    """Say how to install a JDK and Maven, for each system."""
    return "\n".join(f"  {system}: {command}" for system, command in INSTALL.items())


def cache_folder() -> Path:
    """Give the folder where jars are kept: ``PYIMGRET_CACHE``, or the user's cache.

    A home that cannot be written is replaced by a folder of this user's below the system's
    temporary one.
    """
    chosen = os.environ.get("PYIMGRET_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    for folder in (Path(base) if base else None, Path.home() / ".cache"):
        if folder and _writable(folder / "pyimgret"):
            return folder / "pyimgret"
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"pyimgret-{user}"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def native_classifier() -> tuple[str, str]:
    """Choose the native code for this machine: platform, and extension for its processor."""
    system, machine = platform.system().lower(), platform.machine().lower()
    name = {"darwin": "macosx"}.get(system, system)
    arch = {"amd64": "x86_64", "aarch64": "arm64"}.get(machine, machine)
    known = {"linux-x86_64", "linux-arm64", "macosx-x86_64", "macosx-arm64", "windows-x86_64"}
    if f"{name}-{arch}" not in known:
        raise JvmStartError(
            f"ND4J has no native code for {name}-{arch}; it has it for {', '.join(sorted(known))}."
        )
    return f"{name}-{arch}", _extension() if f"{name}-{arch}" == "linux-x86_64" else ""


def _extension() -> str:
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return "-onednn"
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"} <= flags:
        return "-onednn-avx512"
    return "-onednn-avx2" if {"avx2", "fma"} <= flags else "-onednn"


def jar_folder() -> Path:
    """Give the folder of all jars; fill it by Maven the first time.

    Raises
    ------
    JvmStartError
        When Maven is missing or fails.
    """
    chosen = os.environ.get("PYIMGRET_JARS")
    if chosen:
        if not any(Path(chosen).glob("*.jar")):
            raise JvmStartError(f"PYIMGRET_JARS={chosen} holds no jars; unset it to fetch them.")
        return Path(chosen)
    target, extension = native_classifier()
    folder = cache_folder() / f"jars-{_fingerprint()}-{target}{extension}"
    if not (folder / "complete").exists():
        _fill(folder, target, extension)
    return folder


def _sources() -> list[Path]:
    if not (_ROOT / "java" / "core" / "pom.xml").exists():
        raise JvmStartError(f"The Java sources are not beside the package ({_ROOT}).")
    core = _ROOT / "java" / "core"
    return [_ROOT / "pom.xml", core / "pom.xml", *sorted((core / "src" / "main").rglob("*.*"))]


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(str(path.relative_to(_ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _fill(folder: Path, target: str, extension: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix="fetching-"))
    try:
        _run_maven(staging, target, extension)
        (staging / "complete").touch()
        try:
            staging.rename(folder)
        except OSError:
            # Another process was faster, and its jars are as good as ours.
            if not (folder / "complete").exists():
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _run_maven(staging: Path, target: str, extension: str) -> None:
    # NB: a copy of the sources, so that two processes never build in one folder.
    build = staging / "build"
    for source in _sources():
        copy = build / source.relative_to(_ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    command = [
        _maven(), "-B", "-q", "-pl", "java/core", "package", "dependency:copy-dependencies",
        "-DskipTests", "-Dmaven.test.skip=true", "-DincludeScope=runtime",
        f"-Dnd4j.platform={target}", f"-Dnd4j.extension={extension}",
        f"-DoutputDirectory={staging}",
    ]  # fmt: skip
    _run(command, build, staging)
    for jar in (build / "java" / "core" / "target").glob("pyimgret-core-*.jar"):
        shutil.copyfile(jar, staging / jar.name)
    shutil.rmtree(build)


def _maven() -> str:
    found = shutil.which("mvn")
    if found:
        return found
    raise JvmStartError(
        "Maven is not installed, and it is needed once to fetch Deeplearning4j. Install it:\n"
        + install_hint()
    )


def _run(command: list[str], folder: Path, staging: Path) -> None:
    start = time.monotonic()
    live = sys.stderr.isatty()
    print("pyimgret: fetching Deeplearning4j by Maven (once) ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        try:
            while process.poll() is None:
                time.sleep(0.2)
                if live:
                    print(f"\r{_progress(staging, start)}", end="", file=sys.stderr, flush=True)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        log.seek(0)
        output = log.read()
    print(f"{chr(13) if live else ''}{_progress(staging, start)}", file=sys.stderr, flush=True)
    if process.returncode:
        tail = "\n".join(line for line in output.splitlines() if "ERROR" in line)[:2000]
        raise JvmStartError(
            f"Maven could not fetch the jars (exit code {process.returncode}); it needs a JDK and, "
            f"this once, the network:\n{tail or output[-2000:]}\nInstall a JDK and Maven:\n"
            + install_hint()
        )


def _progress(staging: Path, start: float) -> str:
    jars = list(staging.glob("*.jar"))
    size = sum(jar.stat().st_size for jar in jars if jar.exists()) >> 20
    return f"pyimgret: {len(jars)} jars, {size} MB, {time.monotonic() - start:.0f} s"
