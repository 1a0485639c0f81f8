"""The commands of ``pyimgret``, one module an area; `pyimgret.cli` lists and imports them.

A module here may import click and `pyimgret.cli.common` at the top; whatever is
heavy (NumPy, the networks, matplotlib) is imported inside the command that needs it.
"""

from pyimgret.cli.group import COMMANDS, Entry, LazyGroup, describe, main

__all__ = ["COMMANDS", "Entry", "LazyGroup", "describe", "main"]
