"""No option is swallowed: it is used, or refused by name; and destinations are checked first."""

from __future__ import annotations

import functools
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from running import run as run_script
from running import start

import pyimgret
from pyimgret.cli import COMMANDS, main
from pyimgret.cli.models import MODELS, SETTINGS
from pyimgret.cli.options import Dependent
from pyimgret.cli.pretrained import NAMES
from pyimgret.cli.train import train
from pyimgret.files.atomic import check_folder
from pyimgret.index import Index
from pyimgret.preprocessing import Preprocessor

KINDS = [*(("--model", kind) for kind in MODELS), *(("--pretrained", name) for name in NAMES)]
VALUES = {
    "size": ("9",),
    "mode": ("L",),
    "code_size": ("7",),
    "hidden_sizes": ("5,4",),
    "epochs": ("3",),
    "rbm_epochs": ("2",),
    "checkpoint": ("run", "--seed", "1"),
    "batch_size": ("6",),
    "learning_rate": ("0.5",),
    "validation": ("0.5", "--seed", "1"),
    "patience": ("2", "--validation", "0.5", "--seed", "1"),
    "seed": ("2",),
    "freeze": ("stem", "--pretrained", "mobilenet_v2"),
    "weights": ("w.pth", "--pretrained", "mobilenet_v2"),
}
"""Option of `train` -> a value, and the options without which it is none."""


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


class SeenError(Exception):
    """What reached the model instead of being trained on."""


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Return what an estimator and its training get from a command line, or None."""
    monkeypatch.chdir(tmp_path)
    for number in range(8):
        path = tmp_path / "images" / f"class {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 30 * number, np.uint8)).save(path)
    loaded: list[object] = []

    class Base:
        preprocessor = Preprocessor("RGB", 8, 8)

    @functools.wraps(pyimgret.pretrained.load)
    def load(name: str, weights: object = None) -> Base:
        loaded.append(weights)
        return Base()

    monkeypatch.setattr(pyimgret.pretrained, "load", load)
    monkeypatch.setattr(pyimgret.pretrained, "cached_features", lambda *_, layer: layer)

    def spy(original: Any) -> Any:
        @functools.wraps(original)
        def fit(self: Any, *data: Any, **validation: Any) -> None:
            shapes = [np.shape(one) for one in (*data, *validation.values())]
            raise SeenError(repr((sorted(self.get_params().items()), shapes, loaded)))

        return fit

    for name in (
        "Autoencoder",
        "DenoisingAutoencoder",
        "DeepAutoencoder",
        "PCA",
        "SVD",
        "FineTunedNetwork",
    ):
        model_class = getattr(pyimgret, name)
        monkeypatch.setattr(model_class, "fit", spy(model_class.fit))

    def call(*arguments: str) -> tuple[str | None, Any]:
        loaded.clear()
        result = invoke("--debug", "train", "--images", "images", "--out", "x.zip", *arguments)
        return str(result.exception) if isinstance(result.exception, SeenError) else None, result

    return call


def test_settings_table_covers_all_options_of_train_but_source_and_output():
    others = {"kind", "pretrained", "digits", "images", "idx", "strict", "out", "as_json", "hidden"}
    names = {parameter.name for parameter in train.params if parameter.name != "debug"}
    assert names - others == set(SETTINGS) == set(VALUES)


@pytest.mark.parametrize("option", SETTINGS)
@pytest.mark.parametrize("model", KINDS, ids=lambda model: model[1])
def test_train_uses_every_option_or_rejects_it(seen, model, option):
    value, *needed = VALUES[option]
    if "--pretrained" in needed:
        if model[0] == "--model":  # another refusal comes first: both may not be given
            _, result = seen(*model, f"--{option}", value)
            assert (result.exit_code, option in result.stderr) == (2, True)
            return
        needed = []
    name = f"--{option.replace('_', '-')}"
    without, _ = seen(*model, *needed)
    used, result = seen(*model, name, value, *needed)
    if used is None:
        assert result.exit_code == 2
        assert f"{name} cannot be used with {' '.join(model)} (only with " in result.stderr
    else:
        assert used != without


@pytest.mark.parametrize("source", [("--digits",), ("--idx", "x"), ()])
def test_pretrained_network_learns_from_folders_only(source):
    images = ("--images", ".") if source else ("--digits",)
    result = invoke("train", "--pretrained", "mobilenet_v2", *images, *source, "--out", "x.zip")
    assert result.exit_code == 2
    assert "can only be trained on the class folders of --images DIR" in result.stderr


def test_refusal_names_models_that_take_option(seen):
    _, result = seen("--model", "pca", "--patience", "2", "--validation", "0.5")
    assert "--validation cannot be used with --model pca (only with autoencoder, " in result.stderr
    takers = "(only with autoencoder, deep-autoencoder, denoising)"
    assert f"--patience cannot be used with --model pca {takers}." in result.stderr


def commands(group: Any = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield all commands, with their names as they are typed."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands())
DEPENDENT = [
    (name, option)
    for name, command in ALL.items()
    for option in command.params
    if isinstance(option, Dependent)
]


def spelled(command: click.Command, condition: str) -> list[str]:
    """Return an option of a condition as it is typed, with a value."""
    name, _, value = condition.partition("=")
    parameter = next(one for one in command.params if one.name == name)
    flag = getattr(parameter, "is_flag", False)
    return [parameter.opts[0]] if flag else [parameter.opts[0], value or "1"]


@pytest.mark.parametrize(
    ("name", "option"), DEPENDENT, ids=lambda part: getattr(part, "name", part)
)
def test_option_without_effect_is_rejected(name, option):
    command = ALL[name]
    given = spelled(command, option.name)
    if option.needs:
        wrong = ["--kind", "int8"] if option.needs == ["kind=hnsw"] else []
        result = invoke(*name.split(), *given, *wrong)
        assert result.exit_code == 2
        wanted = [spelled(command, other)[0] for other in option.needs]
        assert f"{given[0]} does nothing without {' or '.join(wanted)}" in result.stderr
    needed = spelled(command, option.needs[0]) if option.needs else []
    for other in option.without:
        named = spelled(command, other)
        result = invoke(*name.split(), *given, *needed, *named)
        assert result.exit_code == 2
        assert f"{given[0]} does nothing with {named[0]}" in result.stderr


@pytest.mark.parametrize(
    "line",
    [
        "train --digits --out x.zip --freeze block16",
        "train --digits --out x.zip --weights w.pth",
        "train --pretrained mobilenet_v2 --model pca --images . --out x.zip",
        "train --digits --out x.zip --patience 3",
        "evaluate --model a.zip --digits --flip",
        "evaluate --model a.zip --digits --seed 3",
        "evaluate --model a.zip --digits --noise --per-class",
        "evaluate --model a.zip --digits --noise --augment-database 3",
        "evaluate --model a.zip --digits --noise --pretrained mobilenet_v2",
        "plot embedding --model a.zip --digits --labels x --out x.png",
        "search --index i --collection c --key k",
        "search --milvus m.db --key k --model a.zip",
        "search --milvus m.db --key k --method exact",
        "search --index i --key k --explain x.png",
        "index build --index i --kind int8 --connectivity 8",
        "index build --index i --kind exact --construction 64",
        "index build --index i --kind binary --expansion 64",
        "index export --index i --collection c all.npy",
        "index export --index i --milvus m.db --salvage",
        "index import --index i --collection c .",
        "index import --milvus m.db --model a.zip .",
        "index sync --index i -v --json .",
        "spark train --master m --array a --out x.zip --start {file} --code-size 3",
        "spark train --master m --images i --out x.zip --start {file} --size 3",
        "spark train --master m --images i --out x.zip --start {file} --model denoising",
        "serve --index i --api-key-file keys",
        "serve --index i --api-key-file keys --new-api-key me",
    ],
)
def test_no_command_ignores_option(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    result = invoke(*line.format(file="file").split())
    assert result.exit_code == 2, result.output
    assert re.search("does nothing with|cannot be used with", result.stderr)


# -- where a command writes ----------------------------------------------------------

DESTINATIONS = [
    "train --digits --out {}/x.zip",
    "train --digits --seed 0 --checkpoint {}/run --out x.zip",
    "train --pretrained mobilenet_v2 --images . --out {}/x.zip",
    "embed --model m.zip --digits --out {}/x.npz",
    "evaluate --noise --model m.zip --digits --out {}/x.png",
    "plot weights --model m.zip --out {}/x.png",
    "plot history --model m.zip --out {}/x.png",
    "plot reconstructions --model m.zip --digits --out {}/x.svg",
    "plot embedding --model m.zip --digits --out {}/x.pdf",
    "plot confusion --model m.zip --digits --out {}/x.png",
    "plot matches --index i q.png --out {}/x.png",
    "search --index i . --explain {}/x.png",
    "demo --out {}/demo",
    "index publish --index i {}/copy",
    "index export --index i {}/all.npy",
    "spark train --master m --array a --out {}/x.zip",
]


@pytest.mark.parametrize("line", DESTINATIONS)
def test_destination_below_file_is_rejected_at_once(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    result = invoke(*line.format("file").split())
    assert result.exit_code == 2, result.output
    assert "cannot write" in result.stderr
    assert "file: Not a directory" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("model", ["--model gone.zip", "--pretrained mobilenet_v2 --weights gone"])
def test_new_index_that_cannot_be_made_is_rejected_before_model_is_read(model, tmp_path):
    (tmp_path / "file").touch()
    result = invoke("index", "add", "--index", tmp_path / "file/idx", *model.split(), tmp_path)
    assert result.exit_code == 1
    assert result.stderr == f"pyimgret: {tmp_path / 'file'}: Not a directory\n"


@pytest.mark.parametrize("line", [one for one in DESTINATIONS if "{}/x" in one])
def test_folder_that_is_missing_is_named(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke(*line.format("no/such").split())
    assert result.exit_code == 2
    assert "no/such: does not exist; create it first" in result.stderr


def test_output_folder_may_be_missing(tmp_path):
    check_folder(tmp_path / "no" / "such")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "endings"),
    [
        ("plot embedding --model m.zip --digits --out x.xyz", (".png", ".svg", ".pdf")),
        ("plot weights --model m.zip --out x", (".png",)),
        ("evaluate --noise --model m.zip --digits --out x.doc", (".png",)),
        ("search --index i . --explain x.bmp", (".png",)),
        ("embed --model m.zip --digits --out x.csv", (".npy or .npz",)),
        ("index export --index i x.csv", (".parquet or .npy",)),
    ],
)
def test_format_that_cannot_be_written_is_rejected_with_those_that_can(line, endings):
    result = invoke(*line.split())
    assert result.exit_code == 2
    assert all(ending in result.stderr for ending in endings)


def test_folder_without_permission_is_rejected_at_once(tmp_path):
    # NB: root may write wherever he likes, so the command runs as a user who may not.
    script = """
    import os, sys, tempfile
    from click.testing import CliRunner
    import pyimgret.visualization.style, pyimgret.cli.train, pyimgret.files.atomic
    import matplotlib.figure
    from pyimgret.cli import main
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        child = os.fork()
        if child == 0:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            for line in (
                f"train --digits --out {folder}/x.zip",
                f"train --digits --seed 0 --checkpoint {folder}/run --out {folder}/x.zip",
                f"demo --out {folder}/demo",
            ):
                result = CliRunner().invoke(main, line.split())
                print(result.exit_code, f"{folder}: Permission denied" in result.stderr, flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """
    assert run_script(script).splitlines() == ["2 True"] * 3


def test_checking_output_leaves_existing_file_unchanged(tmp_path, monkeypatch):
    """Checking a destination leaves nothing behind, nor touches the file that is there."""
    monkeypatch.chdir(tmp_path)
    Path("x.npz").write_bytes(b"old")
    assert invoke("embed", "--model", "gone.zip", "--digits", "--out", "x.npz").exit_code == 1
    assert os.listdir() == ["x.npz"]  # noqa: PTH208
    assert Path("x.npz").read_bytes() == b"old"


SERVE = """
import sys
from pyimgret.cli import main
main(["serve", "--index", sys.argv[1], "--port", sys.argv[2]])
"""


def test_port_in_use_is_named(tmp_path):
    Index.create(tmp_path / "idx", dimension=2).close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(SERVE, tmp_path / "idx", port)
        _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert error.endswith(
        f"pyimgret: 127.0.0.1:{port}: Address already in use; choose another --port or --host\n"
    )


# -- help ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_help_shows_each_example_on_line_of_its_own(name):
    command = ALL[name]
    text = invoke(*name.split(), "--help").output
    assert "\\b" not in text
    assert "\b" not in text
    assert "--debug" in text
    lines = [line.strip() for line in text.splitlines()]
    for example in (command.epilog or "").split("\n")[2:]:
        assert example.strip() in lines
    assert all(line.count("pyimgret ") <= 1 for line in lines if line.startswith("pyimgret"))


def test_commands_with_examples_show_them():
    for name in ("train", "evaluate", "embed", "spark train", "spark embed"):
        assert "Examples:\n    pyimgret " in invoke(*name.split(), "--help").output
    assert set(COMMANDS) <= set(ALL)
