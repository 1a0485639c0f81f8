"""The frame of the command line: lazy commands, exit codes, messages, JSON."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import pyimgret
from pyimgret.cli import COMMANDS, Entry, describe, main
from pyimgret.cli.common import print_json, table
from pyimgret.exceptions import (
    IndexStoreError,
    InvalidArgumentError,
    KeyNotFoundError,
    ModelFormatError,
)
from pyimgret.index import Index
from pyimgret.index.filters import FilterError
from pyimgret.progress import progress_bar


@pytest.fixture
def failing(monkeypatch):
    """Hang a command into the table that raises what it is told."""
    raised: list[BaseException] = []

    @click.command()
    def fail() -> None:
        raise raised[0]

    module = type(sys)("failing_command")
    module.fail = fail
    monkeypatch.setitem(sys.modules, "failing_command", module)
    monkeypatch.setitem(COMMANDS, "fail", Entry("failing_command:fail", "Fail."))

    def run(error: BaseException, *arguments: str, after: tuple[str, ...] = ()) -> object:
        raised[:] = [error]
        return CliRunner().invoke(main, [*arguments, "fail", *after])

    return run


def test_help_lists_every_command_and_imports_none():
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom pyimgret.cli import COMMANDS, main\n"
        "result = CliRunner().invoke(main, ['--help'])\nassert result.exit_code == 0, result\n"
        "assert all(name in result.output for name in COMMANDS)\n"
        "heavy = {'numpy', 'sklearn', 'matplotlib', 'pandas', 'jnius', 'PIL', 'tqdm'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_index_command_without_model_does_not_import_scikit_learn(tmp_path):
    """Importing it takes a second."""
    Index.create(tmp_path / "idx", dimension=2).close()
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom pyimgret.cli import main\n"
        f"line = ['index', 'info', '--index', {str(tmp_path / 'idx')!r}]\n"
        "result = CliRunner().invoke(main, line)\n"
        "assert result.exit_code == 0, result\nprint('sklearn' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr


def test_every_command_of_table_exists_and_has_help():
    for name in COMMANDS:
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, result.output
        assert "Usage:" in result.output


@pytest.mark.parametrize(
    "error",
    [
        ModelFormatError("no model"),
        InvalidArgumentError("no model"),
        FilterError("no model"),
        KeyNotFoundError("no model"),
    ],
)
def test_pyimgret_error_is_one_line_on_stderr_and_status_1(failing, error):
    result = failing(error)
    assert result.exit_code == 1
    assert result.stderr == "pyimgret: no model\n"
    assert result.stdout == ""


def test_missing_file_is_named(failing):
    result = failing(FileNotFoundError(2, "No such file or directory", "/nowhere/x.png"))
    assert result.stderr == "pyimgret: /nowhere/x.png: No such file or directory\n"


def test_file_name_that_is_not_utf8_can_be_printed(failing):
    name = b"caf\xe9.png".decode(errors="surrogateescape")
    assert failing(FileNotFoundError(2, "No such file", name)).exit_code == 1
    describe(FileNotFoundError(2, "No such file", name)).encode()


@pytest.mark.parametrize("error", [ModelFormatError("no model"), ZeroDivisionError()])
@pytest.mark.parametrize(("before", "after"), [(("--debug",), ()), ((), ("--debug",))])
def test_debug_raises_error_before_and_after_command(failing, error, before, after):
    result = failing(error, *before, after=after)
    assert result.exception is error


def test_debug_is_accepted_below_group():
    result = CliRunner().invoke(main, ["index", "info", "--index", "gone", "--debug"])
    assert isinstance(result.exception, IndexStoreError)


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("division by zero"),
        ValueError("cannot reshape array of size 6 into shape (4,)"),
        KeyError("loss"),
        OSError(9, "Bad file descriptor"),
        OSError("cannot write mode F as PNG"),
    ],
)
def test_unexpected_error_explains_debug_option(failing, error):
    result = failing(error)
    assert (result.exit_code, result.stdout) == (1, "")
    first, second = result.stderr.splitlines()
    assert first == f"pyimgret: unexpected {type(error).__name__}: {error}"
    assert "--debug" in second


def test_full_disk_without_file_name_is_not_reported_as_bug(failing):
    assert failing(OSError(28, "No space left on device")).stderr == (
        "pyimgret: No space left on device\n"
    )


def test_package_raises_only_its_own_errors():
    """A bare ValueError would be shown as a fault of pyimgret."""
    package = Path(pyimgret.__file__).parent
    bare = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and getattr(node.exc.func, "id", "") in {"ValueError", "RuntimeError", "Exception"}
    ]
    assert bare == []


@pytest.mark.parametrize(("words", "line"), [((), ""), (("all is kept",), ": all is kept")])
def test_ctrl_c_ends_with_130_and_reports_what_is_left(failing, words, line):
    result = failing(KeyboardInterrupt(*words))
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == f"pyimgret: interrupted{line}\n"


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"]])
def test_wrong_usage_ends_with_2(arguments):
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_json_holds_numpy_paths_and_no_nan(capsys):
    print_json({"a": np.float32(0.5), "b": np.arange(2), "c": Path("x"), "d": [float("inf")]})
    assert json.loads(capsys.readouterr().out) == {"a": 0.5, "b": [0, 1], "c": "x", "d": [None]}


def test_no_progress_bar_in_pipe(capsys):
    assert list(progress_bar(range(3), description="x")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_progress_bar_on_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(progress_bar(range(3), description="reading")) == [0, 1, 2]
    assert "reading" in capsys.readouterr().err


def test_table_aligns_numbers_to_right():
    assert table(["a", "bb"], [["x", "1"]]) == "a  bb\nx   1"
