"""The jars: pyimgret's own, and Deeplearning4j's, downloaded once by Maven."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from pathlib import Path

from pyimgret.exceptions import JvmStartError
from pyimgret.files.cache import cache_folder
from pyimgret.jvm.jar_cache import fill, hold, remove_unused
from pyimgret.jvm.maven import MODULES, collect_jars, files_of

#: SHA-256 of every jar that Maven may download, ``sum  name`` per line.
SUMS = Path(__file__).with_name("jars.sha256")
#: Jars that Spark includes itself, such as its logging: a second binding would conflict with it.
_OF_SPARK = ("slf4j-",)


def project_root() -> Path:
    """Return the folder with poms and sources of a clone, or with poms and jar of a wheel."""
    here = Path(__file__).resolve().parent
    for root in (here / "bundle", here.parent.parent):
        if (root / "java" / "core" / "pom.xml").exists():
            return root
    raise JvmStartError(
        f"The Java part of pyimgret was found neither in {here / 'bundle'} nor beside the package; "
        "reinstall pyimgret."
    )


def native_classifier() -> tuple[str, str]:
    """Return the native build for this machine: platform, and extension for its processor."""
    system, machine = platform.system().lower(), platform.machine().lower()
    name = {"darwin": "macosx"}.get(system, system)
    arch = {"amd64": "x86_64", "aarch64": "arm64"}.get(machine, machine)
    known = {"linux-x86_64", "linux-arm64", "macosx-x86_64", "macosx-arm64", "windows-x86_64"}
    if f"{name}-{arch}" not in known:
        raise JvmStartError(
            f"ND4J has no native build for {name}-{arch}, only for {', '.join(sorted(known))}."
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
    """Return the folder with all jars; Maven fills it the first time.

    Raises
    ------
    JvmStartError
        If Maven is missing or fails, or a jar does not match its checksum.
    """
    chosen = os.environ.get("PYIMGRET_JARS")
    if chosen:
        if not any(Path(chosen).glob("*.jar")):
            raise JvmStartError(
                f"PYIMGRET_JARS={chosen} contains no jars; unset it to download them."
            )
        return Path(chosen)
    root = project_root()
    files = files_of(root)
    goals = ("-pl", "java/core")
    return filled_folder("jars", files, lambda *to: collect_jars(root, files, *to, *goals))


def spark_jars() -> tuple[Path, list[Path]]:
    """Return the application jar and the others; Maven builds and downloads them the first time.

    Raises
    ------
    JvmStartError
        If Maven is missing or fails, or a jar does not match its checksum.
    """
    root = project_root()
    module = root / "java" / "spark"
    if not (module / "pom.xml").exists():
        raise JvmStartError(f"The Java part of pyimgret.spark was not found at {module}.")
    files = [path for path in files_of(root, *MODULES, "spark") if path.suffix != ".jar"]
    goals = ("-Pspark", "-pl", "java/spark")
    folder = filled_folder("spark", files, lambda *to: collect_jars(root, files, *to, *goals))
    found = sorted(j for j in folder.glob("*.jar") if not j.name.startswith(_OF_SPARK))
    application = next(j for j in found if j.name.startswith("pyimgret-spark-"))
    return application, [j for j in found if j is not application]


def filled_folder(
    name: str, files: list[Path], build: Callable[[Path, tuple[str, str]], None]
) -> Path:
    """Return the folder with the jars built from some files; built and verified the first time.

    The folder stays locked until this process ends; folders of older versions of the files
    that were not used for a month are removed when a new one is created.

    Parameters
    ----------
    name : str
        Prefix of the folder's name.
    files : list of Path
        Poms, sources and jars below the project root, which determine the folder.
    build : callable
        Called with the folder for the jars, and with platform and extension.
    """
    platform = native_classifier()
    cache = cache_folder()
    folder = cache / f"{name}-{_fingerprint(files)}-{''.join(platform)}"

    def build_and_verify(staging: Path) -> None:
        build(staging, platform)
        verify(staging)

    if not hold(folder):
        fill(folder, build_and_verify)
        remove_unused(cache, name)
    return folder


def _fingerprint(files: list[Path]) -> str:
    root = project_root()
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def verify(folder: Path) -> None:
    """Verify the checksum of every downloaded jar.

    Raises
    ------
    JvmStartError
        If a checksum differs, or a jar is unknown.
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
                f"{jar.name} has the SHA-256 checksum {got}, expected {expected}. Delete it from "
                "Maven's local repository and try again; if that does not help, the mirror that "
                "Maven uses serves a different file than was published."
            )
