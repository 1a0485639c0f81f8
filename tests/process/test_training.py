"""Training that is interrupted: by Ctrl-C, by kill -9, by a full disk."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from running import run, start

CORRUPTION = """
import sys
import numpy as np
from pyimgret import DenoisingAutoencoder
X = (np.random.default_rng(0).random((1500, 12, 12)) * 255).astype(np.uint8)
checkpoint, out = sys.argv[1:3]
settings = dict(epochs=8, batch_size=32, random_state=0, verbose=False)
model = DenoisingAutoencoder((64, 32), 6, checkpoint=checkpoint or None, **settings)
model.fit(X, X_val=X[:200])
state = model.java_network.training_state()
np.savez(out, **state, loss=model.history_["loss"], val_loss=model.history_["val_loss"])
"""

DROPOUT = """
import sys
import numpy as np
from pyimgret import Network
from pyimgret.layers import Dense, Dropout, Output
X = np.random.default_rng(0).random((1500, 64), dtype=np.float32)
checkpoint, out = sys.argv[1:3]
layers = [Dense(64, activation="relu"), Dropout(0.4), Dense(8), Output(64, activation="sigmoid")]
settings = dict(epochs=8, batch_size=16, random_state=1, verbose=False)
model = Network(layers, checkpoint=checkpoint or None, **settings).fit(X)
np.savez(out, **model.java_network.training_state(), loss=model.history_["loss"])
"""

CONVOLUTION = """
import sys
import numpy as np
from pyimgret import Network
from pyimgret.layers import BatchNormalization, Convolution2D, Dense, Dropout, Output, Pooling2D
rng = np.random.default_rng(0)
X, y = (rng.random((900, 14, 14)) * 255).astype(np.uint8), rng.integers(0, 3, 900)
checkpoint, out = sys.argv[1:3]
layers = [
    Convolution2D(6, 3, activation="relu"), BatchNormalization(), Pooling2D(),
    Dense(20, activation="relu"), Dropout(0.5),
    Output(3, loss="categorical_cross_entropy", activation="softmax"),
]
settings = dict(input="convolutional", epochs=8, batch_size=16, random_state=1, verbose=False)
model = Network(layers, checkpoint=checkpoint or None, **settings).fit(X, y)
np.savez(out, **model.java_network.training_state(), loss=model.history_["loss"])
"""


def kill_after(script: str, folder: Path, changes: int, out: Path) -> None:
    """Kill a run with -9 after the checkpoint was written so often, wherever it then is."""
    process = start(script, folder, out)
    checkpoint = folder / "training.npz"
    seen = {checkpoint.stat().st_mtime_ns} if checkpoint.exists() else set()
    deadline = time.monotonic() + 120
    wanted = len(seen) + changes
    try:
        while len(seen) < wanted and process.poll() is None:
            assert time.monotonic() < deadline
            if checkpoint.exists():
                seen.add(checkpoint.stat().st_mtime_ns)
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait()
        process.communicate()
    assert not out.exists(), "the run was over before it was killed"


@pytest.mark.parametrize(
    "script", [CORRUPTION, DROPOUT, CONVOLUTION], ids=["corruption", "dropout", "convolution"]
)
def test_killed_run_that_resumes_equals_one_that_was_not(script: str, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.npz", tmp_path / "parts.npz"
    run(script, "", whole)
    checkpoint = tmp_path / "run"
    for changes in (2, 1):
        kill_after(script, checkpoint, changes, parts)
    run(script, checkpoint, parts)
    with np.load(whole) as expected, np.load(parts) as got:
        assert set(expected) == set(got)
        for name in expected:
            assert np.array_equal(expected[name], got[name]), name


def test_ctrl_c_stops_within_two_seconds_and_leaves_usable_model(tmp_path: Path) -> None:
    script = """
    import signal, sys, threading, time
    import numpy as np
    import pyimgret
    # Background jobs of a shell, and their children, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    X = np.random.default_rng(0).random((4000, 400), dtype=np.float32)
    model = pyimgret.Autoencoder((200,), 10, epochs=100000, random_state=0, verbose=False)

    def tell():
        # Training is under way once there is a history to look at.
        while not getattr(model, "history_", None) and not hasattr(model, "code_layer_"):
            time.sleep(0.01)
        print("training", flush=True)

    threading.Thread(target=tell, daemon=True).start()
    try:
        model.fit(X)
    except KeyboardInterrupt:
        ended = time.time()
        model.save(sys.argv[1])
        same = np.array_equal(pyimgret.load(sys.argv[1]).encode(X), model.encode(X))
        print(ended, same, np.isfinite(model.encode(X)).all())
    """
    process = start(script, tmp_path / "model.zip")
    try:
        assert process.stdout
        assert process.stdout.readline() == "training\n"
        time.sleep(1.5)
        pressed = time.time()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    ended, same, finite = out.split()
    assert float(ended) - pressed < 2
    assert (same, finite) == ("True", "True")


def test_another_runs_checkpoint_is_rejected(tmp_path: Path) -> None:
    script = """
    import sys
    import numpy as np
    from pyimgret import Autoencoder
    from pyimgret.exceptions import ModelFormatError
    X = np.random.default_rng(0).random((100, 30), dtype=np.float32)
    settings = dict(
        hidden_sizes=(8,), code_size=2, epochs=2, verbose=False, checkpoint=sys.argv[1]
    )
    Autoencoder(**settings, random_state=0).fit(X)
    for model, data in [(Autoencoder(**settings, random_state=1), X),
                        (Autoencoder(**settings, random_state=0), X[:99])]:
        try:
            model.fit(data)
        except ModelFormatError as error:
            print("other settings or other data" in str(error))
    open(sys.argv[1] + "/training.npz", "r+b").truncate(500)
    try:
        Autoencoder(**settings, random_state=0).fit(X)
    except ModelFormatError as error:
        print("cannot be read" in str(error))
    """
    assert run(script, tmp_path / "run") == "True\nTrue\nTrue"


SAVE = """
import sys
import numpy as np
import pyimgret
X = np.random.default_rng(0).random((300, 784), dtype=np.float32)
models = [pyimgret.PCA(n, random_state=0).fit(X) for n in (40, 80)]
while True:
    for model in models:
        model.save(sys.argv[1])
        print("saved", flush=True)
"""


def test_kills_while_saving_leave_old_file_or_new(tmp_path: Path) -> None:
    target = tmp_path / "model.zip"
    for pause in (0.05, 0.13, 0.31):
        process = start(SAVE, target)
        try:
            assert process.stdout
            assert process.stdout.readline() == "saved\n"
            time.sleep(pause)
        finally:
            process.kill()
            process.wait()
            process.communicate()
        check = "import sys, pyimgret; print(pyimgret.load(sys.argv[1]).embedding_size)"
        assert run(check, target) in {"40", "80"}


def test_full_disk_leaves_old_file(tmp_path: Path) -> None:
    script = """
    import os, resource, signal, sys
    import numpy as np
    import pyimgret
    from pyimgret.exceptions import PyimgretError
    X = np.random.default_rng(0).random((300, 784), dtype=np.float32)
    pyimgret.PCA(3, random_state=0).fit(X).save(sys.argv[1])
    large = pyimgret.PCA(250, random_state=0).fit(X)
    # A limit on a file's size fails in the middle of writing, as a full disk does.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        large.save(sys.argv[1])
    except (OSError, PyimgretError):
        left = os.listdir(os.path.dirname(sys.argv[1]))
        print(pyimgret.load(sys.argv[1]).embedding_size, left)
    """
    assert run(script, tmp_path / "model.zip") == "3 ['model.zip']"


@pytest.mark.skipif(os.name != "posix", reason="a user without rights, as POSIX has it")
def test_folder_that_cannot_be_written_leaves_old_file(tmp_path: Path) -> None:
    script = """
    import os, sys
    import numpy as np
    import pyimgret
    X = np.random.default_rng(0).random((300, 784), dtype=np.float32)
    pyimgret.PCA(3, random_state=0).fit(X).save(sys.argv[1])
    other = pyimgret.PCA(4, random_state=0).fit(X)
    folder = os.path.dirname(sys.argv[1])
    os.chmod(folder, 0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may write wherever he likes
    try:
        other.save(sys.argv[1])
    except PermissionError as error:
        os.seteuid(user)
        print(pyimgret.load(sys.argv[1]).embedding_size, os.listdir(folder))
    """
    (tmp_path / "kept").mkdir()
    assert run(script, tmp_path / "kept" / "model.zip") == "3 ['model.zip']"


def test_divergence_keeps_last_good_checkpoint(tmp_path: Path) -> None:
    script = """
    import sys
    import numpy as np
    from pyimgret import Network
    from pyimgret.exceptions import TrainingError
    from pyimgret.layers import Dense, Output
    X = np.random.default_rng(0).random((64, 20), dtype=np.float32)
    # An iteration an epoch, each step too long: the loss grows from epoch to epoch.
    settings = dict(batch_size=64, epochs=100, optimizer="sgd", learning_rate=3.0, random_state=0)
    net = Network([Dense(8), Output(20)], checkpoint=sys.argv[1], verbose=False, **settings)
    try:
        net.fit(X)
    except TrainingError as error:
        with np.load(sys.argv[1] + "/training.npz") as state:
            finite = all(np.isfinite(state[n]).all() for n in state.files if n != "notes")
            print(int(state["iteration"]) == len(net.history_["loss"]) > 1, finite)
        print(f"in epoch {len(net.history_['loss']) + 1} " in str(error))
    """
    assert run(script, tmp_path / "run") == "True True\nTrue"


def test_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    script = """
    import sys
    import numpy as np
    import pyimgret
    model = pyimgret.PCA(2).fit(np.random.default_rng(0).random((9, 5)))
    try:
        model.save(sys.argv[1] + "/none/model.zip")
    except FileNotFoundError as error:
        print("does not exist; create it first" in str(error))
    """
    assert run(script, tmp_path) == "True"
