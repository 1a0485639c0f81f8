"""The commands of ``pyimgret``, one module an area; `pyimgret.cli` lists and imports them.

A module here may import click and `pyimgret.commands.common` at the top; whatever is
heavy (NumPy, the networks, matplotlib) is imported inside the command that needs it.
"""
