"""The commands of ``pyimgret``, one module per area.

A module here may import click and `pyimgret.cli.common` at the top; whatever is
slow to import (NumPy, the networks, matplotlib) is imported inside the command that needs it.
"""

from pyimgret.cli.group import COMMANDS, Entry, LazyGroup, describe, main

__all__ = ["COMMANDS", "Entry", "LazyGroup", "describe", "main"]
