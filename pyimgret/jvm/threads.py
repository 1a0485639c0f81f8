"""The threads that live in the JVM, and how a call reaches one of them."""

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

#: Seconds between two looks at a call that runs.
_POLL: Final = 0.1
#: Seconds that a call which was told to stop is waited for, if it is not said otherwise.
PATIENCE: Final = 0.25

#: Seconds that the end of the process waits for a call that was told to stop.
_AT_EXIT: Final = 10.0

#: What the threads are for. Training is alone on its own, as ND4J's random generator belongs to
#: a thread; bulk work has another, so that short calls wait for neither of them.
TRAINING, BULK, SHORT = "training", "bulk", "short"


class Task:
    """A function to run on a JVM thread, and what became of it."""

    __slots__ = ("_error", "_function", "_value", "cancelled", "done")

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function: Callable[[], Any] | None = function
        self.done = threading.Event()
        self.cancelled = False
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Run the function and keep its value, or what it raised."""
        assert self._function is not None
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error
        finally:
            # NB: the function holds the arrays of the call, which end with it.
            self._function = None

    def result(self) -> Any:
        """Return the function's value, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._value

    @property
    def failed(self) -> bool:
        """Whether the function raised."""
        return self._error is not None


class JvmThread:
    """One long-lived thread that is attached to the JVM and runs the calls it is given, in turn.

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
        """Address of the byte that is not 0 when the running call is to end."""
        return ctypes.addressof(self._stop_flag)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs: none does in a process that was forked."""
        return self._thread.is_alive()

    @property
    def is_current(self) -> bool:
        """Whether the caller runs on this thread."""
        return threading.current_thread() is self._thread

    def submit(self, function: Callable[[], Any]) -> Task:
        """Queue a function and return at once."""
        task = Task(function)
        self._tasks.put(task)
        return task

    def wait(
        self,
        task: Task,
        poll: Callable[[], object] | None = None,
        patience: float = PATIENCE,
    ) -> Any:
        """Return the task's result; ``poll`` is called ten times a second meanwhile.

        Ctrl-C, and whatever ``poll`` raises, stops the task and is raised here. A Java method
        that does not end within ``patience`` seconds is left behind: it keeps its arrays alive,
        and what it works on is locked in Java, until it has ended.
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
                continue  # pressed again: the task is stopping already

    def close(self, timeout: float) -> None:
        """Stop the running call and wait for its end; whoever waits for a call waits for ever."""
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
    """The JVM of this process and its threads: three, however many threads call.

    Other threads hand their calls over and wait, so that none of them is ever attached to the
    JVM: a thousand short-lived threads leave nothing behind.

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
        """Return the JVM thread that the caller runs on, or None on any other thread."""
        return next((t for t in self._threads.values() if t.is_current), None)

    def __getitem__(self, name: str) -> JvmThread:
        return self._threads[name]

    def facade(self) -> Any:
        """Return the Java facade; the first call starts the JVM.

        Raises
        ------
        JvmStartError
            When the JVM cannot start, or this process is a fork of one that started it.
        """
        if self.started:
            return self._java
        if self._process is not None and self._process != os.getpid():
            raise JvmStartError(
                "This process is a fork of one in which the JVM runs, and a JVM does not survive "
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
        # NB: a start that Ctrl-C left behind goes on; a second one beside it would fail.
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
        # NB: the process's end unloads native libraries; what still computes in them would crash.
        if self._process == os.getpid():
            for thread in self._threads.values():
                thread.close(_AT_EXIT)
