"""Ctrl-C in `pyimgret train`, and README's first lines of Python."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
from running import ROOT, run, start

TRAIN = """
import sys
from pyimgret.cli import main
main(["train", "--digits", "--hidden-sizes", "16", "--code-size", "4", *sys.argv[1:]])
"""
LOAD = """
import sys
import pyimgret
model = pyimgret.load(sys.argv[1])
print(type(model).__name__, model.encode(pyimgret.datasets.load_digits()[0][:3]).shape)
"""


def interrupt_when(path: Path, *arguments: object) -> tuple[int, str, str]:
    """Train, and press Ctrl-C as soon as a file is there."""
    process = start(TRAIN, *arguments)
    try:
        until = time.monotonic() + 120
        while not path.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return process.returncode, out, err


def test_ctrl_c_saves_model_and_explains_how_to_resume(tmp_path: Path) -> None:
    out, checkpoint = tmp_path / "ae.zip", tmp_path / "run"
    settings = ("--epochs", 2000, "--seed", 0, "--checkpoint", checkpoint, "--out", out)
    code, printed, error = interrupt_when(checkpoint / "training.npz", *settings)
    assert (code, printed) == (130, ""), error
    said = re.fullmatch(
        rf"pyimgret: interrupted: {out} contains the model after (\d+) of 2000 epochs; "
        rf"the same command resumes from {checkpoint}\n",
        error,
    )
    assert said, error
    assert 1 <= int(said[1]) < 2000
    assert run(LOAD, out) == "Autoencoder (3, 4)"


def test_ctrl_c_between_pretraining_and_model_says_that_nothing_is_saved(tmp_path: Path) -> None:
    out, checkpoint = tmp_path / "deep.zip", tmp_path / "run"
    settings = ("--rbm-epochs", 2000, "--seed", 0, "--checkpoint", checkpoint, "--out", out)
    code, _, error = interrupt_when(
        checkpoint / "rbm_1.npz", "--model", "deep-autoencoder", *settings
    )
    assert code == 130
    assert error == (
        "pyimgret: interrupted: there was no model to save yet; the same command "
        f"resumes from {checkpoint}\n"
    )
    assert not out.exists()


def test_public_modules_are_there_without_import_and_nothing_starts() -> None:
    script = """
    import sys, threading
    import pyimgret
    names = ["datasets", "evaluation", "exceptions", "explain", "index", "layers", "models",
             "preprocessing", "pretrained", "rbm", "spark", "training", "visualization"]
    print(set(names) <= set(dir(pyimgret)), "numpy" in sys.modules)
    print([name for name in names if getattr(pyimgret, name).__name__ != f"pyimgret.{name}"])
    print(callable(pyimgret.pretrained.mobilenet_v2), pyimgret.Index is pyimgret.index.Index)
    print(hasattr(pyimgret, "nonsense"), hasattr(pyimgret, "_jvm_nonsense"))
    print(sorted({"jnius", "matplotlib"} & sys.modules.keys()), threading.active_count())
    """
    assert run(script).splitlines() == ["True False", "[]", "True True", "False False", "[] 1"]


def test_first_lines_of_python_in_readme_can_be_run_twice(tmp_path, monkeypatch) -> None:
    text = (ROOT / "README.md").read_text()
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert block is not None
    assert "Index.create(" in block[1]
    monkeypatch.chdir(tmp_path)
    first, second = run(block[1]), run(block[1])
    assert first == second
    assert first.splitlines()[0] == "digit-0 1.0"


@pytest.mark.parametrize("kind", ["ConvNet", "RowNet", "ConvAutoencoder"])
def test_every_network_resumes_from_its_checkpoint(kind: str, tmp_path: Path) -> None:
    script = """
    import sys
    import numpy as np
    import pyimgret
    kind, folder = sys.argv[1:]
    images, labels = pyimgret.datasets.load_digits()
    X, y = images[::50], labels[::50]
    settings = {"epochs": 4, "random_state": 0, "verbose": False}
    small = {"ConvNet": {"channels": (2,), "dense_size": 8}, "RowNet": {"hidden_size": 4},
             "ConvAutoencoder": {"channels": (2,)}}[kind] | settings
    make = getattr(pyimgret, kind)
    whole = make(**small).fit(X, y)

    class Stop(BaseException):
        pass

    from pyimgret.training import checkpoints
    write, done = checkpoints.Checkpoints.write, []
    def stopping(self, *arguments):
        write(self, *arguments)
        done.append(1)
        if len(done) == 2:
            raise Stop
    checkpoints.Checkpoints.write = stopping
    try:
        make(**small, checkpoint=folder).fit(X, y)
    except Stop:
        pass
    resumed = make(**small, checkpoint=folder).fit(X, y)
    print(len(done), np.array_equal(whole.encode(X), resumed.encode(X)))
    """
    assert run(script, kind, tmp_path / "run") == "4 True"
