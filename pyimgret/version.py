"""The version of the library, which files that it writes repeat."""

__version__ = "0.1.0"
