"""Micro-batches: together when busy, at once when alone, refused when full."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from server_fakes import make_images, png, upload

from pyimgret_server.batcher import Batcher
from pyimgret_server.problems import ProblemError


@pytest.fixture
def gate():
    return threading.Event()


@pytest.fixture
def make(gate):
    """Make batchers that double numbers, once the gate is open."""
    batchers = []

    def compute(numbers):
        assert gate.wait(10)
        if "bad" in numbers:
            raise ValueError("bad")
        return [2 * number for number in numbers]

    def make(**options):
        sizes = []
        batchers.append(
            Batcher(
                compute,
                name="test",
                observe=lambda size, _: sizes.append(size),
                **{"size": 8, "wait": 0.0, "queue_size": 20, **options},
            )
        )
        return batchers[-1], sizes

    yield make
    gate.set()
    for batcher in batchers:
        batcher.close()


def test_requests_that_arrive_during_a_batch_form_the_next_batch(make, gate):
    batcher, sizes = make()
    futures = [batcher.submit(0)]
    while batcher.depth:
        time.sleep(0.001)
    futures += [batcher.submit(n) for n in range(1, 20)]
    gate.set()
    assert [future.result(5) for future in futures] == [2 * n for n in range(20)]
    assert sizes == [1, 8, 8, 3]


def test_full_queue_is_503_with_retry_after(make, gate):
    batcher, _ = make(queue_size=3, size=1)
    first = batcher.submit(0)
    while batcher.depth:
        time.sleep(0.001)
    waiting = [batcher.submit(n) for n in range(3)]
    with pytest.raises(ProblemError) as caught:
        batcher.submit(9)
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "1")
    gate.set()
    assert [f.result(5) for f in (first, *waiting)] == [0, 0, 2, 4]


def test_one_bad_request_does_not_cost_others_their_answer(make, gate):
    batcher, _ = make()
    futures = [batcher.submit(n) for n in (1, "bad", 3)]
    gate.set()
    assert (futures[0].result(5), futures[2].result(5)) == (2, 6)
    with pytest.raises(ValueError, match="bad"):
        futures[1].result(5)


def test_request_that_was_given_up_is_not_computed(make, gate):
    batcher, _ = make()
    batcher.submit(0)
    while batcher.depth:
        time.sleep(0.001)
    given_up, kept = batcher.submit("bad"), batcher.submit(4)
    assert given_up.cancel()
    gate.set()
    assert kept.result(5) == 8


def test_batch_waits_for_announced_requests(make, gate):
    gate.set()
    batcher, sizes = make(wait=5.0, size=2)
    with batcher.expecting():
        first = batcher.submit(1)
        time.sleep(0.05)
        assert not first.done()
        second = batcher.submit(2)
    assert (first.result(5), second.result(5), sizes) == (2, 4, [2])


def test_wait_has_end(make, gate):
    gate.set()
    batcher, _ = make(wait=0.02)
    with batcher.expecting():
        assert batcher.submit(1).result(5) == 2


def test_wait_begins_with_first_request_though_others_resume_coming(make, gate):
    gate.set()
    batcher, _ = make(wait=0.02)
    with batcher.expecting():
        with batcher.expecting():
            first = batcher.submit(1)
        assert first.result(5) == 2


def test_exception_among_results_is_one_requests_own():
    def compute(numbers):
        return [ValueError("odd") if number % 2 else number for number in numbers]

    batcher = Batcher(compute, size=8, wait=0.0, queue_size=8, name="test")
    futures = [batcher.submit(number) for number in range(4)]
    assert (futures[0].result(5), futures[2].result(5)) == (0, 2)
    for odd in futures[1::2]:
        with pytest.raises(ValueError, match="odd"):
            odd.result(5)
    batcher.close()


def test_close_completes_queued_requests_and_rejects_new_ones(make, gate):
    batcher, _ = make()
    futures = [batcher.submit(n) for n in range(12)]
    gate.set()
    batcher.close()
    assert [future.result(0) for future in futures] == [2 * n for n in range(12)]
    with pytest.raises(ProblemError):
        batcher.submit(1)


def test_concurrent_queries_are_encoded_together(make_app, encoder, index):
    app = make_app()
    encoder.batches.clear()
    encoder.gate.clear()
    images = [png(image) for image in make_images(12, seed=2)]

    def ask(image):
        return app.test_client().post("/v1/search", data=upload(image, k=3)).get_json()

    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask, image) for image in images]
        engine = app.extensions["pyimgret"]._engine
        until = time.monotonic() + 10
        # The worker has taken a first batch, and waits at the gate; the others pile up behind.
        while engine._encoding.depth < 8 and time.monotonic() < until:
            time.sleep(0.005)
        encoder.gate.set()
        answers = [future.result() for future in asked]
    assert sum(encoder.batches) == 12
    assert len(encoder.batches) <= 4
    for image, answer in zip(images, answers, strict=True):
        expected = index.search(image, k=3)
        assert [m["key"] for m in answer["matches"]] == expected.keys


def test_request_that_waits_too_long_is_503(make_app, encoder):
    client = make_app(timeout=0.05).test_client()
    encoder.gate.clear()
    answer = client.post("/v1/search", data=upload(png(make_images(1)[0])))
    encoder.gate.set()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
