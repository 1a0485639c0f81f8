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
_PLATFORM = ("platform", "extension")


def collect_jars(
    root: Path, files: list[Path], staging: Path, platform: tuple[str, str], *goals: str
) -> None:
    """Collect the jars of some modules, and of what they need, in a folder.

    Parameters
    ----------
    root : Path
        Contains pom.xml and the folders of modules. Without sources it contains pyimgret's jars.
    files : list of Path
        What Maven needs of it; Maven runs in a copy of them, so that two processes never build in
        one folder.
    staging : Path
        The folder for the jars.
    platform : (str, str)
        Platform, and its native build.
    *goals : str
        Modules, phases and further options.

    Raises
    ------
    JvmStartError
        If there is no Maven or no compiler, or Maven fails.
    """
    build = staging / "build"
    for source in files:
        copy = build / source.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    ours = list(build.glob("*.jar"))
    home = java_home()
    if home and not ours and not java_program(home, "javac").exists():
        raise NotInstalledError(
            f"{home} has no Java compiler, which pyimgret needs to run from its sources."
        )
    # NB: with our jars there is nothing to compile, but only after that phase does one module
    # find the other.
    phase = ["compile", "-Dmaven.main.skip=true"] if ours else ["package"]
    target, extension = (f"-Dnd4j.{n}={v}" for n, v in zip(_PLATFORM, platform, strict=True))
    command = [find_maven(build), "-B", "-q", *goals, "-am", *phase, target, extension]
    command += ["dependency:copy-dependencies", "-DexcludeGroupIds=org.pyimgret"]
    command += ["-DincludeScope=runtime", "-Dmaven.test.skip=true"]
    run([*command, f"-DoutputDirectory={staging}"], build, staging)
    for jar in ours or build.glob("java/*/target/pyimgret-*.jar"):
        shutil.copyfile(jar, staging / jar.name)
    shutil.rmtree(build)


def files_of(root: Path, *modules: str) -> list[Path]:
    """List the files that Maven needs: poms, sources or pyimgret's jars, the Maven wrapper."""
    wrapper = ("mvnw", "mvnw.cmd", ".mvn/wrapper/maven-wrapper.properties")
    files = [root / "pom.xml", *sorted(root.glob("pyimgret-*.jar"))]
    files += [root / name for name in wrapper if (root / name).exists()]
    for module in modules or MODULES:
        folder = root / "java" / module
        files += [folder / "pom.xml", *sorted((folder / "src" / "main").rglob("*.*"))]
    return files


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
    # The wrapper needs a JDK, a shell and something that downloads and unpacks.
    loads = shutil.which("curl") or shutil.which("wget")
    can_run = java_home() and loads and shutil.which("sh") and shutil.which("unzip")
    if wrapper.exists() and (os.name == "nt" or can_run):
        wrapper.chmod(0o755)
        return str(wrapper)
    raise NotInstalledError("Maven was not found; it is needed once, to download Deeplearning4j.")


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
            command,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | ({"JAVA_HOME": home} if home else {}),
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
        errors = "\n".join(line for line in output.splitlines() if "ERROR" in line)[:2000]
        raise JvmStartError(
            f"Maven could not download the jars (exit code {process.returncode}); it needs a JDK "
            f"and, this once, the network:\n{errors or output[-2000:]}"
        )


def _progress(staging: Path, start: float) -> str:
    jars = list(staging.glob("*.jar"))
    size = sum(jar.stat().st_size for jar in jars if jar.exists()) >> 20
    return f"pyimgret: {len(jars)} jars, {size} MB, {time.monotonic() - start:.0f} s"
