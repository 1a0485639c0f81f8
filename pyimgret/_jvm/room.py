"""The thread that lives in the JVM, and how a call reaches it."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from pyimgret._jvm.settings import mark_started
from pyimgret.exceptions import JvmStartError

T = TypeVar("T")


class _Task:
    """A function to run in the room, and what became of it."""

    __slots__ = ("_done", "_error", "_function", "_value")

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._done = threading.Event()
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()

    def wait(self, timeout: float | None = None) -> bool:
        return self._done.wait(timeout)

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value


class Room:
    """One long-lived thread that starts the JVM and makes every call into it.

    Other threads hand their calls over and wait, so that none of them is ever attached to
    the JVM: a thousand short-lived threads leave nothing behind, calls never overlap, and
    ND4J's per-thread random generator and workspaces are always the same.
    """

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start = start
        self._tasks: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process: int | None = None
        self._java: Any = None

    @property
    def started(self) -> bool:
        """Whether the JVM runs in this process."""
        return self._java is not None and self._process == os.getpid()

    @property
    def inside(self) -> bool:
        """Whether the caller is the room's own thread."""
        return threading.current_thread() is self._thread

    def call(self, function: Callable[[Any], T], *, on_wait: Callable[[], None] | None = None) -> T:
        """Run ``function(java)`` in the room and return its result.

        Parameters
        ----------
        function : callable
            Gets the facade.
        on_wait : callable, optional
            Called every tenth of a second while the call runs, and free to raise nothing.

        Raises
        ------
        JvmStartError
            When the JVM cannot start, or this process is a fork of one that started it.
        """
        self.open()
        if self.inside:
            return function(self._java)
        task = self._hand_over(lambda: function(self._java))
        if on_wait is not None:
            while not task.wait(0.1):
                on_wait()
        task.wait()
        result: T = task.result()
        return result

    def submit(self, function: Callable[[Any], Any]) -> _Task:
        """Hand ``function(java)`` over and return at once; the task can be waited for."""
        self.open()
        return self._hand_over(lambda: function(self._java))

    def open(self) -> None:
        """Start the JVM; a second call does nothing."""
        if self._process == os.getpid() and self._java is not None:
            return
        if self._process is not None and self._process != os.getpid():
            raise JvmStartError(
                "This process is a fork of one in which the JVM runs, and a JVM does not survive "
                "fork(). Start worker processes with "
                "multiprocessing.get_context('spawn'), or fork before the first use of pyimgret."
            )
        with self._lock:
            if self._java is None:
                self._begin()

    def _begin(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._live, name="pyimgret-jvm", daemon=True)
            self._thread.start()
        task = self._hand_over(self._start)
        task.wait()
        java = task.result()
        mark_started()
        self._process = os.getpid()
        self._java = java

    def _hand_over(self, function: Callable[[], Any]) -> _Task:
        task = _Task(function)
        self._tasks.put(task)
        return task

    def _live(self) -> None:
        while True:
            self._tasks.get().run()
