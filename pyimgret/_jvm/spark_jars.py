"""The jars of a Spark job: our module, Deeplearning4j's for Spark, and all that they need."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from pyimgret._jvm import jars
from pyimgret.exceptions import JvmStartError

#: Spark brings its own logging; a second binding would win or lose by chance.
_NOT_SHIPPED = ("slf4j-", "junit", "opentest4j", "apiguardian")
_NAME = "pyimgret-spark-"


def spark_jars() -> tuple[Path, list[Path]]:
    """Return the application's jar and the others, built and fetched by Maven the first time.

    Raises
    ------
    JvmStartError
        When Maven is missing or fails.
    """
    target, extension = jars.native_classifier()
    folder = jars.cache_folder() / f"spark-{_fingerprint()}-{target}{extension}"
    if not (folder / "complete").exists():
        _fill(folder, target, extension)
    found = sorted(j for j in folder.glob("*.jar") if not j.name.startswith(_NOT_SHIPPED))
    application = next(j for j in found if j.name.startswith(_NAME))
    return application, [j for j in found if j is not application]


def _sources() -> list[Path]:
    module = jars._ROOT / "java" / "spark"
    if not (module / "pom.xml").exists():
        raise JvmStartError(f"The Java sources of the Spark part are not at {module}.")
    own = [module / "pom.xml", *sorted((module / "src" / "main").rglob("*.*"))]
    return [*jars._sources(), *own]


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(str(path.relative_to(jars._ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _fill(folder: Path, target: str, extension: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix="fetching-"))
    try:
        _build(staging, target, extension)
        (staging / "complete").touch()
        try:
            staging.rename(folder)
        except OSError:
            # Another process was faster, and its jars are as good as ours.
            if not (folder / "complete").exists():
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _build(staging: Path, target: str, extension: str) -> None:
    build = staging / "build"
    for source in _sources():
        copy = build / source.relative_to(jars._ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    command = [
        jars._maven(), "-B", "-q", "-Pspark", "-pl", "java/spark", "-am", "package",
        "dependency:copy-dependencies", "-DskipTests", "-Dmaven.test.skip=true",
        "-DincludeScope=runtime", f"-Dnd4j.platform={target}", f"-Dnd4j.extension={extension}",
        f"-DoutputDirectory={staging}",
    ]  # fmt: skip
    jars._run(command, build, staging)
    for jar in build.glob("java/*/target/pyimgret-*.jar"):
        shutil.copyfile(jar, staging / jar.name)
    shutil.rmtree(build)
