"""Micro-batching: concurrent requests are computed together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Generic, TypeVar

from pyimgret_server.problems import busy

Given = TypeVar("Given")
Made = TypeVar("Made")


class Batcher(Generic[Given, Made]):
    """A worker thread that computes the results of concurrent requests in batches.

    While a batch is computed, requests for the next one accumulate: the higher the load, the
    larger the batches, and a single request does not wait. Announced requests
    (see `expecting`) are waited for, up to ``wait`` seconds.

    Parameters
    ----------
    compute : callable
        Computes the list of results of a list of requests; an exception in it is raised
        for its request.
    size : int
        Maximum size of a batch.
    wait : float
        Maximum wait for announced requests, in seconds.
    queue_size : int
        Maximum number of waiting requests; further ones are rejected.
    name : str
        Name of the thread.
    observe : callable, optional
        Called with the size of each batch and the waiting time of its first request.
    """

    def __init__(
        self,
        compute: Callable[[list[Given]], Sequence[Made | Exception]],
        *,
        size: int,
        wait: float,
        queue_size: int,
        name: str,
        observe: Callable[[int, float], None] | None = None,
    ) -> None:
        self._compute = compute
        self._size = size
        self._wait = wait
        self._queue_size = queue_size
        self._observe = observe or (lambda _size, _seconds: None)
        self._waiting: deque[tuple[Given, Future[Made], float]] = deque()
        self._announced = 0
        self._closed = False
        self._idle = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Number of waiting requests."""
        return len(self._waiting)

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Announce a request that is being prepared; submit it within the block."""
        with self._change:
            self._announced += 1
        try:
            yield
        finally:
            with self._change:
                self._announced -= 1
                if self._ready:
                    self._change.notify()

    def submit(self, given: Given) -> Future[Made]:
        """Queue a request.

        Raises
        ------
        ProblemError
            503 if too many requests are waiting, or the worker was closed.
        """
        future: Future[Made] = Future()
        with self._change:
            if self._closed:
                raise busy("The service is stopping.")
            if len(self._waiting) >= self._queue_size:
                raise busy(f"{len(self._waiting)} requests are waiting; try again in a second.")
            self._waiting.append((given, future, time.perf_counter()))
            # NB: not for each request while others are expected: waking up costs the
            # worker, and other threads that need the GIL, more than most requests do.
            if self._ready or self._idle:
                self._change.notify()
        return future

    def close(self) -> None:
        """Process the waiting requests, then stop the thread; a second call does nothing."""
        with self._change:
            self._closed = True
            self._change.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    @property
    def _ready(self) -> bool:
        """Whether a batch can be started without further waiting."""
        return bool(self._waiting) and (not self._announced or len(self._waiting) >= self._size)

    def _work(self) -> None:
        while batch := self._next():
            self._observe(len(batch), time.perf_counter() - batch[0][2])
            # NB: skip requests that were cancelled because of a timeout.
            active = [one for one in batch if one[1].set_running_or_notify_cancel()]
            if active:
                self._process(active)

    def _process(self, batch: list[tuple[Given, Future[Made], float]]) -> None:
        try:
            results = self._compute([given for given, _, _ in batch])
        except BaseException as error:
            if len(batch) > 1:
                # One bad request must not fail the others.
                for one in batch:
                    self._process([one])
                return
            batch[0][1].set_exception(error)
            return
        for (_, future, _), result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _next(self) -> list[tuple[Given, Future[Made], float]]:
        """Wait for a batch; an empty one means that the worker was closed."""
        with self._change:
            self._idle = True
            while not self._waiting and not self._closed:
                self._change.wait()
            self._idle = False
            self._gather()
            count = min(self._size, len(self._waiting))
            return [self._waiting.popleft() for _ in range(count)]

    def _gather(self) -> None:
        """Wait briefly for announced requests."""
        until = time.perf_counter() + self._wait
        while self._waiting and not self._ready and not self._closed:
            left = until - time.perf_counter()
            if left <= 0:
                return
            self._change.wait(left)
