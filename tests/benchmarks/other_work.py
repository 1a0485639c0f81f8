"""What else ran on the machine while something was measured (Linux)."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

_STAT = Path("/proc/stat")


class OtherWork:
    """Watches from its making on; only of children that have ended is it known that they are ours.

    Attributes
    ----------
    load_before : float
        The load average of the minute before, the caller's own earlier work included.
    """

    def __init__(self) -> None:
        self.load_before = round(os.getloadavg()[0], 1)
        self._begin = time.monotonic()
        self._busy, self._stolen = _machine()
        self._ours = _ours()

    def so_far(self) -> dict[str, float]:
        """Return how many cores other processes kept busy, and how many the host took away."""
        seconds = time.monotonic() - self._begin
        busy, stolen = _machine()
        others = busy - self._busy - (_ours() - self._ours)
        return {
            "seconds": round(seconds, 1),
            "load_before": self.load_before,
            "other_cores": round(max(0.0, others / seconds), 2),
            "stolen_cores": round((stolen - self._stolen) / seconds, 2),
        }


def _machine() -> tuple[float, float]:
    """Return the seconds in which processors worked, and in which the host gave them to others."""
    if not _STAT.exists():
        return _ours(), 0.0
    # proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal
    ticks = [int(word) for word in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
    a_second = os.sysconf("SC_CLK_TCK")
    return (sum(ticks[:3]) + sum(ticks[5:7])) / a_second, ticks[7] / a_second


def _ours() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(one) for one in who]
    return sum(one.ru_utime + one.ru_stime for one in used)
