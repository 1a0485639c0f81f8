"""Rate limiting: a token bucket per client address."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

_MOST_CLIENTS = 10_000


class RateLimiter:
    """Allows each client ``rate`` requests per second, and bursts of twice as many.

    Parameters
    ----------
    rate : float
        Requests per second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._burst = max(1.0, 2 * rate)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, client: str, now: float | None = None) -> float:
        """Take a token; return 0, or the seconds until one is available.

        Examples
        --------
        >>> limiter = RateLimiter(0.5)
        >>> limiter.wait("a", 100.0), limiter.wait("a", 100.0), limiter.wait("b", 100.0)
        (0.0, 2.0, 0.0)
        """
        now = time.monotonic() if now is None else now
        with self._lock:
            tokens, then = self._buckets.pop(client, (self._burst, now))
            tokens = min(self._burst, tokens + (now - then) * self._rate)
            allowed = tokens >= 1
            self._buckets[client] = (tokens - 1 if allowed else tokens, now)
            # NB: memory is bounded; the least recently seen client is dropped.
            while len(self._buckets) > _MOST_CLIENTS:
                self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._rate
