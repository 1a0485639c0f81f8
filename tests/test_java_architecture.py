"""The layout of the Java packages: imports run from upper packages to lower ones only.

The imports are read from the sources, and so are class names written out in full, in code and in
links of the documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "java"

USES: dict[str, set[str]] = {
    "engine": set(),
    "index": set(),
    "nn": {"engine"},
    "encoder": {"engine", "nn"},
    "bridge": {"engine", "nn", "encoder"},
    "spark": {"engine", "nn", "encoder"},
}
"""Each package below ``org.pyimgret``, with the other ones that it may use."""

_NAMES = re.compile(r"\borg\.pyimgret\.([a-z][a-z.]*)\.[A-Z]")


def package(path: Path) -> str:
    """Return the package of a source below ``org.pyimgret``."""
    return path.parent.as_posix().split("/org/pyimgret/")[1].replace("/", ".")


def used(text: str) -> set[str]:
    """Return the packages below ``org.pyimgret`` that a source names."""
    return set(_NAMES.findall(text))


def against_the_layers(own: str, text: str) -> set[str]:
    """Return the packages that a source of a package may not use, and uses."""
    return used(text) - {own} - USES[own]


def sources() -> Iterator[Path]:
    for path in ROOT.glob("*/src/main/java/org/pyimgret/**/*.java"):
        yield path.relative_to(ROOT)


def test_every_package_has_its_place() -> None:
    assert {package(path) for path in sources()} == USES.keys()


def test_imports_run_from_upper_packages_to_lower_ones() -> None:
    wrong = {
        f"{path} uses {other}"
        for path in sources()
        for other in against_the_layers(package(path), (ROOT / path).read_text(encoding="utf-8"))
    }
    assert wrong == set()


def test_layers_have_no_circle() -> None:
    TopologicalSorter(USES).prepare()


@pytest.mark.parametrize(
    "text",
    [
        "import org.pyimgret.bridge.Bridge;",
        "import static org.pyimgret.bridge.Bridge.info;",
        "/** See {@link org.pyimgret.bridge.Bridge}. */",
        "return org.pyimgret.bridge.Bridge.info();",
    ],
)
def test_planted_arrow_upwards_is_seen(text: str) -> None:
    assert against_the_layers("nn", text) == {"bridge"}
    assert against_the_layers("bridge", text) == set()


def test_package_of_a_source_is_found() -> None:
    path = Path("core/src/main/java/org/pyimgret/nn/engine/Loss.java")
    assert package(path) == "nn.engine"
