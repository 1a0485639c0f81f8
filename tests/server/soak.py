"""A mixed load on a running service, every answer checked against the index itself."""

from __future__ import annotations

import http.client
import json
import random
import threading
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

_BOUNDARY = "soak"


def form(image: bytes, **fields: str) -> tuple[bytes, str]:
    """Return the body of a form with an image, and its media type."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode()
        for n, v in fields.items()
    ]
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
    body = b"".join(parts) + head.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return body, f"multipart/form-data; boundary={_BOUNDARY}"


@dataclass
class Soak:
    """The load and what was found.

    Parameters
    ----------
    address : tuple of (str, int)
    api_key : str
    images : list of bytes
    expected : list of list of (str, float)
        The matches of each image among the items that stay (``fixed == true``).
    vectors : ndarray
        The images' embeddings.
    """

    address: tuple[str, int]
    api_key: str
    images: list[bytes]
    expected: list[list[tuple[str, float]]]
    vectors: np.ndarray
    wrong: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    kept: set[str] = field(default_factory=set)
    figures: list[dict[str, float]] = field(default_factory=list)
    done: int = 0
    workers: list[_Client] = field(default_factory=list)

    def run(self, requests: int, clients: int = 16) -> None:
        """Send requests from so many clients, so many in all; then look at the service."""
        lock = threading.Lock()

        while len(self.workers) < clients:
            self.workers.append(_Client(self, len(self.workers)))

        def client(worker: _Client) -> None:
            while True:
                with lock:
                    if self.done >= requests:
                        worker.connection.close()
                        return
                    self.done += 1
                worker.step()

        threads = [threading.Thread(target=client, args=(one,)) for one in self.workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.figures.append(self.process())

    def process(self) -> dict[str, float]:
        """Return threads and memory of the service, as its metrics tell them."""
        with urllib.request.urlopen("http://{}:{}/metrics".format(*self.address)) as answer:
            lines = answer.read().decode().splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if line[0] != "#")
        names = ("pyimgret_threads", "pyimgret_process_threads", "pyimgret_resident_bytes")
        return {name: float(values[name]) for name in names if name in values}


class _Client:
    """One client: its connection, its own items, and what it does with them."""

    def __init__(self, soak: Soak, number: int) -> None:
        self.soak = soak
        self.number = number
        self.random = random.Random(number)
        self.connection = http.client.HTTPConnection(*soak.address, timeout=120)
        self.mine: dict[str, tuple[str, int]] = {}
        self.count = 0

    def step(self) -> None:
        """Send one request and look at the answer."""
        kinds = (self.search, self.embed, self.bad, self.write, self.delete)
        action = self.random.choices(kinds, (60, 10, 10, 13, 7))[0]
        self.soak.kinds[action.__name__] += 1
        action()

    def search(self) -> None:
        """Search by an image among the items that stay."""
        number = self.random.randrange(len(self.soak.images))
        body, kind = form(self.soak.images[number], k="10", where="fixed == true")
        status, found = self.ask("POST", "/v1/search", body, kind)
        matches = [(m["key"], m["score"]) for m in found.get("matches", ())]
        self.check(status == 200 and _same(matches, self.soak.expected[number]), found)

    def embed(self) -> None:
        """Embed an image."""
        number = self.random.randrange(len(self.soak.images))
        status, found = self.ask("POST", "/v1/embed", *form(self.soak.images[number]))
        right = status == 200 and np.allclose(
            found["vectors"][0], self.soak.vectors[number], atol=1e-5
        )
        self.check(right, found)

    def bad(self) -> None:
        """Send what cannot be answered."""
        body, kind, expected = self.random.choice(_BAD)
        status, found = self.ask("POST", "/v1/search", body, kind)
        self.check(status == expected and "detail" in found, found)

    def write(self) -> None:
        """Add an item, and find it at once."""
        number = self.random.randrange(len(self.soak.images))
        self.count += 1
        key = f"soak/{self.number}/{self.count}"
        body, kind = form(self.soak.images[number], key=key, metadata='{"fixed": false}')
        status, added = self.ask("POST", "/v1/items", body, kind)
        self.check(status == 201, added)
        if status == 201:
            self.mine[key] = (added["id"], number)
            self.soak.kept.add(key)
        query = json.dumps({"key": key, "k": 1, "min_score": 0.999})
        status, found = self.ask("POST", "/v1/search", query.encode(), "application/json")
        self.check(status == 200 and len(found["matches"]) == 1, found)

    def delete(self) -> None:
        """Delete one of the client's own items, which is gone at once."""
        if not self.mine:
            return
        key = self.random.choice(list(self.mine))
        identifier, _ = self.mine.pop(key)
        status, _ = self.ask("DELETE", f"/v1/items/{identifier}")
        self.check(status == 204, status)
        self.soak.kept.discard(key)
        status, _ = self.ask("GET", f"/v1/items/{identifier}")
        self.check(status == 404, status)

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "text/plain"):
        """Return status and document, sending again what a busy service refused."""
        headers = {"Authorization": f"Bearer {self.soak.api_key}", "Content-Type": kind}
        while True:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            content = answer.read()
            if answer.status != 503:
                return answer.status, json.loads(content or b"null")
            self.soak.kinds["busy"] += 1

    def check(self, right: bool, found: object) -> None:
        """Note a wrong answer."""
        if not right:
            self.soak.wrong.append(str(found)[:300])


_BAD = [
    (b"{broken", "application/json", 400),
    (b'{"vector": [1, 2]}', "application/json", 422),
    (b'{"key": "nowhere"}', "application/json", 404),
    (b"x", "text/plain", 415),
    (*form(b"no image at all"), 422),
    (*form(b"\x89PNG\r\n\x1a\n" + bytes(2000)), 422),
]


def _same(found: list[tuple[str, float]], expected: list[tuple[str, float]]) -> bool:
    """Compare matches; those whose scores differ by rounding only may change places."""
    if not np.allclose([s for _, s in found], [s for _, s in expected], atol=1e-5):
        return False
    scores = dict(expected)
    return all(abs(scores.get(key, score) - score) < 1e-5 for key, score in found)
