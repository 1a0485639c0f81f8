"""Calls into Java: by name, with numbers, strings and the addresses of arrays."""

from __future__ import annotations

import importlib
import math
import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from pyimgret.exceptions import InvalidArgumentError, JavaCallError, JvmStartError, ModelFormatError
from pyimgret.jvm.facade import FACADES, thread_of
from pyimgret.jvm.jars import jar_folder
from pyimgret.jvm.java import java_home, java_version, try_options, version_options
from pyimgret.jvm.settings import JvmSettings, current_settings
from pyimgret.jvm.threads import BULK, PATIENCE, SHORT, JvmThreads


class Bridge:
    """The Java facade, called on threads that live in the JVM.

    ``bridge().call("describe", handle)`` runs the static method of that name. Arrays that
    Java reads or writes are given as ``keep``, so that they live until Java has finished,
    whatever happens to the caller meanwhile.
    """

    def __init__(self) -> None:
        self._jvm = JvmThreads(_start)
        self._garbage: deque[int] = deque()

    @property
    def started(self) -> bool:
        """Whether the JVM runs in this process."""
        return self._jvm.started

    def start(self) -> None:
        """Start the JVM; a second call does nothing."""
        self._jvm.facade()

    def call(
        self,
        method: str,
        *arguments: object,
        keep: object = None,
        make: Callable[[Any], Any] | None = None,
        short: bool = False,
        poll: Callable[[], object] | None = None,
        patience: float = PATIENCE,
    ) -> Any:
        """Run a static method of the facade and return its result.

        Ctrl-C stops it: a long method polls a flag and ends after the batch that it is at.

        Parameters
        ----------
        keep : object
            What must live until Java has finished.
        make : callable, optional
            Makes the result out of what Java returned; for handles, which are given back when
            Ctrl-C has left the call behind and nobody takes them.
        short : bool
            Whether a method that is usually long has little to do this time, and need not wait
            for others that are long.
        poll : callable, optional
            Called ten times a second while the method runs; what it raises stops the method.
        patience : float
            Seconds that a method which was stopped is waited for before it is left behind.

        Raises
        ------
        JvmStartError
            When the JVM is not available.
        JavaCallError
            When the method throws.
        """
        java = self._jvm.facade()

        def invoke() -> Any:
            _ = keep  # NB: the reference is what counts; it lives as long as this function.
            self._empty_garbage(java)
            try:
                value = getattr(java, method)(*arguments)
            except Exception as error:
                _raise(error, method)
            return value if make is None else make(value)

        return self._run(invoke, SHORT if short else thread_of(method), poll, patience)

    def run(self, function: Callable[[], Any]) -> Any:
        """Run a function on a JVM thread, where calls go straight through.

        Raises
        ------
        JavaCallError
            When a Java method that it calls throws.
        """

        def guarded() -> Any:
            try:
                return function()
            except Exception as error:
                _raise(error, getattr(function, "__name__", "a function"))

        self._jvm.facade()
        # NB: what the function changes in Python must be at rest when Ctrl-C has been answered.
        return self._run(guarded, BULK, None, math.inf)

    def _run(
        self,
        function: Callable[[], Any],
        name: str,
        poll: Callable[[], object] | None,
        patience: float,
    ) -> Any:
        if self._jvm.current() is not None:
            return function()
        thread = self._jvm[name]
        return thread.wait(thread.submit(function), poll, patience)

    def release_later(self, handle: int) -> None:
        """Give a Java object back with the next call: for finalizers, which must not wait."""
        self._garbage.append(handle)

    def _empty_garbage(self, java: Any) -> None:
        while True:
            try:
                java.release(self._garbage.popleft())
            except IndexError:
                return


def _raise(error: Exception, method: str) -> NoReturn:
    """Raise a Java exception as one of ours, and Python's own as it is."""
    translated = _translated(error, method)
    if translated is error:
        raise error
    raise translated from error


def _translated(error: Exception, method: str) -> Exception:
    java_class = getattr(error, "classname", None)
    if java_class is None:
        return error
    message = getattr(error, "innermessage", None) or str(error)
    stack = "\n".join(str(line) for line in getattr(error, "stacktrace", None) or ())
    if java_class == "java.lang.OutOfMemoryError" or "Allocation failed" in message:
        message = f"{message}. {_memory_hint()}"
    if java_class == "org.pyimgret.encoder.ModelFormatException":
        return ModelFormatError(message)
    return JavaCallError(
        f"{java_class} in {method}: {message}", java_class=java_class, java_stack=stack
    )


def _memory_hint() -> str:
    limits = {o.split("=")[0]: o for o in current_settings().jvm_options()}
    heap = next(option for option in limits if option.startswith("-Xmx"))
    off_heap = limits["-Dorg.bytedeco.javacpp.maxbytes"].split("=")[1]
    return (
        f"The limits are {heap[4:]} of Java heap and {off_heap} outside it; raise them by "
        "pyimgret.configure(heap=..., off_heap=...) (MiB) before the first call, or by the "
        "variables PYIMGRET_HEAP and PYIMGRET_OFF_HEAP, or use smaller batches"
    )


def _start() -> Any:
    """Start the JVM on the calling thread, check its mathematics, return the facade."""
    settings = current_settings()
    home = java_home()
    folder = jar_folder()
    for name, value in settings.environment().items():
        os.environ[name] = value
    if home:
        os.environ["JAVA_HOME"] = home
    options = [*settings.jvm_options(), *version_options(java_version(home))]
    if settings != JvmSettings():
        try_options(home, options)
    # NB: pydl4j reads the class path at import, and writes into the home folder.
    os.environ["PYDL4J_CLASS_PATH"] = str(folder / "*")
    _import_pydl4j()
    config = importlib.import_module("jnius_config")
    if config.vm_running:
        raise JvmStartError(
            "Something else in this process has already started a JVM through jnius "
            f"({config.vm_started_at.strip().splitlines()[0] if config.vm_started_at else ''}), "
            "without the options that Deeplearning4j needs; call pyimgret first."
        )
    config.set_options(*options)
    config.set_classpath(str(folder / "*"))
    java = _facade(options)
    java.limitMemory(settings.off_heap_limit() << 20)
    from pyimgret.jvm.selfcheck import check

    check(java)
    return java


def _facade(options: list[str]) -> Any:
    try:
        return _Facades(importlib.import_module("jnius"))
    except Exception as error:
        raise JvmStartError(
            f"The JVM could not start: {error}.\nIt was started with: {' '.join(options)}\n"
            f"JAVA_HOME is {os.environ.get('JAVA_HOME', 'not set')}; a JDK of version 11 or newer "
            "is needed. `pyimgret doctor` says more."
        ) from error


class _Facades:
    """The methods of all facade classes, by name."""

    def __init__(self, jnius: Any) -> None:
        self._owners: dict[str, Any] = {}
        for name, signatures in FACADES.items():
            members = {n: jnius.JavaStaticMethod(s) for n, s in signatures.items()}
            members["__javaclass__"] = name
            owner = jnius.MetaJavaClass(name.rpartition("/")[2], (jnius.JavaClass,), members)
            self._owners |= dict.fromkeys(signatures, owner)

    def __getattr__(self, method: str) -> Any:
        # NB: asked of the class anew each time; pyjnius's saved bound methods alias each other.
        return getattr(self._owners[method], method)


def _import_pydl4j() -> None:
    """Import pydl4j, with another home where the user's cannot be written."""
    try:
        folder = Path.home() / ".deeplearning4j" / "pydl4j"
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if writable:
        importlib.import_module("pydl4j")
        return
    before = os.environ.get("HOME")
    with tempfile.TemporaryDirectory() as another:
        os.environ["HOME"] = another
        try:
            importlib.import_module("pydl4j")
        finally:
            if before is None:
                del os.environ["HOME"]
            else:
                os.environ["HOME"] = before


_BRIDGE = Bridge()


def bridge() -> Bridge:
    """Return the only bridge of this process; the JVM starts with its first call."""
    return _BRIDGE


class JavaObject:
    """A Java object's number, given back when it is closed.

    Parameters
    ----------
    handle : int
        What the facade returned.
    """

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle
        self._process = os.getpid()

    @property
    def handle(self) -> int:
        """The number; an error after ``close``."""
        if self._handle is None:
            raise InvalidArgumentError("This Java object is closed; make or load it anew.")
        return self._handle

    def close(self) -> None:
        """Give the Java object back; a second call does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None and self._process == os.getpid():
            bridge().call("release", handle)

    def __reduce__(self) -> Any:
        raise TypeError(
            f"A {type(self).__name__} stands for an object in this process's JVM and cannot be "
            "pickled or copied. Pickle the model that it belongs to, or save that to a file."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None and not sys.is_finalizing():
            bridge().release_later(handle)
