"""``pyimgret classify``: classify photos by the classes of ImageNet."""

from __future__ import annotations

from pathlib import Path

import click

from pyimgret.cli.common import Result, json_option, table
from pyimgret.cli.options import PATH
from pyimgret.cli.pretrained import network_option


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("-k", default=5, type=click.IntRange(1, 1000), help="Number of classes.")
@network_option("The network.", default="mobilenet_v2")
@click.option(
    "--weights",
    type=PATH,
    metavar="FILE",
    help="Checkpoint of the network; by default searched for, then downloaded.",
)
@json_option
def classify(files: tuple[str, ...], k: int, pretrained: str, weights: Path | None) -> Result:
    """Classify photos by the 1,000 classes of ImageNet.

    The probabilities are over those classes; the network knows no others.
    """
    from pyimgret.pretrained import load

    network = load(pretrained, weights)
    found = {file: network.classify([file], k=k)[0] for file in files}
    document = [
        {"file": file, "classes": [{"class": name, "probability": p} for name, p in best]}
        for file, best in found.items()
    ]
    tables = [
        table([file, "probability"], [[name, f"{p:.3f}"] for name, p in best])
        for file, best in found.items()
    ]
    return Result(document, "\n".join(tables))
