"""``pyimgret classify``: names for what is on a photo."""

from __future__ import annotations

from pathlib import Path

import click

from pyimgret.cli.common import json_option, print_json, table
from pyimgret.cli.pretrained import NAMES


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("-k", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--pretrained", type=click.Choice(NAMES), default=NAMES[0], show_default=True)
@click.option(
    "--weights", type=click.Path(path_type=Path), metavar="FILE",
    help="Its checkpoint; else it is looked for, then downloaded.",
)  # fmt: skip
@json_option
def classify(
    files: tuple[str, ...], k: int, pretrained: str, weights: Path | None, as_json: bool
) -> None:
    """Name what is on photos, by the 1,000 classes of ImageNet.

    A probability says how sure the network is among those classes; it knows no others.
    """
    from pyimgret import pretrained as networks

    network = getattr(networks, pretrained)(weights)
    found = {file: network.classify([file], k=k)[0] for file in files}
    if as_json:
        print_json(
            [
                {"file": file, "classes": [{"class": c, "probability": p} for c, p in best]}
                for file, best in found.items()
            ]
        )
        return
    for file, best in found.items():
        click.echo(table([file, "probability"], [[c, f"{p:.3f}"] for c, p in best]))
