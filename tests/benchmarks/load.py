"""Clients for the load tests: many connections, one thread, next to no work of their own."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence

_BOUNDARY = "pyimgret-benchmark"


def upload(address: tuple[str, int], image: bytes, k: int = 10) -> bytes:
    """Return the bytes of a request that searches by an uploaded image."""
    part = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
    body = (
        (
            f'{part}"k"\r\n\r\n{k}\r\n{part}"image"; filename="q.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        ).encode()
        + image
        + f"\r\n--{_BOUNDARY}--\r\n".encode()
    )
    head = (
        f"POST /v1/search HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Client:
    """One connection with one request under way."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began = 0.0
        self.received = b""

    def ask(self, request: bytes) -> None:
        self.received = b""
        self.began = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> bool:
        """Take what has come; tell whether the answer is complete."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return False
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return len(body) >= length


def run(
    address: tuple[str, int], requests: Sequence[bytes], *, clients: int, seconds: float
) -> dict[str, float]:
    """Send requests from so many clients, each waiting for its answer; return the figures."""
    selector = selectors.DefaultSelector()
    latencies: list[float] = []
    number = bad = 0
    for _ in range(clients):
        client = _Client(address)
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.ask(requests[number % len(requests)])
        number += 1
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for key, _ in selector.select(1.0):
            client = key.data
            if client.read():
                latencies.append(time.perf_counter() - client.began)
                bad += not client.received.startswith(b"HTTP/1.1 200")
                client.ask(requests[number % len(requests)])
                number += 1
    elapsed = time.perf_counter() - began
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    return _figures(latencies, elapsed, bad)


def _figures(latencies: list[float], elapsed: float, bad: int) -> dict[str, float]:
    ordered = sorted(latencies)

    def percentile(part: float) -> float:
        return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]

    return {
        "per_second": len(ordered) / elapsed,
        "p50_ms": percentile(0.5),
        "p99_ms": percentile(0.99),
        "errors": float(bad),
    }
