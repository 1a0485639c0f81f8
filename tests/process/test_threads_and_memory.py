"""Many threads, many rounds: right answers, and nothing is left behind."""

from __future__ import annotations

import json

import pytest
from running import run

THREADS = """
import json, threading
import numpy as np
from pyimgret import PCA
from pyimgret.jvm import bridge

X = np.random.default_rng(0).random((64, 50), dtype=np.float32)
model = PCA(5, random_state=0).fit(X)
expected = [model.encode(X[i : i + 2]) for i in range(60)]
before = json.loads(bridge().call("info"))["java_threads"]
wrong = []

def work(i):
    if not np.array_equal(model.encode(X[i % 60 : i % 60 + 2]), expected[i % 60]):
        wrong.append(i)

for start in range(0, 1000, 50):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(start, start + 50)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
after = json.loads(bridge().call("info"))
print(json.dumps([len(wrong), after["java_threads"] - before, after["open_handles"]]))
"""


def test_thousand_short_lived_threads_leave_no_thread_and_mix_up_nothing() -> None:
    wrong, more_threads, handles = json.loads(run(THREADS))
    assert wrong == 0
    assert more_threads <= 1  # the JVM's own compiler threads come and go
    assert handles == 1


MEMORY = """
import gc, json, sys
import numpy as np
from pyimgret import Autoencoder
from pyimgret.jvm import bridge

def resident():
    gc.collect()
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) // 1024

fits, encodes = int(sys.argv[1]), int(sys.argv[2])
X = np.random.default_rng(0).random((2000, 400), dtype=np.float32)
settings = dict(hidden_sizes=(512,), code_size=8, epochs=1, verbose=False, random_state=0)
model = Autoencoder(**settings).fit(X)

def rounds(count, action):
    for _ in range(count): action()

def fit():
    global model
    model = Autoencoder(**settings).fit(X)

def fit_and_encode():
    rounds(fits, fit); rounds(encodes, lambda: model.encode(X))

# Heap, code cache and the allocator's pools fill first, one for each of the trainers' threads,
# and shrink again; what grows after that is a leak.
rounds(2, fit_and_encode)
first = resident()
rounds(3, fit_and_encode)
bridge().call("openHandles")
print(json.dumps([first, resident(), bridge().call("openHandles")]))
"""


@pytest.mark.parametrize(
    ("fits", "encodes"), [(12, 60), pytest.param(50, 200, marks=pytest.mark.slow)]
)
def test_memory_is_flat_and_handles_are_given_back(fits: int, encodes: int) -> None:
    # A small heap: its growth to the limit is no leak.
    limits = {"PYIMGRET_HEAP": "64", "PYIMGRET_OFF_HEAP": "512"}
    first, last, handles = json.loads(run(MEMORY, fits, encodes, timeout=1200, **limits))
    assert handles == 1
    # A round of fit holds 10 MB of weights, gradients and updater state: a leak would show.
    assert last - first < 60


def test_allocation_beyond_limit_says_limit_and_how_to_raise_it() -> None:
    script = """
    import numpy as np
    from pyimgret import Network
    from pyimgret.exceptions import JavaCallError
    from pyimgret.layers import Dense, Output
    X = np.zeros((4, 20000), np.float32)
    layers = [Dense(9000), Output(2, activation="sigmoid")]
    try:
        Network(layers, verbose=False).fit(X, X[:, :2])
    except JavaCallError as error:
        print(error)
    """
    message = run(script, PYIMGRET_OFF_HEAP="256", PYIMGRET_HEAP="256")
    assert "256m outside it" in message
    assert "PYIMGRET_OFF_HEAP" in message


def test_array_that_is_collected_during_call_is_still_read() -> None:
    script = """
    import gc, threading
    import numpy as np
    from pyimgret import PCA
    X = np.random.default_rng(0).random((3000, 400), dtype=np.float32)
    model = PCA(20, random_state=0).fit(X)
    expected = model.encode(X)
    wrong = 0
    stop = threading.Event()
    def churn():
        while not stop.is_set():
            np.full((3000, 400), np.nan, np.float32); gc.collect()
    thread = threading.Thread(target=churn); thread.start()
    for _ in range(30):
        wrong += not np.array_equal(model.encode(X.copy()), expected)
    stop.set(); thread.join()
    print(wrong)
    """
    assert run(script) == "0"
