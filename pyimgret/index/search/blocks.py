"""Work on many rows in blocks, in parallel.

A matrix-vector product is memory-bound, and BLAS libraries that split it over threads
wait for the slowest one: on a busy machine that costs a hundred times what it saves.
Here blocks are so small that BLAS uses one thread; helper threads take blocks when they are
scheduled, and the caller works too and never waits for a helper that has not started.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_BLOCK_VALUES = 196_608
PARALLEL_VALUES = 2_000_000
"""Smaller products finish before a helper thread would have woken up."""


def in_blocks(rows: int, width: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(start, stop)`` for blocks that cover all rows, partly in parallel.

    Parameters
    ----------
    rows, width : int
        Shape of the data.
    work : callable
        Thread-safe; should release the GIL, as NumPy does.

    Examples
    --------
    >>> seen = []
    >>> in_blocks(500_000, 1, lambda start, stop: seen.append(stop - start))
    >>> len(seen), sum(seen)
    (3, 500000)
    """
    step = max(64, _BLOCK_VALUES // max(width, 1))
    starts = iter(range(0, rows, step))

    def take() -> None:
        for start in starts:
            work(start, min(start + step, rows))

    helpers = []
    if rows * width >= PARALLEL_VALUES and _cores() > 1:
        helpers = [_pool(os.getpid()).submit(take) for _ in range(min(_cores() - 1, 7))]
    take()
    for helper in helpers:
        if not helper.cancel():
            helper.result()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the helper threads of this process; after a fork the child creates its own."""
    assert process == os.getpid()
    return ThreadPoolExecutor(8, thread_name_prefix="pyimgret-scan")
