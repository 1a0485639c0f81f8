"""The pages of the documentation: their code blocks, and a session that runs them in order."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from click.testing import CliRunner

from pyimgret.cli import main
from tests.process.running import run as run_in_fresh_python
from tests.server.server_process import Process, free_port

ROOT = Path(__file__).resolve().parents[1]
SERVICE = "http://127.0.0.1:8080"
SERVE = re.compile(r"^pyimgret serve (--index .*?)( &)?$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]


def pages() -> list[str]:
    """Return every page of the repository, as a path below its root."""
    found = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    for folder in (".github", "java", "pyimgret", "server", "tests"):
        found += (ROOT / folder).rglob("*.md")
    below = (path.relative_to(ROOT) for path in found)
    return sorted(path.as_posix() for path in below if "target" not in path.parts)  # Maven's


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = (ROOT / page).read_text()
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [
        Block(page, text.count("\n", 0, match.start()) + 2, match[1], match[2]) for match in found
    ]


class Session:
    """Runs blocks one after the other in one folder, as a reader of the page would.

    Services that a block starts listen on a port of their own, which stands in for 8080
    in all that follows.

    Parameters
    ----------
    folder : Path
        Holds the files that the page names.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service: Process | None = None
        program = folder / "bin" / "pyimgret"
        program.parent.mkdir()
        program.write_text(
            f"#!{sys.executable}\nimport sys\nfrom pyimgret.cli import main\nmain(sys.argv[1:])\n"
        )
        program.chmod(0o755)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end_service()

    def run(self, block: Block) -> str:
        """Run a block; fail with its place if it fails. Return what it printed."""
        if block.language == "python":
            return self._python(block)
        if block.language != "sh":
            raise AssertionError(f"{block.place}: no way to run {block.language!r} is known")
        served = SERVE.search(block.text)
        if served and not served[2]:
            assert block.text == served[0] + "\n", f"{block.place}: more than one command"
            return self._serve(served[1])
        if served:
            return self._served_in_the_background(block, served)
        return "\n".join(self._command(block, command) for command in _commands(block.text))

    def _python(self, block: Block) -> str:
        text = self._at_its_port(block.text)
        if "pyimgret.configure(" in text:
            return run_in_fresh_python(text)  # before the start of the JVM only
        exec(compile("\n" * (block.line - 1) + text, block.place, "exec"), {"__name__": "page"})
        return ""

    def _serve(self, arguments: str) -> str:
        self._end_service()
        self.service = Process(*shlex.split(arguments))
        self.service.__enter__()
        return ""

    def _end_service(self) -> None:
        if self.service is not None:
            self.service.__exit__(None, None, None)
            self.service = None

    def _served_in_the_background(self, block: Block, served: re.Match[str]) -> str:
        port = free_port()
        text = block.text.replace(served[0], f"pyimgret serve {served[1]} --port {port} &")
        text = text.replace(SERVICE, f"http://127.0.0.1:{port}")
        return self._shell(block, f"trap 'kill $(jobs -p)' EXIT\n{text}")

    def _at_its_port(self, text: str) -> str:
        return text.replace(SERVICE, self.service.address) if self.service else text

    def _command(self, block: Block, command: str) -> str:
        words = shlex.split(command, comments=True)
        if words[0] != "pyimgret":
            return self._shell(block, self._at_its_port(command))
        result = CliRunner().invoke(main, words[1:])
        assert result.exit_code == 0, f"{block.place}: {command}\n{result.output}"
        return result.output

    def _shell(self, block: Block, script: str) -> str:
        path = f'export PATH="{self.folder / "bin"}:$PATH"\n'
        done = subprocess.run(
            ["bash", "-euc", path + script],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{block.place}: {done.stdout}\n{done.stderr}"
        return done.stdout


def _commands(text: str) -> Iterator[str]:
    """Yield the commands of a shell block; a backslash joins a line with the next."""
    for line in text.replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            yield line
