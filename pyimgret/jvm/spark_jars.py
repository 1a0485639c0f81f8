"""The jars of a Spark job: pyimgret's Spark module, Deeplearning4j, and their dependencies."""

from __future__ import annotations

import shutil
from pathlib import Path

from pyimgret.exceptions import JvmStartError
from pyimgret.jvm import jars, maven

#: Spark includes its own logging; a second binding would conflict with it.
_NOT_SHIPPED = ("slf4j-",)
_NAME = "pyimgret-spark-"


def spark_jars() -> tuple[Path, list[Path]]:
    """Return the application jar and the others; Maven builds and downloads them the first time.

    Raises
    ------
    JvmStartError
        If Maven is missing or fails, or a jar does not match its checksum.
    """
    files = _files(jars.project_root())
    folder = jars.filled_folder("spark", files, lambda platform, out: _build(out, *platform))
    found = sorted(j for j in folder.glob("*.jar") if not j.name.startswith(_NOT_SHIPPED))
    application = next(j for j in found if j.name.startswith(_NAME))
    return application, [j for j in found if j is not application]


def _files(root: Path) -> list[Path]:
    """List poms and sources of both modules, and the Maven wrapper."""
    module = root / "java" / "spark"
    if not (module / "pom.xml").exists():
        raise JvmStartError(f"The Java part of pyimgret.spark was not found at {module}.")
    own = [module / "pom.xml", *sorted((module / "src" / "main").rglob("*.*"))]
    return [*(path for path in maven.files_of(root) if path.suffix != ".jar"), *own]


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
