"""The layout of the packages: which may import which, with no circle and nothing private.

The rules are read from the syntax trees, so that nothing is imported. Every import counts:
at the top, inside a function, and under ``TYPE_CHECKING`` (a type that is needed is a
dependency). A name that a package's ``__init__`` hands on counts as an import of the module
that defines it. Only the arrows *out of* an ``__init__`` are left out: it defines nothing, and
``pyimgret/__init__.py`` loads each name when it is first used.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BRIDGE = {"jnius", "jnius_config", "pydl4j"}

LAYERS = (
    {"exceptions", "version"},
    {"choices", "files", "progress"},
    {"jvm", "layers"},
    {"preprocessing"},
    {"base", "datasets", "evaluation", "trained", "training"},
    {"rbm", "visualization"},
    {"models"},
    {"encoder"},
    {"explain", "index", "pretrained"},
    {"spark"},
    {"pyimgret"},
    {"server"},
    {"cli"},
)
"""From the ground up: a package imports itself and packages of lower layers only."""

INDEX_LAYERS = (
    {"storage"},
    {"filters"},
    {"search"},
    {"context"},
    {"ingest"},
    {"maintenance"},
    {"index"},
    {"milvus"},
)
"""The same inside ``pyimgret.index``."""

USES_JVM = {"preprocessing", "trained", "training", "rbm", "models", "pretrained", "spark"}
"""What may import modules of ``pyimgret.jvm``; others take the names that it makes public."""


@dataclass(frozen=True)
class Import:
    """One name that a module imports; an empty name is the module itself."""

    module: str
    name: str


class Sources(Mapping[str, ast.Module]):
    """The syntax trees of modules by their dotted names."""

    def __init__(self, trees: dict[str, ast.Module], packages: set[str]) -> None:
        self._trees = trees
        self.packages = packages

    @classmethod
    def read(cls, *folders: Path) -> Sources:
        trees, packages = {}, set()
        for folder in folders:
            for path in sorted(folder.rglob("*.py")):
                name = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
                if path.name == "__init__.py":
                    name = name.removesuffix(".__init__")
                    packages.add(name)
                trees[name] = ast.parse(path.read_text(encoding="utf-8"))
        return cls(trees, packages)

    def __getitem__(self, name: str) -> ast.Module:
        return self._trees[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._trees)

    def __len__(self) -> int:
        return len(self._trees)

    def imports(self, module: str) -> Iterator[Import]:
        """Yield all imports of a module."""
        for node in ast.walk(self[module]):
            if isinstance(node, ast.Import):
                yield from (Import(alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{module} imports relatively"
                yield from (Import(node.module or "", alias.name) for alias in node.names)

    def origin(self, found: Import) -> str | None:
        """Return the module that an import depends on; None when it is not one of these."""
        if handed_on := self._hands_on(found):
            return self.origin(handed_on)
        submodule = f"{found.module}.{found.name}"
        return next((name for name in (submodule, found.module) if name in self), None)

    def _hands_on(self, found: Import) -> Import | None:
        """Return the import behind a name of a package's ``__init__``."""
        if found.module not in self.packages or not found.name:
            return None
        handed_on = (one for one in self.imports(found.module) if one.name == found.name)
        return next((one for one in handed_on if one != found), None)

    def public(self, package: str) -> set[str]:
        """Return what a package lists in ``__all__``."""
        for node in self[package].body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                return {str(one.value) for one in ast.walk(node) if isinstance(one, ast.Constant)}
        return set()

    def arrows(self) -> dict[str, set[str]]:
        """Return the modules that each module depends on; packages depend on nothing."""
        return {
            module: set()
            if module in self.packages
            else {origin for one in self.imports(module) if (origin := self.origin(one))} - {module}
            for module in self
        }


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """Return a way of imports that ends where it began; empty when there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def package(module: str) -> str:
    """Return the package below ``pyimgret`` that a module is in, or is; or ``pyimgret``."""
    parts = module.split(".")
    return "server" if parts[0] == "pyimgret_server" else parts[min(1, len(parts) - 1)]


def part_of_index(module: str) -> str:
    """Return the part of the index that a module is in."""
    return module.split(".")[2] if module.count(".") > 1 else "index"


def number(layers: tuple[set[str], ...], name: str) -> int:
    return next(number for number, names in enumerate(layers) if name in names)


def runs_down(module: str, other: str) -> bool:
    """Say whether an import goes to a lower layer, or stays in its package."""
    above, below, layers = package(module), package(other), LAYERS
    if above == below == "index":
        above, below, layers = part_of_index(module), part_of_index(other), INDEX_LAYERS
    return above == below or number(layers, above) > number(layers, below)


def against_the_layers(arrows: Mapping[str, set[str]]) -> list[str]:
    """Return the arrows that do not run down."""
    return [
        f"{module} -> {other}"
        for module, others in arrows.items()
        for other in sorted(others)
        if not runs_down(module, other)
    ]


def private_of_others(sources: Sources) -> list[str]:
    """Return imports of a private name, or of a module with a private name, of another package."""
    wrong = []
    for module in sources:
        own = module if module in sources.packages else module.rpartition(".")[0]
        for one in sources.imports(module):
            inside = one.module == own or one.module.startswith(f"{own}.")
            private = [p for p in f"{one.module}.{one.name}".split(".") if _is_private(p)]
            if one.module in sources and private and not inside:
                wrong.append(f"{module} imports {one.name} of {one.module}")
    return wrong


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def own_faces(sources: Sources) -> list[str]:
    """Return modules that import their own package's ``__init__``, which is not yet complete."""
    return [
        f"{module} imports {one.name} of {one.module}"
        for module in sources
        if module not in sources.packages
        for one in sources.imports(module)
        if one.module in sources.packages
        and one.module != "pyimgret"
        and module.startswith(f"{one.module}.")
        and f"{one.module}.{one.name}" not in sources
    ]


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources.read(ROOT / "pyimgret", ROOT / "server" / "pyimgret_server")


def test_no_modules_import_each_other_in_circle(sources: Sources) -> None:
    assert circle(sources.arrows()) == []


def test_imports_run_from_upper_layers_to_lower_ones(sources: Sources) -> None:
    assert against_the_layers(sources.arrows()) == []
    assert {package(module) for module in sources} == set().union(*LAYERS)


def test_no_package_reaches_into_private_parts_of_another(sources: Sources) -> None:
    assert private_of_others(sources) == []


def test_module_imports_from_its_siblings_and_not_from_its_own_package(sources: Sources) -> None:
    assert own_faces(sources) == []


def test_server_imports_public_names_only(sources: Sources) -> None:
    wrong = [
        f"{module} imports {one.name} of {one.module}"
        for module in sources
        if module.startswith("pyimgret_server")
        for one in sources.imports(module)
        if one.module.startswith("pyimgret.") and not _is_public(sources, one)
    ]
    assert wrong == []


def _is_public(sources: Sources, one: Import) -> bool:
    if one.module in sources.packages:
        return one.name in sources.public(one.module)
    return one.module.count(".") == 1  # a module of the root: pyimgret.explain


def test_only_models_and_what_they_stand_on_use_jvm(sources: Sources) -> None:
    wrong = [
        f"{module} imports {one.name} of {one.module}"
        for module in sources
        if package(module) not in USES_JVM | {"jvm", "pyimgret"}
        for one in sources.imports(module)
        if one.module.startswith("pyimgret.jvm") and not _is_public(sources, one)
    ]
    assert wrong == []


def bridge_names(tree: ast.AST) -> set[str]:
    """Return what a module names of the bridge to Java, by importlib as well."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names & BRIDGE


def test_only_package_of_jvm_imports_bridge(sources: Sources) -> None:
    users = {module for module in sources if bridge_names(sources[module])}
    assert users
    assert {module for module in users if not module.startswith("pyimgret.jvm.")} == set()


# The rules themselves: each sees what is planted.


def planted(**modules: str) -> Sources:
    """Return sources of one text a module; ``index__search`` is the module index.search."""
    names = {f"pyimgret.{name.replace('__', '.')}": text for name, text in modules.items()}
    packages = set()
    for name in names:
        parts = name.split(".")
        packages |= {".".join(parts[:length]) for length in range(1, len(parts))}
    names |= dict.fromkeys(packages - names.keys(), "")
    return Sources({name: ast.parse(text) for name, text in names.items()}, packages)


CIRCLES = {
    "at the top": "from pyimgret.index.search import find",
    "in a function": "def f():\n    from pyimgret.index import search",
    "for types": "if TYPE_CHECKING:\n    from pyimgret.index.search import find",
    "of a module": "import pyimgret.index.search",
    "through the package": "from pyimgret.index import find",
}


@pytest.mark.parametrize("text", CIRCLES.values(), ids=CIRCLES)
def test_planted_circle_is_seen(text: str) -> None:
    sources = planted(
        index="from pyimgret.index.search import find",
        index__search="from pyimgret.index.storage import open",
        index__storage=text,
    )
    found = set(circle(sources.arrows()))
    assert found == {"pyimgret.index.search", "pyimgret.index.storage"}


def test_chain_is_not_circle() -> None:
    sources = planted(a="import pyimgret.b", b="import pyimgret.c", c="import os")
    assert circle(sources.arrows()) == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("index__ingest__sync", "from pyimgret.spark import train"),
        ("models__base", "def f():\n    import pyimgret.encoder"),
        ("models__base", "from pyimgret import __version__"),
        ("index__storage__items", "from pyimgret.index.search import exact"),
        ("pretrained__network", "import pyimgret.index"),
        ("pretrained__network", "from pyimgret.index.search.exact import top_k"),
    ],
)
def test_planted_arrow_upwards_is_seen(module: str, text: str) -> None:
    sources = planted(
        **{module: text, "index__search__exact": "", "spark__training": "", "encoder": ""}
    )
    arrows = sources.arrows()
    name = f"pyimgret.{module.replace('__', '.')}"
    assert len(against_the_layers({name: arrows[name]})) == 1


def test_planted_private_imports_are_seen() -> None:
    sources = planted(
        models__conv="from pyimgret.rbm.training import _loop",
        models__deep="from pyimgret.models.conv import _Classifier",
        rbm__training="",
        rbm___secret="",
        models__base="from pyimgret.rbm import _secret",
    )
    assert private_of_others(sources) == [
        "pyimgret.models.conv imports _loop of pyimgret.rbm.training",
        "pyimgret.models.base imports _secret of pyimgret.rbm",
    ]


def test_planted_bridge_is_seen() -> None:
    assert bridge_names(ast.parse("from jnius import autoclass"))
    assert bridge_names(ast.parse("import_module('pydl4j')"))
