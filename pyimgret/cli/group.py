"""The command line: ``pyimgret …``.

Commands are listed in `COMMANDS` and imported only when they are called, so that
``pyimgret --help`` answers at once. An error that pyimgret raises itself, or a file that the
system cannot read or write, ends with one line on standard error and status 1; so does anything
else, but the line says that it was not expected. Wrong usage ends with 2, Ctrl-C with 130.
"""

from __future__ import annotations

import errno
import importlib
from typing import NamedTuple

import click

from pyimgret import __version__
from pyimgret.exceptions import PyimgretError


class Entry(NamedTuple):
    """Where a command lives, and the line that ``--help`` shows for it."""

    target: str
    help: str


COMMANDS: dict[str, Entry] = {
    "demo": Entry("pyimgret.cli.demo:demo", "The whole story on 5,000 handwritten digits."),
    "train": Entry("pyimgret.cli.train:train", "Train a model on pictures."),
    "embed": Entry("pyimgret.cli.embed:embed", "Turn pictures into vectors."),
    "index": Entry("pyimgret.cli.index:index", "Put pictures into an index; look after it."),
    "search": Entry("pyimgret.cli.search:search", "Find the pictures nearest to one."),
    "duplicates": Entry("pyimgret.cli.search:duplicates", "List near and exact duplicates."),
    "evaluate": Entry("pyimgret.cli.evaluate:evaluate", "Judge a model by known classes."),
    "serve": Entry("pyimgret.cli.serve:serve", "Search by image over HTTP, with a page."),
    "classify": Entry("pyimgret.cli.classify:classify", "Name what is on photos."),
    "plot": Entry("pyimgret.cli.plot:plot", "Draw models, embeddings and matches."),
    "spark": Entry("pyimgret.cli.spark:spark", "Train and encode on Apache Spark."),
    "doctor": Entry(
        "pyimgret.cli.doctor:doctor", "Show what runs here, and what is wrong with it."
    ),
}
"""Command name -> where it is (``"module:attribute"``) and what it does."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not when it is listed.

    Parameters
    ----------
    table : dict of str to Entry
        The commands. It is read at every call, so entries may be added later.
    """

    def __init__(self, *args: object, table: dict[str, Entry], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table, then those of ordinary commands."""
        return [*self.table, *(name for name in super().list_commands(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None when there is none of that name."""
        if cmd_name not in self.table:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.table[cmd_name].target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), f"{module}:{attribute} is no click command"
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands from the table, importing none of them."""
        rows = [(name, entry.help) for name, entry in self.table.items()]
        rows += [(n, c.get_short_help_str(limit=80)) for n, c in sorted(self.commands.items())]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


class _Failure(click.ClickException):
    """A clear error: one message on standard error, status 1."""

    def show(self, file: object = None) -> None:  # noqa: ARG002  (click's signature)
        click.echo(f"pyimgret: {self.message}", err=True)


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_DEBUG] = True


_DEBUG = "pyimgret.debug"
_debug_option = click.Option(
    ["--debug"], is_flag=True, is_eager=True, expose_value=False, callback=_set_debug,
    help="Show the Python traceback of an error.",
)  # fmt: skip


def _accept_debug(command: click.Command) -> None:
    """Let a command, and those below it, take ``--debug`` as `main` does."""
    if _debug_option not in command.params:
        command.params.append(_debug_option)
        for below in getattr(command, "commands", {}).values():
            _accept_debug(below)


class _Root(LazyGroup):
    """The outermost group, which turns exceptions into messages and exit codes."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command that takes ``--debug``."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _accept_debug(command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; ``--debug`` lets the traceback through.

        A command says what Ctrl-C has left in the message of its KeyboardInterrupt.
        """
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort) as stop:
            click.echo(": ".join(["pyimgret: interrupted", *map(str, stop.args)]), err=True)
            ctx.exit(130)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            if ctx.meta.get(_DEBUG) or getattr(error, "errno", None) == errno.EPIPE:
                raise
            raise _Failure(describe(error)) from error


#: Errors of the system that are the machine's or the user's matter though they name no file.
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE})


def describe(error: BaseException) -> str:
    """Return the line for the user about an exception.

    Examples
    --------
    >>> describe(FileNotFoundError(2, "No such file or directory", "digits.gz"))
    'digits.gz: No such file or directory'
    >>> describe(ZeroDivisionError("division by zero")).splitlines()[0]
    'unexpected ZeroDivisionError: division by zero'
    """
    if isinstance(error, OSError) and not isinstance(error, PyimgretError) and error.strerror:
        # NB: file names may hold bytes that are no UTF-8, which a terminal refuses.
        name = str(error.filename).encode(errors="backslashreplace").decode()
        if error.filename is not None:
            return f"{name}: {error.strerror}"
        if error.errno in _NO_SPACE:
            return error.strerror
    text = str(error).encode(errors="backslashreplace").decode()
    if isinstance(error, PyimgretError):
        return text or type(error).__name__
    return (
        f"unexpected {type(error).__name__}: {text}\n"
        "This is a fault of pyimgret or of a library that it uses. Run the same command with "
        "--debug for the traceback, and report it with that."
    )


@click.group(
    cls=_Root,
    table=COMMANDS,
    params=[_debug_option],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="pyimgret")
def main() -> None:
    """Find images that look like this one.

    Train a network, put pictures into an index, search it by example.
    'pyimgret demo' shows all of it on 5,000 handwritten digits.
    """
