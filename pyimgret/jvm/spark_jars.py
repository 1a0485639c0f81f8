"""The jars of a Spark job: pyimgret's Spark module, Deeplearning4j, and their dependencies."""

from __future__ import annotations

from pathlib import Path

from pyimgret.exceptions import JvmStartError
from pyimgret.jvm import jars
from pyimgret.jvm.maven import MODULES, collect_jars, files_of

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
    root = jars.project_root()
    module = root / "java" / "spark"
    if not (module / "pom.xml").exists():
        raise JvmStartError(f"The Java part of pyimgret.spark was not found at {module}.")
    files = [path for path in files_of(root, *MODULES, "spark") if path.suffix != ".jar"]
    goals = ("-Pspark", "-pl", "java/spark")
    folder = jars.filled_folder("spark", files, lambda *to: collect_jars(root, files, *to, *goals))
    found = sorted(j for j in folder.glob("*.jar") if not j.name.startswith(_NOT_SHIPPED))
    application = next(j for j in found if j.name.startswith(_NAME))
    return application, [j for j in found if j is not application]
