"""Calls into Java by method name, with numbers, strings and array addresses."""

from __future__ import annotations

import atexit
import math
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, NoReturn, Self

from pyimgret.exceptions import InvalidArgumentError, JavaCallError, JvmStartError, ModelFormatError
from pyimgret.jvm.facade import THREADS
from pyimgret.jvm.settings import current_settings, mark_started
from pyimgret.jvm.start import start_jvm
from pyimgret.jvm.threads import BULK, PATIENCE, SHORT, TRAINING, JvmThread

#: Seconds to wait for stopped calls at process exit.
_AT_EXIT: Final = 10.0


class Bridge:
    """The Java facade of this process, called on three long-lived JVM threads.

    Other threads submit their calls and wait, so they are never attached to the JVM themselves:
    any number of short-lived threads leaves no JVM threads behind.

    ``bridge().call("describe", handle)`` runs the static method of that name. Arrays that
    Java reads or writes are passed as ``keep``, so that they stay alive until Java has finished,
    even if the caller is interrupted.
    """

    def __init__(self) -> None:
        self._garbage: deque[int] = deque()
        self._lock = threading.Lock()
        self._threads: dict[str, JvmThread] = {}
        self._starting: Future[Any] | None = None
        self._process: int | None = None
        self._java: Any = None

    @property
    def started(self) -> bool:
        """Whether the JVM runs in this process."""
        return self._java is not None and self._process == os.getpid()

    def start(self) -> Any:
        """Start the JVM, and return the Java facade; a second call only returns it.

        Raises
        ------
        JvmStartError
            If the JVM cannot start, or this process is a fork of one that started it.
        """
        if self.started:
            return self._java
        if self._process is not None and self._process != os.getpid():
            raise JvmStartError(
                "This process was forked from one with a running JVM, and a JVM does not survive "
                "fork(). Start worker processes with "
                "multiprocessing.get_context('spawn'), or fork before the first use of pyimgret."
            )
        with self._lock:
            if self._java is None:
                self._begin()
        return self._java

    def _begin(self) -> None:
        for name in (SHORT, BULK, TRAINING):
            if name not in self._threads or not self._threads[name].is_alive:
                self._threads[name] = JvmThread(name)
                self._starting = None
        # NB: a start that was interrupted by Ctrl-C continues; a second one would fail.
        pending = self._starting
        if (
            pending is None
            or pending.cancelled()
            or (pending.done() and pending.exception() is not None)
        ):
            self._starting = pending = self._threads[SHORT].submit(start_jvm)
        java = self._threads[SHORT].wait(pending)
        for thread in self._threads.values():
            thread.wait(thread.submit(partial(java.watchStopFlag, thread.stop_flag)))
        mark_started()
        atexit.register(self._close)
        self._process = os.getpid()
        self._java = java

    def _close(self) -> None:
        # NB: process exit unloads native libraries; running computations would crash.
        if self._process == os.getpid():
            for thread in self._threads.values():
                thread.close(_AT_EXIT)

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
        java = self.start()

        def invoke() -> Any:
            _ = keep  # NB: the closure keeps a reference as long as this function lives.
            self._release_garbage(java)
            try:
                value = getattr(java, method)(*arguments)
            except Exception as error:
                _raise(error, method)
            return value if make is None else make(value)

        return self._run(invoke, SHORT if short else THREADS.get(method, SHORT), poll, patience)

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

        self.start()
        # NB: wait until the function ends after Ctrl-C, because it may change Python objects.
        return self._run(guarded, BULK, None, math.inf)

    def _run(
        self,
        function: Callable[[], Any],
        name: str,
        poll: Callable[[], object] | None,
        patience: float,
    ) -> Any:
        if any(thread.is_current for thread in self._threads.values()):
            return function()
        thread = self._threads[name]
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
    java_class = getattr(error, "classname", None)
    if java_class is None:
        raise error
    message = getattr(error, "innermessage", None) or str(error)
    if java_class == "org.pyimgret.encoder.ModelFormatException":
        raise ModelFormatError(message) from error
    if java_class == "java.lang.OutOfMemoryError" or "Allocation failed" in message:
        message = f"{message}. {_memory_hint()}"
    stack = "\n".join(str(line) for line in getattr(error, "stacktrace", None) or ())
    raise JavaCallError(
        f"{java_class} in {method}: {message}", java_class=java_class, java_stack=stack
    ) from error


def _memory_hint() -> str:
    limits = {o.split("=")[0]: o for o in current_settings().jvm_options()}
    heap = next(option for option in limits if option.startswith("-Xmx"))
    off_heap = limits["-Dorg.bytedeco.javacpp.maxbytes"].split("=")[1]
    return (
        f"The limits are {heap[4:]} of Java heap and {off_heap} outside it; raise them by "
        "pyimgret.configure(heap=..., off_heap=...) (MiB) before the first call, or by the "
        "variables PYIMGRET_HEAP and PYIMGRET_OFF_HEAP, or use smaller batches"
    )


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
