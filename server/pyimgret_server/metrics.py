"""Prometheus metrics: requests, stages, batches, and the JVM's memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
STAGES = ("decode", "encode_wait", "encode", "search_wait", "search")
"""The stages of `Metrics.stages`; those with ``_wait`` include the time in the queue."""


class Metrics:
    """The metrics of one application, in their own registry.

    Attributes
    ----------
    stages : dict of str to Histogram
        The time of each of `STAGES`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "pyimgret_requests",
            "Requests by route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = self._histogram(
            "pyimgret_request_seconds", "Time of a request, by route.", "route"
        )
        stage_seconds = self._histogram(
            "pyimgret_stage_seconds", "Time of a stage; *_wait includes the time in the queue."
        )
        self.batch_size = self._histogram(
            "pyimgret_batch_size", "Requests per batch.", buckets=_SIZES
        )
        self.queue_seconds = self._histogram(
            "pyimgret_queue_seconds", "Waiting time of the first request of a batch."
        )
        self.items = Gauge("pyimgret_index_items", "Items of the index.", registry=self.registry)
        # NB: labels() takes a lock and builds a key on each call, so cache the results.
        self.stages = {name: stage_seconds.labels(name) for name in STAGES}
        self.registry.register(_Process())

    def _histogram(
        self, name: str, text: str, label: str = "stage", buckets: Sequence[float] = _SECONDS
    ) -> Histogram:
        return Histogram(name, text, [label], buckets=buckets, registry=self.registry)


class _Process:
    """Threads and memory of the process and its JVM, read on collection."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        threads = ("pyimgret_threads", "Python threads.", threading.active_count())
        for name, text, value in (threads, *_process(), *_jvm()):
            yield GaugeMetricFamily(name, text, value=value)


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
