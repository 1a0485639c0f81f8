"""Raw access, for people who script Deeplearning4j itself.

Everything else in pyimgret calls static methods of one signature. Here pyjnius chooses
overloads, converts values and keeps references, with all its traps: see `with_java`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from pyimgret.jvm.bridge import bridge

T = TypeVar("T")


class _HasNetwork(Protocol):
    """A fitted model."""

    @property
    def java_network(self) -> Any:
        """The network's handle."""


class RawJava:
    """What the function that `with_java` runs is given."""

    def autoclass(self, name: str) -> Any:
        """Return a Java class by its full name, found by reflection."""
        return importlib.import_module("jnius").autoclass(name)

    def cast(self, name: str, value: Any) -> Any:
        """Return a Java object seen as another class or interface."""
        return importlib.import_module("jnius").cast(name, value)

    def network(self, model: _HasNetwork) -> Any:
        """Return a model's own Deeplearning4j network, not a copy."""
        return model.java_network._call("javaNetwork")


def with_java(function: Callable[[RawJava], T]) -> T:
    """Run ``function(java)`` on a thread of the JVM, with any class of Deeplearning4j at hand.

    Parameters
    ----------
    function : callable
        Gets a `RawJava`. What it returns should be Python's own (numbers, text, lists, arrays):
        a Java object that leaves the function is used on a thread that was never detached.

    Notes
    -----
    The thread is the one of large encodes: they wait for the function, a training and the encode
    of a single image do not.

    Hazards, all of pyjnius: it picks wrong overloads of ND4J's methods (``Nd4j.rand(2, 3)`` is
    the one that takes a seed; give Java's own types by ``java.autoclass``), a nested call such
    as ``a.f(b.f(1))`` can be made on the wrong object (assign the inner result first), and a
    Java ``long`` that is boxed loses its upper half. Memory outside the heap is freed when
    Java collects: call ``close()`` on large arrays.

    Examples
    --------
    >>> import pyimgret
    >>> pyimgret.with_java(lambda java: java.network(model).summary())  # doctest: +SKIP
    """
    result: T = bridge().run(lambda: function(RawJava()))
    return result
