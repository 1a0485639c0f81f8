"""The command line: ``pyimgret …``.

Commands are listed in `COMMANDS` and imported only when they are called, so that
``pyimgret --help`` is fast. An error that pyimgret raises itself, or a file that the
system cannot read or write, ends with one line on standard error and status 1; so does any
other exception, reported as unexpected. Wrong usage exits with 2, Ctrl-C with 130.
"""

from __future__ import annotations

import errno
import importlib
from typing import NamedTuple

import click

from pyimgret import __version__
from pyimgret.exceptions import PyimgretError


class Entry(NamedTuple):
    """The location of a command, and its line in ``--help``."""

    target: str
    help: str


COMMANDS = {
    name: Entry(f"pyimgret.cli.{module or name}:{name}", text)
    for name, module, text in (
        ("demo", "", "Run an end-to-end example on 5,000 handwritten digits."),
        ("train", "", "Train a model on images."),
        ("embed", "", "Turn images into vectors."),
        ("index", "", "Create, update and maintain an index."),
        ("search", "", "Find the images nearest to one."),
        ("duplicates", "search", "List near and exact duplicates."),
        ("evaluate", "", "Evaluate a model on images of known classes."),
        ("serve", "", "Serve an index over HTTP, with a web page."),
        ("classify", "", "Classify photos with an ImageNet network."),
        ("pretrained", "", "List the networks trained on ImageNet."),
        ("plot", "", "Plot models, embeddings and matches."),
        ("spark", "", "Train and encode on Apache Spark."),
        ("doctor", "", "Check the installation."),
    )
}
"""Command name -> its location (``"module:attribute"``) and its help line."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not when it is listed.

    Parameters
    ----------
    table : dict of str to Entry
        The commands; read on every call, so entries may be added later.
    """

    def __init__(self, *args: object, table: dict[str, Entry], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of the table, in order."""
        return list(self.table)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Import and return a command; None if there is none of that name."""
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name].target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), f"{module}:{attribute} is not a click command"
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the list of commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.table.items()])


class _CommandError(click.ClickException):
    """An error that is shown as one message on standard error, with status 1."""

    def show(self, file: object = None) -> None:  # noqa: ARG002  (click's signature)
        click.echo(f"pyimgret: {self.message}", err=True)


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[_DEBUG] = True


_DEBUG = "pyimgret.debug"
_debug_option = click.Option(
    ["--debug"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_set_debug,
    help="Show the Python traceback of an error.",
)


def _accept_debug(command: click.Command) -> None:
    """Add ``--debug`` to a command and its subcommands."""
    if _debug_option not in command.params:
        command.params.append(_debug_option)
        for below in getattr(command, "commands", {}).values():
            _accept_debug(below)


class _Root(LazyGroup):
    """The root group, which turns exceptions into messages and exit codes."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command with the option ``--debug``."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _accept_debug(command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; ``--debug`` shows tracebacks.

        The message of a command's KeyboardInterrupt describes its state after Ctrl-C.
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
            raise _CommandError(describe(error)) from error


#: Operating system errors that are not bugs although they have no file name.
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE})


def describe(error: BaseException) -> str:
    """Return the message for the user about an exception.

    Examples
    --------
    >>> describe(FileNotFoundError(2, "No such file or directory", "digits.gz"))
    'digits.gz: No such file or directory'
    >>> describe(ZeroDivisionError("division by zero")).splitlines()[0]
    'unexpected ZeroDivisionError: division by zero'
    """
    if isinstance(error, OSError) and not isinstance(error, PyimgretError) and error.strerror:
        # NB: file names may contain bytes that are not UTF-8, which a terminal rejects.
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
        "This is a bug in pyimgret or in a library that it uses. Run the same command with "
        "--debug for the traceback, and include it in a bug report."
    )


@click.group(
    cls=_Root,
    table=COMMANDS,
    params=[_debug_option],
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
)
@click.version_option(__version__, "-V", "--version", prog_name="pyimgret")
def main() -> None:
    """Find images that look like this one.

    Train a network, add images to an index, and search it by example.
    'pyimgret demo' shows all of it on 5,000 handwritten digits.
    """
