"""Calls into Java by method name, with numbers, strings and array addresses."""

from __future__ import annotations

import importlib
import math
import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, Self

from pyimgret.exceptions import InvalidArgumentError, JavaCallError, JvmStartError, ModelFormatError
from pyimgret.jvm.facade import FACADES, thread_of
from pyimgret.jvm.jars import jar_folder
from pyimgret.jvm.java import java_home, java_version, try_options, version_options
from pyimgret.jvm.settings import JvmSettings, current_settings
from pyimgret.jvm.threads import BULK, PATIENCE, SHORT, JvmThreads


class Bridge:
    """The Java facade, called on long-lived JVM threads.

    ``bridge().call("describe", handle)`` runs the static method of that name. Arrays that
    Java reads or writes are passed as ``keep``, so that they stay alive until Java has finished,
    even if the caller is interrupted.
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

        Ctrl-C stops it: long methods poll a flag and end after the current batch.

        Parameters
        ----------
        keep : object
            Object to keep alive until Java has finished.
        make : callable, optional
            Converts the return value; used for handles, which are released if
            the call was abandoned after Ctrl-C.
        short : bool
            Whether a usually long method has little to do, and need not wait
            for other long methods.
        poll : callable, optional
            Called ten times a second while the method runs; an exception stops the method.
        patience : float
            Seconds to wait for a stopped method before it is abandoned.

        Raises
        ------
        JvmStartError
            If the JVM is not available.
        JavaCallError
            If the method throws.
        """
        java = self._jvm.facade()

        def invoke() -> Any:
            _ = keep  # NB: the closure keeps a reference as long as this function lives.
            self._release_garbage(java)
            try:
                value = getattr(java, method)(*arguments)
            except Exception as error:
                _raise(error, method)
            return value if make is None else make(value)

        return self._run(invoke, SHORT if short else thread_of(method), poll, patience)

    def run(self, function: Callable[[], Any]) -> Any:
        """Run a function on a JVM thread, where calls are direct.

        Raises
        ------
        JavaCallError
            If a Java method that it calls throws.
        """

        def guarded() -> Any:
            try:
                return function()
            except Exception as error:
                _raise(error, getattr(function, "__name__", "a function"))

        self._jvm.facade()
        # NB: wait until the function ends after Ctrl-C, because it may change Python objects.
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
        """Release a Java object with the next call: for finalizers, which must not block."""
        self._garbage.append(handle)

    def _release_garbage(self, java: Any) -> None:
        while True:
            try:
                java.release(self._garbage.popleft())
            except IndexError:
                return


def _raise(error: Exception, method: str) -> NoReturn:
    """Translate a Java exception; raise a Python exception unchanged."""
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
    """Start the JVM on the calling thread, run the self-check, return the facade."""
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
    # NB: pydl4j reads the class path at import, and writes to the home folder.
    os.environ["PYDL4J_CLASS_PATH"] = str(folder / "*")
    _import_pydl4j()
    config = importlib.import_module("jnius_config")
    if config.vm_running:
        raise JvmStartError(
            "Other code in this process has already started a JVM through jnius "
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
            "is needed. Run `pyimgret doctor` for details."
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
        # NB: look it up every time; saved bound methods of pyjnius alias each other.
        return getattr(self._owners[method], method)


def _import_pydl4j() -> None:
    """Import pydl4j, with a temporary home folder if the user's is not writable."""
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
    """Return the bridge of this process; the JVM starts with its first call."""
    return _BRIDGE


class JavaObject:
    """A handle of a Java object, released by `close`.

    Parameters
    ----------
    handle : int
        The handle returned by the facade.
    """

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle
        self._process = os.getpid()

    @property
    def handle(self) -> int:
        """The handle; an error after `close`."""
        if self._handle is None:
            raise InvalidArgumentError("This Java object is closed; create or load it again.")
        return self._handle

    def close(self) -> None:
        """Release the Java object; a second call does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None and self._process == os.getpid():
            bridge().call("release", handle)

    def __reduce__(self) -> Any:
        raise TypeError(
            f"A {type(self).__name__} refers to an object in this process's JVM and cannot be "
            "pickled or copied. Pickle the model that it belongs to, or save the model to a file."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None and not sys.is_finalizing():
            bridge().release_later(handle)
