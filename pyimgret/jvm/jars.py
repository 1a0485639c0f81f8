"""Where the Java classes come from: our jar, and Deeplearning4j's by Maven, once."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path

from pyimgret.exceptions import JvmStartError
from pyimgret.files.cache import cache_folder
from pyimgret.jvm.jar_cache import fill, hold, remove_unused
from pyimgret.jvm.maven import files_of, run_maven

#: SHA-256 of every jar that Maven may bring, ``sum  name`` a line.
SUMS = Path(__file__).with_name("jars.sha256")


def project_root() -> Path:
    """Return the folder with poms and sources of a clone, or with poms and jar of a wheel."""
    here = Path(__file__).resolve().parent
    for root in (here / "bundle", here.parent.parent):
        if (root / "java" / "core" / "pom.xml").exists():
            return root
    raise JvmStartError(
        f"The Java part of pyimgret is neither in {here / 'bundle'} nor beside the package; "
        "install pyimgret anew."
    )


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
        When Maven is missing or fails, or a jar is not the one that was published.
    """
    chosen = os.environ.get("PYIMGRET_JARS")
    if chosen:
        if not any(Path(chosen).glob("*.jar")):
            raise JvmStartError(f"PYIMGRET_JARS={chosen} holds no jars; unset it to fetch them.")
        return Path(chosen)
    root = project_root()
    return filled_folder(
        "jars", files_of(root), lambda platform, staging: run_maven(root, *platform, staging)
    )


def filled_folder(
    name: str, files: list[Path], build: Callable[[tuple[str, str], Path], None]
) -> Path:
    """Give the folder of the jars that come of some files; build and verify them the first time.

    The folder is this process's to use as long as it lives; what older versions of the files
    left behind, and nobody has used for a month, is removed when a new one was made.

    Parameters
    ----------
    name : str
        What the folder's name begins with.
    files : list of Path
        Poms, sources and jars below the project's root: when one changes, so does the folder.
    build : callable
        Called with platform and extension, and the folder that the jars go into.
    """
    platform = native_classifier()
    cache = cache_folder()
    folder = cache / f"{name}-{_fingerprint(files)}-{''.join(platform)}"
    if not hold(folder):
        fill(folder, lambda staging: _verified(build, platform, staging))
        remove_unused(cache, name)
    return folder


def _verified(
    build: Callable[[tuple[str, str], Path], None], platform: tuple[str, str], staging: Path
) -> None:
    build(platform, staging)
    verify(staging)


def _fingerprint(files: list[Path]) -> str:
    root = project_root()
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def verify(folder: Path) -> None:
    """Hold every jar that was fetched against the sum that pyimgret knows.

    Raises
    ------
    JvmStartError
        When one differs, or is none that pyimgret knows.
    """
    lines = (line.split() for line in SUMS.read_text().splitlines())
    sums = {name: value for value, name in lines}
    for jar in sorted(folder.glob("*.jar")):
        if jar.name.startswith("pyimgret-"):
            continue
        got = hashlib.sha256(jar.read_bytes()).hexdigest()
        if sums.get(jar.name) != got:
            expected = sums.get(jar.name, "no such jar")
            raise JvmStartError(
                f"{jar.name} has the SHA-256 sum {got}, expected {expected}. Delete it from "
                "Maven's local repository and try again; if that does not help, the mirror that "
                "Maven uses serves something else than was published."
            )
