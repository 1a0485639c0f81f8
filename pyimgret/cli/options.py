"""Dependent options, output paths that are checked first, examples in the help."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from pyimgret.files.atomic import check_file, check_folder

Command = TypeVar("Command", bound=Callable[..., object])
PATH = click.Path(path_type=Path)
POSITIVE = click.IntRange(1)
NATURAL = click.IntRange(0)


class Dependent(click.Option):
    """An option that is only valid together with, or without, other options.

    It is rejected where it would have no effect.

    Parameters
    ----------
    needs : str, optional
        The parameter name of the option that this one needs; ``"kind=hnsw"``
        requires a value, ``"noise|queries"`` either of two options.
    without : str, optional
        The parameters, in the same form, that exclude this option.
    """

    def __init__(self, *args: Any, needs: str = "", without: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.needs = needs.split("|") if needs else []
        self.without = without.split("|") if without else []

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Reject the option where it has no effect."""
        if self.name in opts and not ctx.resilient_parsing:
            if self.needs and not any(_holds(ctx, opts, other) for other in self.needs):
                wanted = " or ".join(_spelled(ctx, other) for other in self.needs)
                raise click.UsageError(f"{self.opts[0]} does nothing without {wanted}.", ctx)
            for other in self.without:
                if _holds(ctx, opts, other):
                    message = f"{self.opts[0]} does nothing with {_spelled(ctx, other)}."
                    raise click.UsageError(message, ctx)
        return super().handle_parse_result(ctx, opts, args)


def stacked(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Return one decorator that adds several options, in the order of ``--help``."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def dependent_option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """Add a `Dependent` option; see `click.option`."""
    return click.option(*names, cls=Dependent, **settings)


def _holds(ctx: click.Context, opts: Mapping[str, Any], condition: str) -> bool:
    """Return whether an option was given; with ``name=value``, whether it has the value."""
    name, equals, value = condition.partition("=")
    return opts.get(name, _parameter(ctx, name).default) == value if equals else name in opts


def _spelled(ctx: click.Context, condition: str) -> str:
    name, _, value = condition.partition("=")
    return f"{_parameter(ctx, name).opts[0]} {value}".rstrip()


def _parameter(ctx: click.Context, name: str) -> click.Parameter:
    return next(parameter for parameter in ctx.command.params if parameter.name == name)


def given() -> set[str]:
    """Return the parameters that were given on the command line."""
    ctx = click.get_current_context()
    named = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)
    return {name for name in ctx.params if ctx.get_parameter_source(name) in named}


def refuse_others(name: str, *allowed: str) -> None:
    """Reject other options beside one that selects a different action."""
    ctx = click.get_current_context()
    if others := sorted(_spelled(ctx, other) for other in given() - {name, *allowed}):
        raise click.UsageError(f"{', '.join(others)} does nothing with {_spelled(ctx, name)}.")


class Output(click.Path):
    """An output file or folder, checked for writability before any work is done.

    Parameters
    ----------
    suffixes : str
        Allowed suffixes; any name if empty.
    folder : bool
        Whether it is a folder, which may have to be created.
    """

    def __init__(self, *suffixes: str, folder: bool = False) -> None:
        super().__init__(path_type=Path, dir_okay=folder, file_okay=not folder)
        self.suffixes = suffixes

    def known_suffixes(self) -> tuple[str, ...]:
        """Return the allowed suffixes."""
        return self.suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path, or fail with the reason why it cannot be written."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        suffixes = self.known_suffixes()
        if suffixes and path.suffix.lower() not in suffixes:
            first, last = ", ".join(suffixes[:-1]), suffixes[-1]
            either = f"{first} or {last}" if first else last
            self.fail(f"{path.name}: the name must end in {either}.", param, ctx)
        try:
            (check_file if self.file_okay else check_folder)(path)
        except OSError as error:
            self.fail(f"cannot write {path}: {error.filename}: {error.strerror}.", param, ctx)
        return path


class Figure(Output):
    """An output file in a format that matplotlib supports."""

    def known_suffixes(self) -> tuple[str, ...]:
        """Return the formats of the installed matplotlib."""
        from pyimgret.visualization.style import new_figure

        return tuple(f".{kind}" for kind in new_figure(1, 1).canvas.get_supported_filetypes())


def figure_option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """Add an option for the file of a figure; see `dependent_option`."""
    return dependent_option(*names, type=Figure(), metavar="FILE", **settings)


def examples(*lines: str) -> str:
    r"""Return the epilog of a help text: examples, each on its own line.

    Examples
    --------
    >>> examples("pyimgret demo")
    '\x08\nExamples:\n  pyimgret demo'
    """
    # NB: click does not wrap a paragraph that begins with a backspace.
    return "\n  ".join(["\b\nExamples:", *lines])
