"""The long-lived threads that are attached to the JVM."""

from __future__ import annotations

import contextlib
import ctypes
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

#: Seconds between two polls of a running call.
_POLL: Final = 0.1
#: Default number of seconds to wait for a stopped call.
PATIENCE: Final = 0.25

#: The threads. Training has its own, because ND4J's random generator is thread-local;
#: bulk work has another, so that short calls do not wait for either.
TRAINING, BULK, SHORT = "training", "bulk", "short"


class JvmThread:
    """A long-lived thread that is attached to the JVM and runs queued calls in order.

    Java polls the thread's stop flag during long calls.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._change = threading.Condition()
        self._busy = self._closed = False
        self._stop_flag = ctypes.c_byte(0)
        # NB: a daemon, unlike the threads of an executor, which would be awaited at exit.
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

    def submit(self, function: Callable[[], Any]) -> Future[Any]:
        """Queue a function and return immediately."""
        future: Future[Any] = Future()
        self._calls.put((future, function))
        return future

    def wait(
        self,
        future: Future[Any],
        poll: Callable[[], object] | None = None,
        patience: float = PATIENCE,
    ) -> Any:
        """Wait for the result of a call, calling ``poll`` ten times a second.

        Ctrl-C, or an exception of ``poll``, stops the call and is raised here. A Java method
        that does not end within ``patience`` seconds is abandoned: it keeps its arrays alive,
        and its objects locked in Java, until it has ended.
        """
        try:
            while not _is_done(future, _POLL):
                if poll is not None:
                    poll()
        except BaseException:
            self._stop(future, patience)
            raise
        return future.result()

    def _stop(self, future: Future[Any], patience: float) -> None:
        deadline = time.monotonic() + patience
        while not future.done() and time.monotonic() < deadline:
            # Pressed again, Ctrl-C changes nothing: the call is already stopping.
            with contextlib.suppress(KeyboardInterrupt):
                with self._change:
                    if future.cancel():  # it has not begun
                        return
                    if future.running():
                        self._stop_flag.value = 1
                _is_done(future, min(_POLL, deadline - time.monotonic()))

    def close(self, timeout: float) -> None:
        """Stop the running call and wait for its end; pending callers are never woken."""
        with self._change:
            self._closed = True
            self._stop_flag.value = 1
            self._change.wait_for(lambda: not self._busy, timeout)

    def _run(self) -> None:
        while True:
            future, function = self._calls.get()
            with self._change:
                if self._closed or not future.set_running_or_notify_cancel():
                    continue
                self._busy = True
                self._stop_flag.value = 0
            value = error = None
            try:
                value = function()
            except BaseException as raised:
                error = raised
            # NB: the function references the arrays of the call; release them.
            del function
            with self._change:
                self._busy = False
                if not self._closed:
                    future.set_result(value) if error is None else future.set_exception(error)
                self._change.notify_all()
            del future, value, error


def _is_done(future: Future[Any], timeout: float) -> bool:
    with contextlib.suppress(TimeoutError):
        future.exception(timeout)
    return future.done()
