"""Training, large encodes and single images at the same time in one process."""

from __future__ import annotations

import json
import textwrap

import pytest
from running import run

SETUP = """
import json, statistics, threading, time
import numpy as np
import pyimgret
from pyimgret.jvm import bridge
from pyimgret.datasets import load_digits

digits, labels = load_digits()
order = np.random.default_rng(0).permutation(len(digits))
digits, labels = digits[order], labels[order]

def in_thread(function):
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread

def median_seconds(call, count=40):
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
"""

BESIDE_FIT = """
# One epoch lasts as long as the process: whoever waits for its end waits for ever.
many, their_labels = np.concatenate([digits] * 100), np.concatenate([labels] * 100)
model = pyimgret.{kind}(epochs=1, verbose=False, random_state=0).fit(digits[:500], labels[:500])
expected = model.encode(digits[:1])
trained = pyimgret.{kind}(epochs=1, verbose=False, random_state=0)
fit = in_thread(lambda: trained.fit(many, their_labels))
while not hasattr(trained, "code_layer_"):
    time.sleep(0.01)
time.sleep(1)
equal = []
seconds = median_seconds(lambda: equal.append(np.array_equal(model.encode(digits[:1]), expected)))
print(json.dumps([seconds, all(equal), fit.is_alive()]))
"""

BESIDE_ENCODE = """
large = pyimgret.Autoencoder((3000, 3000), 8, epochs=1, verbose=False).fit(digits[:200])
model = pyimgret.PCA(5).fit(digits)
expected = model.encode(digits[:1])
encode = in_thread(lambda: large.encode(np.concatenate([digits] * 40)))
time.sleep(1)
equal = []
def one(model=model):
    equal.append(np.array_equal(model.encode(digits[:1]), expected))
seconds = median_seconds(one)
# With the very same model, too; and a second large encode has its turn between two pieces.
of_the_same = median_seconds(lambda: large.encode(digits[:1]), 5)
model.encode(digits)
print(json.dumps([max(seconds, of_the_same), all(equal), encode.is_alive()]))
"""


@pytest.mark.parametrize(
    "script",
    [BESIDE_FIT.format(kind="Autoencoder"), BESIDE_FIT.format(kind="ConvNet"), BESIDE_ENCODE],
    ids=["fit of an autoencoder", "fit of a convolutional network", "large encode"],
)
def test_one_image_is_encoded_while_long_call_runs(script: str) -> None:
    seconds, equal, still_running = json.loads(run(SETUP + script))
    assert equal
    assert still_running
    # 2 to 3 ms on a quiet machine (tests.benchmarks.encode_beside_fit).
    assert seconds < 0.2


def test_fits_in_two_threads_beside_encodes_give_bits_of_fits_alone() -> None:
    script = """
    from pyimgret import Network
    from pyimgret.layers import Dense, Dropout, Output
    def dense():
        layers = [Dense(64), Dropout(0.4), Dense(8), Output(784, activation="sigmoid")]
        return Network(layers, epochs=2, verbose=False, random_state=1).fit(digits[:2000])
    def stock():
        # On Deeplearning4j's own code, whose random generator belongs to the thread.
        loss = dict(loss="categorical_cross_entropy", activation="softmax")
        layers = [Dense(16, activation="tanh"), Dropout(0.3), Output(10, **loss)]
        settings = dict(optimizer="adadelta", epochs=2, verbose=False, random_state=2)
        return Network(layers, **settings).fit(digits, labels)
    kinds = (dense, stock)
    alone = [make().java_network.parameters for make in kinds]
    encoder = pyimgret.PCA(30).fit(digits)
    done = threading.Event()
    def churn():
        while not done.is_set():
            encoder.encode(digits)
            encoder.encode(digits[:1])
    others = [in_thread(churn) for _ in range(2)]
    fitted = {}
    threads = [in_thread(lambda make=make: fitted.update({make: make()})) for make in kinds]
    for thread in threads: thread.join()
    done.set()
    for thread in others: thread.join()
    print([np.array_equal(fitted[k].java_network.parameters, a) for k, a in zip(kinds, alone)])
    """
    assert run(SETUP + textwrap.dedent(script)) == "[True, True]"


def test_threads_that_encode_with_one_model_get_right_answers() -> None:
    # Layers of Deeplearning4j's own keep state while they run, graphs as well.
    script = """
    from pyimgret.jvm.graph import JavaGraph
    from pyimgret.jvm.arrays import InputShape
    from pyimgret.preprocessing.inputs import as_input
    X = digits[:600].astype(np.float32) / 255
    recurrent = pyimgret.RowNet(epochs=1, verbose=False, random_state=0).fit(X, labels[:600])
    dense = pyimgret.Autoencoder((64,), 8, epochs=1, verbose=False, random_state=0).fit(X)
    graph = JavaGraph.create({
        "seed": 0, "updater": {"type": "sgd", "learning_rate": 0.1},
        "input": {"kind": "convolutional", "height": 28, "width": 28, "channels": 1},
        "vertices": [
            {"type": "Convolution2D", "name": "maps", "n_out": 8, "kernel_size": 3,
             "activation": "relu", "inputs": ["input"]},
            {"type": "GlobalPooling", "name": "pooled", "inputs": ["maps"]},
            {"type": "Output", "name": "classes", "n_out": 3, "activation": "softmax",
             "loss": "categorical_cross_entropy", "inputs": ["pooled"]},
        ],
        "outputs": ["classes"],
    })
    def of_graph(images):
        data = as_input(images, None, InputShape("convolutional", 28, 28, 1))
        return graph.activate(data, last=1, width=8, batch_size=64)
    wrong = 0
    for encode in (recurrent.encode, dense.encode, of_graph):
        slices = [slice(start, start + size) for start in (0, 7, 100) for size in (1, 150)]
        expected = [encode(X[one]) for one in slices]
        def work():
            global wrong
            for _ in range(3):
                for one, codes in zip(slices, expected):
                    wrong += not np.allclose(encode(X[one]), codes, atol=1e-6)
        threads = [in_thread(work) for _ in range(3)]
        for thread in threads: thread.join()
    print(wrong)
    """
    assert run(SETUP + textwrap.dedent(script)) == "0"


def test_model_that_is_being_trained_reports_it_to_other_threads() -> None:
    script = """
    model = pyimgret.Autoencoder((64,), 8, epochs=40, verbose=False, random_state=0)
    fit = in_thread(lambda: model.fit(digits))
    while not hasattr(model, "code_layer_"):
        time.sleep(0.01)
    time.sleep(0.2)
    try:
        model.encode(digits[:1])
    except RuntimeError as error:
        print(error)
    print(fit.is_alive())
    fit.join()
    print(np.isfinite(model.encode(digits[:1])).all())
    """
    message, training, usable = run(SETUP + textwrap.dedent(script)).splitlines()
    assert "being trained by another thread" in message
    assert (training, usable) == ("True", "True")


def test_model_that_is_closed_while_it_encodes_answers_or_reports_it() -> None:
    script = """
    from pyimgret.exceptions import JavaCallError
    answers = []
    for number in range(12):
        model = pyimgret.PCA(20, random_state=0).fit(digits[:300])
        expected = model.encode(digits)
        started = threading.Barrier(4)
        def work():
            started.wait()
            try:
                for _ in range(20):
                    right = np.array_equal(model.encode(digits), expected)
                    answers.append("right" if right else "wrong")
            except (ValueError, JavaCallError) as error:
                answers.append("closed" if "closed" in str(error) else str(error))
        threads = [in_thread(work) for _ in range(3)]
        started.wait()
        time.sleep(number / 120)
        model.java_network.close()
        for thread in threads: thread.join()
    print(sorted(set(answers)), answers.count("closed"), bridge().call("openHandles"))
    """
    assert run(SETUP + textwrap.dedent(script)) == "['closed', 'right'] 36 0"


def test_network_that_is_closed_while_it_trains_stays_until_epoch_is_over() -> None:
    script = """
    model = pyimgret.Autoencoder((64,), 8, epochs=1000, verbose=False, random_state=0)
    raised = []
    def fit():
        try:
            model.fit(digits, X_val=digits[:50])
        except BaseException as error:
            raised.append(error)
    thread = in_thread(fit)
    while not hasattr(model, "code_layer_"):
        time.sleep(0.01)
    time.sleep(0.3)
    model.java_network.close()
    time.sleep(0.5)
    print(thread.is_alive() or isinstance(raised[0], ValueError))
    """
    assert run(SETUP + textwrap.dedent(script)) == "True"


def test_error_while_polling_stops_epoch_and_is_raised_by_fit() -> None:
    script = """
    from pyimgret.training import loop
    class Bar:
        n = 0
        def __enter__(self): return self
        def __exit__(self, *error): pass
        def update(self, n):
            self.n += n
            if self.n > 3: raise ZeroDivisionError("from the bar")
        def set_postfix(self, values): pass
    usual = loop.progress_bar
    loop.progress_bar = lambda *arguments, **options: Bar()
    many = np.concatenate([digits] * 100)
    model = pyimgret.Autoencoder(epochs=1, random_state=0)
    try:
        model.fit(many)
    except ZeroDivisionError as error:
        print(error)
    # The training thread is free: another fit does not wait for the rest of the epoch.
    loop.progress_bar = usual
    start = time.monotonic()
    pyimgret.Autoencoder((16,), 4, epochs=1, verbose=False).fit(digits[:200])
    print(time.monotonic() - start < 10, np.isfinite(model.encode(digits[:5])).all())
    """
    assert run(SETUP + textwrap.dedent(script)) == "from the bar\nTrue True"


def test_ctrl_c_during_start_leaves_jvm_that_can_be_used() -> None:
    script = """
    import os, signal
    signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        bridge().start()
        print("started")
    except KeyboardInterrupt:
        print("interrupted")
    timer.join()
    print(bridge().call("openHandles"))
    """
    assert run(SETUP + textwrap.dedent(script)) == "interrupted\n0"


def test_fit_that_waits_for_another_one_is_interrupted_at_once() -> None:
    script = """
    import os, signal
    signal.signal(signal.SIGINT, signal.default_int_handler)
    many = np.concatenate([digits] * 100)
    first = pyimgret.Autoencoder(epochs=1, verbose=False, random_state=0)
    fit = in_thread(lambda: first.fit(many))
    while not hasattr(first, "code_layer_"):
        time.sleep(0.01)
    time.sleep(0.5)
    pressed = []
    def press():
        time.sleep(1)
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    in_thread(press)
    second = pyimgret.Autoencoder((16,), 4, epochs=1, verbose=False)
    try:
        second.fit(digits)
    except KeyboardInterrupt:
        print(time.monotonic() - pressed[0] < 1, fit.is_alive())
    print(np.isfinite(second.encode(digits[:5])).all())
    """
    assert run(SETUP + textwrap.dedent(script)) == "True True\nTrue"
