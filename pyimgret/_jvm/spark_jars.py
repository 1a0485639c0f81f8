"""The jars of a Spark job: our module, Deeplearning4j's for Spark, and all that they need."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from pyimgret._jvm import jars, maven
from pyimgret.exceptions import JvmStartError

#: Spark brings its own logging; a second binding would win or lose by chance.
_NOT_SHIPPED = ("slf4j-",)
_NAME = "pyimgret-spark-"


def spark_jars() -> tuple[Path, list[Path]]:
    """Return the application's jar and the others, built and fetched by Maven the first time.

    Raises
    ------
    JvmStartError
        When Maven is missing or fails, or a jar is not the one that was published.
    """
    target, extension = jars.native_classifier()
    folder = jars.cache_folder() / f"spark-{_fingerprint()}-{target}{extension}"
    if not (folder / "complete").exists():
        _fill(folder, target, extension)
    found = sorted(j for j in folder.glob("*.jar") if not j.name.startswith(_NOT_SHIPPED))
    application = next(j for j in found if j.name.startswith(_NAME))
    return application, [j for j in found if j is not application]


def _files(root: Path) -> list[Path]:
    """List poms and sources of both modules, and the Maven wrapper."""
    module = root / "java" / "spark"
    if not (module / "pom.xml").exists():
        raise JvmStartError(f"The Java part of pyimgret.spark is not at {module}.")
    own = [module / "pom.xml", *sorted((module / "src" / "main").rglob("*.*"))]
    return [*(path for path in maven.files_of(root) if path.suffix != ".jar"), *own]


def _fingerprint() -> str:
    root = jars.project_root()
    digest = hashlib.sha256()
    for path in _files(root):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _fill(folder: Path, target: str, extension: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix="fetching-"))
    try:
        _build(staging, target, extension)
        jars.verify(staging)
        (staging / "complete").touch()
        # NB: mkdtemp's folder is the user's alone; a cache may be shared.
        staging.chmod(0o755)
        try:
            staging.rename(folder)
        except OSError:
            # Another process was faster, and its jars are as good as ours.
            if not (folder / "complete").exists():
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _build(staging: Path, target: str, extension: str) -> None:
    root = jars.project_root()
    build = staging / "build"
    for source in _files(root):
        copy = build / source.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    command = [
        maven.find_maven(build), "-B", "-q", "-Pspark", "-pl", "java/spark", "-am", "package",
        "dependency:copy-dependencies", "-Dmaven.test.skip=true", "-DincludeScope=runtime",
        f"-Dnd4j.platform={target}", f"-Dnd4j.extension={extension}",
        f"-DoutputDirectory={staging}",
    ]  # fmt: skip
    maven.run(command, build, staging)
    for jar in build.glob("java/*/target/pyimgret-*.jar"):
        shutil.copyfile(jar, staging / jar.name)
    shutil.rmtree(build)
