"""Raw access, for scripting Deeplearning4j itself.

Everything else in pyimgret calls static methods without overloads. Here pyjnius selects
overloads, converts values and holds references, with all its pitfalls: see `with_java`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from pyimgret.jvm.bridge import bridge

T = TypeVar("T")


class RawJava:
    """The argument of functions run by `with_java`."""

    def autoclass(self, name: str) -> Any:
        """Return a Java class by its full name, found by reflection."""
        return importlib.import_module("jnius").autoclass(name)

    def cast(self, name: str, value: Any) -> Any:
        """Cast a Java object to another class or interface."""
        return importlib.import_module("jnius").cast(name, value)

    def network(self, model: Any) -> Any:
        """Return a fitted model's Deeplearning4j network itself, not a copy."""
        return model.java_network._call("javaNetwork")


def with_java(function: Callable[[RawJava], T]) -> T:
    """Run ``function(java)`` on a JVM thread, with access to any Java class.

    Parameters
    ----------
    function : callable
        Called with a `RawJava`. It should return Python objects (numbers, text, lists, arrays):
        a Java object must not be used on another thread.

    Notes
    -----
    The function runs on the thread of large encodes, which have to wait for it; training and
    encoding of single images do not.

    Pitfalls of pyjnius: it selects wrong overloads of ND4J's methods (``Nd4j.rand(2, 3)`` is
    the one that takes a seed; pass Java types created with ``java.autoclass``), a nested call such
    as ``a.f(b.f(1))`` may be made on the wrong object (assign the inner result first), and a
    boxed Java ``long`` loses its upper half. Memory outside the heap is freed when
    Java collects garbage: call ``close()`` on large arrays.

    Examples
    --------
    >>> import pyimgret
    >>> pyimgret.with_java(lambda java: java.network(model).summary())  # doctest: +SKIP
    """
    result: T = bridge().run(lambda: function(RawJava()))
    return result
