"""Prometheus metrics: requests, stages, batches, and the JVM's memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
STAGES = ("decode", "encode_wait", "encode", "search_wait", "search")
"""The stages of `Metrics.stage`; those with ``_wait`` include the time in the queue."""


class Metrics:
    """The metrics of one application, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "pyimgret_requests", "Requests by route and status.",
            ["method", "route", "status"], registry=self.registry,
        )  # fmt: skip
        self._request_seconds = Histogram(
            "pyimgret_request_seconds", "Time of a request, by route.",
            ["route"], buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._stage_seconds = Histogram(
            "pyimgret_stage_seconds", "Time of a stage; *_wait includes the time in the queue.",
            ["stage"], buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._batch_size = Histogram(
            "pyimgret_batch_size", "Requests per batch.",
            ["stage"], buckets=_SIZES, registry=self.registry,
        )  # fmt: skip
        self._queue_seconds = Histogram(
            "pyimgret_queue_seconds", "Waiting time of the first request of a batch.",
            ["stage"], buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.items = Gauge("pyimgret_index_items", "Items of the index.", registry=self.registry)
        # NB: labels() takes a lock and builds a key on each call, so cache the results.
        self._stages = {name: self._stage_seconds.labels(name) for name in STAGES}
        self.registry.register(_Process())

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the time of a block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._stages[name].observe(time.perf_counter() - start)

    def observe(self, name: str, seconds: float) -> None:
        """Record the time of a stage."""
        self._stages[name].observe(seconds)

    def batch(self, stage: str) -> Callable[[int, float], None]:
        """Return a function that records the batches of a worker."""
        sizes, waits = self._batch_size.labels(stage), self._queue_seconds.labels(stage)

        def observe(size: int, seconds: float) -> None:
            sizes.observe(size)
            waits.observe(seconds)

        return observe

    def exposition(self) -> tuple[bytes, str]:
        """Return the metrics in Prometheus' text format, and its media type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _Process:
    """Threads and memory of the process and its JVM, read on collection."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        yield _gauge("pyimgret_threads", "Python threads.", threading.active_count())
        for name, text, value in (*_process(), *_jvm()):
            yield _gauge(name, text, value)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _process() -> Iterator[tuple[str, str, float]]:
    """Yield facts about the process on Linux; nothing elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    resident = float(values["VmRSS"].split()[0]) * 1024
    yield "pyimgret_resident_bytes", "Memory of the process.", resident
    yield "pyimgret_process_threads", "Threads of the process.", float(values["Threads"])


_JVM = {
    "heap_used_bytes": "Java heap in use.",
    "heap_max_bytes": "Largest Java heap.",
    "off_heap_max_bytes": "Maximum memory for arrays outside the Java heap.",
    "java_threads": "Threads of the JVM.",
    "open_handles": "Java objects referenced by Python.",
}


def _jvm() -> Iterator[tuple[str, str, float]]:
    """Yield metrics of the JVM, if it is running."""
    from pyimgret.jvm import bridge

    if not bridge().started:
        return
    info: dict[str, Any] = json.loads(bridge().call("info"))
    for name, text in _JVM.items():
        yield f"pyimgret_jvm_{name.removeprefix('java_')}", text, float(info[name])
