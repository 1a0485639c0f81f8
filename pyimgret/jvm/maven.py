"""Running Maven, which downloads Deeplearning4j and, from a clone, builds pyimgret's jar."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pyimgret.exceptions import JvmStartError
from pyimgret.jvm.java import NotInstalledError, java_home, java_program

#: The folders of java/ that Python needs, each after those that it uses.
MODULES = ("engine", "core")


def run_maven(root: Path, target: str, extension: str, staging: Path) -> None:
    """Collect all required jars in a folder.

    Parameters
    ----------
    root : Path
        Contains pom.xml, java/engine and java/core; Maven runs in a copy of it, so that two
        processes never build in one folder. Without sources, ``root`` contains pyimgret's jars.
    target, extension : str
        Platform, and its native build.
    staging : Path
        The folder for the jars.

    Raises
    ------
    JvmStartError
        If there is no Maven or no compiler, or Maven fails.
    """
    build = staging / "build"
    for source in files_of(root):
        copy = build / source.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    ours = list(build.glob("*.jar"))
    home = java_home()
    if home and not ours and not java_program(home, "javac").exists():
        raise NotInstalledError(
            f"{home} has no Java compiler, which pyimgret needs to run from its sources."
        )
    run(
        [
            # NB: with our jars there is nothing to compile, but only after that phase does one
            # module find the other.
            find_maven(build), "-B", "-q", "-pl", "java/core", "-am",
            *(["compile", "-Dmaven.main.skip=true"] if ours else ["package"]),
            "dependency:copy-dependencies",
            "-DexcludeGroupIds=org.pyimgret", "-Dmaven.test.skip=true", "-DincludeScope=runtime",
            f"-Dnd4j.platform={target}", f"-Dnd4j.extension={extension}",
            f"-DoutputDirectory={staging}",
        ],
        build,
        staging,
    )  # fmt: skip
    for jar in ours or build.glob("java/*/target/pyimgret-*.jar"):
        shutil.copyfile(jar, staging / jar.name)
    shutil.rmtree(build)


def files_of(root: Path) -> list[Path]:
    """List the files that Maven needs: poms, sources or pyimgret's jars, the Maven wrapper."""
    files = [root / "pom.xml", *sorted(root.glob("pyimgret-*.jar")), *_wrapper(root)]
    for module in MODULES:
        folder = root / "java" / module
        files += [folder / "pom.xml", *sorted((folder / "src" / "main").rglob("*.*"))]
    return files


def _wrapper(root: Path) -> list[Path]:
    names = ("mvnw", "mvnw.cmd", ".mvn/wrapper/maven-wrapper.properties")
    return [root / name for name in names if (root / name).exists()]


def find_maven(build: Path) -> str:
    """Return Maven, or the wrapper that downloads it.

    Raises
    ------
    NotInstalledError
        If there is neither.
    """
    found = shutil.which("mvn")
    if found:
        return found
    wrapper = build / ("mvnw.cmd" if os.name == "nt" else "mvnw")
    if wrapper.exists() and _can_run_wrapper():
        wrapper.chmod(0o755)
        return str(wrapper)
    raise NotInstalledError("Maven was not found; it is needed once, to download Deeplearning4j.")


def _can_run_wrapper() -> bool:
    """Return whether a JDK, a shell and a download tool are available."""
    if os.name == "nt":
        return True
    java = java_home()
    loads = shutil.which("curl") or shutil.which("wget")
    return bool(java and loads and shutil.which("sh") and shutil.which("unzip"))


def run(command: list[str], folder: Path, staging: Path) -> None:
    """Run Maven in a folder and show progress; ``staging`` is the folder for the jars.

    Raises
    ------
    JvmStartError
        If it fails.
    """
    start = time.monotonic()
    live = sys.stderr.isatty()
    print("pyimgret: downloading Deeplearning4j with Maven (once) ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryFile("w+") as log:
        home = java_home()
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=os.environ | ({"JAVA_HOME": home} if home else {}),
        )  # fmt: skip
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
        raise JvmStartError(_failure(process.returncode, output))


def _failure(code: int, output: str) -> str:
    errors = "\n".join(line for line in output.splitlines() if "ERROR" in line)[:2000]
    return (
        f"Maven could not download the jars (exit code {code}); it needs a JDK and, this once, the "
        f"network:\n{errors or output[-2000:]}"
    )


def _progress(staging: Path, start: float) -> str:
    jars = list(staging.glob("*.jar"))
    size = sum(jar.stat().st_size for jar in jars if jar.exists()) >> 20
    return f"pyimgret: {len(jars)} jars, {size} MB, {time.monotonic() - start:.0f} s"
