"""The README's examples of the service, as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from server_fakes import FakeEncoder, pictures, png
from server_process import Process

from pyimgret.index import Index

needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None, reason="no curl; install it with: sudo apt-get install curl"
)
README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def block(name: str) -> str:
    """Return the fenced text behind a marker."""
    found = re.search(rf"<!-- service: {name} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    assert found, f"README.md has no block {name!r}"
    return found[1]


@pytest.fixture
def folder(tmp_path):
    """Give a folder with an index, a query, and ``pyimgret`` on the path."""
    with Index.create(tmp_path / "idx", FakeEncoder()) as index:
        index.add(
            list(pictures(500)), keys=[f"digits/{n}.png" for n in range(500)],
            metadata=[{"digit": n % 10, "n": n} for n in range(500)],
        )  # fmt: skip
    (tmp_path / "query.png").write_bytes(png(pictures(500)[123]))
    program = tmp_path / "bin" / "pyimgret"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom pyimgret.cli import main\nmain(sys.argv[1:])\n"
    )
    program.chmod(0o755)
    return tmp_path


def shell(folder: Path, server: Process, line: str, **variables: str) -> str:
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **variables}
    line = line.replace("http://127.0.0.1:8080", server.address)
    done = subprocess.run(
        ["bash", "-ec", line], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


@needs_curl
def test_the_curl_examples(folder):
    with Process("--index", folder / "idx", fake=True) as server:
        found = [json.loads(shell(folder, server, line)) for line in block("shell").splitlines()]
    upload, filtered, by_key, embedded, item, facts = found
    assert upload["matches"][0]["key"] == "digits/123.png"
    assert len(upload["matches"]) == 3
    assert all(m["metadata"]["digit"] in (3, 8) for m in filtered["matches"])
    assert "digits/7.png" not in [m["key"] for m in by_key["matches"]]
    assert len(embedded["vectors"][0]) == 16
    assert (item["key"], facts["count"]) == ("digits/7.png", 500)


def test_the_python_example(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    with Process("--index", folder / "idx", fake=True) as server:
        exec(block("python").replace("http://127.0.0.1:8080", server.address), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("1 digits/123.png 1.0 {'digit': 3")


@needs_curl
def test_the_writing_example(folder):
    make, serve, add, delete = block("writing").splitlines()
    key = folder / "keys.txt"
    arguments = serve.removeprefix("pyimgret serve ").removesuffix(" &").split()
    assert arguments == ["--index", "idx", "--writable", "--api-key-file", "keys.txt"]
    with Process("--index", folder / "idx", fake=True) as reader:
        secret = shell(folder, reader, f"{make}; echo $KEY").strip()
    assert key.exists()
    writable = ("--index", folder / "idx", "--writable", "--api-key-file", key)
    with Process(*writable, fake=True) as server:
        added = json.loads(shell(folder, server, add, KEY=secret))
        assert added["key"] == "new/1.png"
        shell(folder, server, delete.replace("/ID", "/" + added["id"]), KEY=secret)
    with Index.open(folder / "idx", FakeEncoder()) as index:
        assert len(index) == 500
