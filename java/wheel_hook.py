"""Puts the Java part into a wheel: our jars, built by Maven, and the poms that fetch the rest.

A clone that is installed in editable mode needs none of it: there the sources lie beside the
package, and the first use builds them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLE = "pyimgret/jvm/bundle"
CARRIED = (
    "pom.xml",
    "java/core/pom.xml",
    "java/engine/pom.xml",
    "mvnw",
    "mvnw.cmd",
    ".mvn/wrapper/maven-wrapper.properties",
)


def _spark(root: Path) -> list[Path]:
    """List what builds the Spark part, which few need: at its first use, where it is used."""
    sources = sorted((root / "java").glob("*/src/main/**/*.java"))
    return [root / "java" / "spark" / "pom.xml", *sources]


class WheelHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the jars before a wheel is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run Maven and list what the wheel carries; nothing for an editable install."""
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        carried = {str(root / name): f"{BUNDLE}/{name}" for name in CARRIED}
        carried |= {str(path): f"{BUNDLE}/{path.relative_to(root)}" for path in _spark(root)}
        carried |= {str(jar): f"{BUNDLE}/{jar.name}" for jar in self._jars(root)}
        build_data["force_include"] |= carried

    def _jars(self, root: Path) -> list[Path]:
        maven = shutil.which("mvn")
        command = [maven] if maven else ["sh", str(root / "mvnw")]
        command += ["-B", "-q", "-pl", "java/core", "-am", "package", "-Dmaven.test.skip=true"]
        self.app.display_info("building the Java part by Maven")
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        jars = sorted(root.glob("java/[ce]*/target/pyimgret-*.jar"))
        plain = [jar for jar in jars if not jar.stem.endswith(("-sources", "-javadoc"))]
        if done.returncode or not plain:
            sys.stderr.write(done.stdout)
            raise RuntimeError("The Java part could not be built; a JDK and Maven are needed.")
        return plain
