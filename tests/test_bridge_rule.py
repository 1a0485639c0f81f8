"""Only one package calls Java."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BRIDGE = {"jnius", "jnius_config", "pydl4j"}
SOURCES = sorted([*(ROOT / "pyimgret").rglob("*.py"), *(ROOT / "server").rglob("*.py")])


def imported(tree: ast.AST) -> set[str]:
    """Return the top names of all imports, those by importlib as well."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Constant) and node.value in BRIDGE:
            names.add(str(node.value))
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_jvm_package_names_the_bridge(path: Path) -> None:
    found = imported(ast.parse(path.read_text(encoding="utf-8"))) & BRIDGE
    assert path.parent.name == "jvm" or not found


def test_the_rule_would_see_a_breach() -> None:
    assert imported(ast.parse("from jnius import autoclass")) & BRIDGE
    assert imported(ast.parse("import_module('pydl4j')")) & BRIDGE
