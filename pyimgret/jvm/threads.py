"""The long-lived JVM threads, and the dispatch of calls to them."""

from __future__ import annotations

import atexit
import ctypes
import os
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from pyimgret.exceptions import JvmStartError
from pyimgret.jvm.settings import mark_started

#: Seconds between two polls of a running call.
_POLL: Final = 0.1
#: Default number of seconds to wait for a stopped call.
PATIENCE: Final = 0.25

#: Seconds to wait for stopped calls at process exit.
_AT_EXIT: Final = 10.0

#: The threads. Training has its own, because ND4J's random generator is thread-local;
#: bulk work has another, so that short calls do not wait for either.
TRAINING, BULK, SHORT = "training", "bulk", "short"


class Task:
    """A function to run on a JVM thread, and its result."""

    __slots__ = ("_error", "_function", "_value", "cancelled", "done")

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function: Callable[[], Any] | None = function
        self.done = threading.Event()
        self.cancelled = False
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Run the function and store its value or exception."""
        assert self._function is not None
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error
        finally:
            # NB: the function references the arrays of the call; release them.
            self._function = None

    def result(self) -> Any:
        """Return the function's value, or raise its exception."""
        if self._error is not None:
            raise self._error
        return self._value

    @property
    def failed(self) -> bool:
        """Whether the function raised an exception."""
        return self._error is not None


class JvmThread:
    """A long-lived thread that is attached to the JVM and runs queued calls in order.

    Java polls the thread's stop flag during long calls.
    """

    def __init__(self, name: str) -> None:
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._change = threading.Condition()
        self._running: Task | None = None
        self._closed = False
        self._stop_flag = ctypes.c_byte(0)
        self._thread = threading.Thread(target=self._run, name=f"pyimgret-{name}", daemon=True)
        self._thread.start()

    @property
    def stop_flag(self) -> int:
        """Address of the byte that is nonzero if the running call should stop."""
        return ctypes.addressof(self._stop_flag)

    @property
    def is_alive(self) -> bool:
        """Whether the thread is running; threads do not survive a fork."""
        return self._thread.is_alive()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this thread."""
        return threading.current_thread() is self._thread

    def submit(self, function: Callable[[], Any]) -> Task:
        """Queue a function and return immediately."""
        task = Task(function)
        self._tasks.put(task)
        return task

    def wait(
        self,
        task: Task,
        poll: Callable[[], object] | None = None,
        patience: float = PATIENCE,
    ) -> Any:
        """Wait for the result of a task, calling ``poll`` ten times a second.

        Ctrl-C, or an exception of ``poll``, stops the task and is raised here. A Java method
        that does not end within ``patience`` seconds is abandoned: it keeps its arrays alive,
        and its objects locked in Java, until it has ended.
        """
        try:
            while not task.done.wait(_POLL):
                if poll is not None:
                    poll()
        except BaseException:
            self._stop(task, patience)
            raise
        return task.result()

    def _stop(self, task: Task, patience: float) -> None:
        deadline = time.monotonic() + patience
        while not task.done.is_set() and time.monotonic() < deadline:
            try:
                with self._change:
                    if self._running is task:
                        self._stop_flag.value = 1
                    else:
                        task.cancelled = True
                        return
                task.done.wait(min(_POLL, deadline - time.monotonic()))
            except KeyboardInterrupt:
                continue  # pressed again: the task is already stopping

    def close(self, timeout: float) -> None:
        """Stop the running call and wait for its end; pending callers are never woken."""
        with self._change:
            self._closed = True
            self._stop_flag.value = 1
            self._change.wait_for(lambda: self._running is None, timeout)

    def _run(self) -> None:
        while True:
            task = self._tasks.get()
            with self._change:
                if task.cancelled or self._closed:
                    continue
                self._running = task
                self._stop_flag.value = 0
            task.run()
            with self._change:
                self._running = None
                if not self._closed:
                    task.done.set()
                self._change.notify_all()
            del task


class JvmThreads:
    """The JVM of this process and its three threads.

    Other threads submit their calls and wait, so they are never attached to the JVM themselves:
    any number of short-lived threads leaves no JVM threads behind.

    Parameters
    ----------
    start : callable
        Starts the JVM on the calling thread and returns the Java facade.
    """

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._threads: dict[str, JvmThread] = {}
        self._starting: Task | None = None
        self._process: int | None = None
        self._java: Any = None

    @property
    def started(self) -> bool:
        """Whether the JVM runs in this process."""
        return self._java is not None and self._process == os.getpid()

    def current(self) -> JvmThread | None:
        """Return the JVM thread of the caller, or None on any other thread."""
        return next((t for t in self._threads.values() if t.is_current), None)

    def __getitem__(self, name: str) -> JvmThread:
        return self._threads[name]

    def facade(self) -> Any:
        """Return the Java facade; the first call starts the JVM.

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
        if pending is None or pending.failed or pending.cancelled:
            self._starting = pending = self._threads[SHORT].submit(self._start)
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
