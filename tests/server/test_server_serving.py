"""The web server: stopping, reloading, slow and vanishing clients, floods, a killed process."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from server_fakes import make_images, png, served
from server_process import Process

from pyimgret.index import Index
from pyimgret_server.keys import make_key
from pyimgret_server.serving import _Channel, _ServerProxy


@pytest.fixture
def live(make_app):
    """Give the address of a running service."""
    with served(make_app(max_upload=100_000)) as address:
        yield address


@pytest.fixture
def start():
    """Start ``pyimgret serve`` in processes, killed at the end at the latest."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(Process(*arguments, fake=True))


def fetch(url: str, body: object = None, method: str | None = None, **headers: str):
    """Return status and document of an answer."""
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def connect(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def raw(address: str, request: bytes) -> bytes:
    """Return what comes back for the bytes of a request, until the connection is closed."""
    with connect(address) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while data := connection.recv(65536):
            parts.append(data)
        return b"".join(parts)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad header\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 32_000 + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", b"413"),
        (b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b"400"),
        (b"POST /v1/search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", b"501"),
    ],
)
def test_malformed_http_gets_problem_document(live, request_, status):
    answer = raw(live, request_)
    assert answer.split(b" ")[1] == status
    assert b"application/problem+json" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == int(status)


def test_slow_clients_take_no_thread_from_others(live):
    slow = [connect(live) for _ in range(60)]
    try:
        for connection in slow:
            connection.sendall(
                b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n{"
            )
        start = time.monotonic()
        for _ in range(5):
            assert fetch(f"{live}/v1/search", {"key": "a/1.png"})[0] == 200
        assert time.monotonic() - start < 5
    finally:
        for connection in slow:
            connection.close()


def test_dropped_connections_leave_nothing_behind(live, encoder):
    body = json.dumps({"key": "a/1.png"}).encode()
    head = b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    threads = threading.active_count()
    for number in range(150):
        with connect(live) as connection:
            content = b"Content-Length: %d\r\n\r\n" % (len(body) + (number % 2))
            connection.sendall(head + content + body)
    assert fetch(f"{live}/v1/search", {"key": "a/1.png"})[0] == 200
    assert threading.active_count() <= threads


def asked(encoder) -> bytes:
    """Return the bytes of a search by image, which waits at the encoder's gate."""
    encoder.gate.clear()
    body = json.dumps({"image": base64.b64encode(png(make_images(1)[0])).decode()}).encode()
    head = b"POST /v1/search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def read_until(connection: socket.socket, answers: int) -> bytes:
    received = b""
    while received.count(b"HTTP/1.1 200") < answers or not received.rstrip().endswith(b"}"):
        data = connection.recv(65536)
        assert data, received
        received += data
    return received


def test_request_that_comes_before_last_is_answered_is_answered_next(live, encoder):
    request = asked(encoder)
    with connect(live) as connection:
        for _ in range(3):
            connection.sendall(request)
            time.sleep(0.1)
        encoder.gate.set()
        assert read_until(connection, 3).count(b'"took_ms"') == 3
        connection.sendall(request)
        assert read_until(connection, 1).count(b'"took_ms"') == 1


def test_loop_is_woken_for_next_request_of_connection(live):
    # NB: a loop that is not woken looks again after a second, or when another client comes.
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"

    def waits() -> float:
        start = time.monotonic()
        connection.sendall(request)
        read_until(connection, 1)
        return time.monotonic() - start

    with connect(live) as connection:
        slow = [seconds for seconds in (waits() for _ in range(500)) if seconds > 0.9]
    assert len(slow) <= 2


def test_loop_that_does_not_watch_connection_is_woken_for_it():
    woken = []
    channel = _Channel.__new__(_Channel)
    channel.total_outbufs_len, channel.will_close, channel.close_when_flushed = 1, False, False
    server = _ServerProxy(SimpleNamespace(pull_trigger=lambda: woken.append(True)), channel)
    assert not channel.readable()  # asked while a thread sends
    channel.total_outbufs_len = 0
    server.pull_trigger()
    assert len(woken) == 1
    assert channel.readable()
    server.pull_trigger()
    assert len(woken) == 1


def test_client_that_sends_no_more_is_answered(live, encoder):
    request = asked(encoder)
    threading.Timer(0.3, encoder.gate.set).start()
    assert b'"took_ms"' in raw(live, request)


def test_head_without_body_is_sent(live):
    head = b"HEAD /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = raw(live, head)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


def test_answer_larger_than_sockets_buffers_comes_whole(make_app):
    body = {"images": [base64.b64encode(png(make_images(1)[0])).decode()] * 3000}
    content = json.dumps(body).encode()
    head = b"POST /v1/embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(content)
    with served(make_app(max_images=3000, queue_size=3000)) as address, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        host, port = address.removeprefix("http://").split(":")
        client.connect((host, int(port)))
        client.sendall(head + content)
        time.sleep(0.5)  # the answer fills all buffers meanwhile
        received = bytearray()
        while data := client.recv(65536):
            received += data
    assert len(json.loads(received.partition(b"\r\n\r\n")[2])["vectors"]) == 3000


def test_flood_is_shed_with_503_and_served_afterwards(make_app, encoder):
    app = make_app(threads=2, queue_size=4, batch_size=4)
    with served(app) as address:
        encoder.gate.clear()
        body = {"image": base64.b64encode(png(make_images(1)[0])).decode()}
        with ThreadPoolExecutor(24) as pool:
            asked = [pool.submit(fetch, f"{address}/v1/search", body) for _ in range(24)]
            time.sleep(1.0)
            encoder.gate.set()
            statuses = [future.result()[0] for future in asked]
        assert set(statuses) <= {200, 503}
        assert statuses.count(503) >= 10
        assert statuses.count(200) >= 2
        assert fetch(f"{address}/v1/search", body)[0] == 200


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to handle")
def test_sigterm_completes_running_requests_rejects_new_ones_and_exits_with_0(start, index):
    server = start("--index", index.directory)
    process, address = server.process, server.address
    with ThreadPoolExecutor(4) as pool:
        body = {"vector": [1.0] * 16, "k": 5}
        asked = [pool.submit(fetch, f"{address}/v1/search", body) for _ in range(20)]
        asked[0].result()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        for future in asked:
            error = future.exception()
            assert isinstance(error, OSError) or future.result()[0] in (200, 503)
    with pytest.raises(OSError, match="refused"):
        fetch(f"{address}/v2/health/live")
    log = server.log()
    assert "Traceback" not in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert lines[-1]["message"] == "stopped"


def test_running_request_is_finished_when_server_stops(make_app, encoder):
    app = make_app()
    with served(app) as address, ThreadPoolExecutor(1) as pool:
        encoder.gate.clear()
        image = base64.b64encode(png(make_images(1)[0])).decode()
        running = pool.submit(fetch, f"{address}/v1/search", {"image": image})
        engine = app.extensions["pyimgret"]._engine
        until = time.monotonic() + 10
        while not app.extensions["pyimgret"]._users.get(engine) and time.monotonic() < until:
            time.sleep(0.01)
        threading.Timer(0.3, encoder.gate.set).start()
    assert running.result()[0] == 200


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_sighup_swaps_to_another_index_and_goes_back_when_it_does_not_load(start, tmp_path):
    for name, count in (("one", 3), ("two", 5)):
        with Index.create(tmp_path / name, dimension=4) as made:
            made.add([[1.0, 0, 0, n] for n in range(count)])
    link = tmp_path / "current"
    link.symlink_to("one")
    server = start("--index", link)
    process, address = server.process, server.address

    def swapped(target: str, count: int) -> bool:
        link.unlink()
        link.symlink_to(target)
        process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if fetch(f"{address}/v1/index")[1]["count"] == count:
                return True
            time.sleep(0.05)
        return False

    assert swapped("two", 5)
    assert swapped("nowhere", 5)
    time.sleep(0.5)
    assert fetch(f"{address}/v1/search", {"vector": [1.0, 0, 0, 1]})[0] == 200


def test_acknowledged_writes_survive_kill_9(start, index, tmp_path):
    key = make_key(tmp_path / "keys", "k")
    arguments = ("--index", index.directory, "--writable", "--api-key-file", tmp_path / "keys")
    server = start(*arguments)
    process, address = server.process, server.address
    acknowledged, headers = [], {"Authorization": f"Bearer {key}"}

    def write(writer: int) -> None:
        for number in range(10_000):
            body = {"vector": [1.0 + writer, *[float(number)] * 15], "key": f"{writer}/{number}"}
            try:
                status, _ = fetch(f"{address}/v1/items", body, **headers)
            except OSError:
                return
            assert status == 201
            acknowledged.append(body["key"])

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 30
    while len(acknowledged) < 40 and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert len(acknowledged) >= 40
    address = start(*arguments).address
    for name in acknowledged:
        assert fetch(f"{address}/v1/items?key={name}")[0] == 200
    assert fetch(f"{address}/v1/index")[1]["count"] >= 30 + len(acknowledged)


def test_new_api_key_prints_key_once(tmp_path):
    from click.testing import CliRunner

    from pyimgret.cli import main

    file = str(tmp_path / "keys")
    done = CliRunner().invoke(main, ["serve", "--api-key-file", file, "--new-api-key", "me"])
    assert done.exit_code == 0
    assert done.stdout.strip() not in Path(file).read_text()
    assert CliRunner().invoke(main, ["serve"]).exit_code == 2
    assert CliRunner().invoke(main, ["serve", "--new-api-key", "me"]).exit_code == 2
    nothing = CliRunner().invoke(main, ["serve", "--index", str(tmp_path / "none")])
    assert (nothing.exit_code, "contains no index" in nothing.stderr) == (1, True)
