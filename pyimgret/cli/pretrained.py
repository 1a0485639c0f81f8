"""The network that a command uses, ``--model FILE`` or ``--pretrained NAME``, and their list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from pyimgret.cli.common import Result, json_option, table
from pyimgret.cli.options import PATH, POSITIVE, Command, dependent_option, stacked

if TYPE_CHECKING:
    from pyimgret.encoder import Encoder

#: As in `pyimgret.pretrained.ARCHITECTURES`, which takes longer to import.
NAMES = (
    "mobilenet_v2",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "googlenet",
    "resnet18",
    "resnet50",
)
BEST = "best"
POOLINGS = ("avg", "gem", "max")


@dataclass(frozen=True)
class Choice:
    """The values of the options that `pretrained_options` adds."""

    pretrained: str | None = None
    weights: Path | None = None
    pooling: str | None = None
    flip: bool = False
    whiten: int | None = None

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> Choice:
        """Move the values out of the options of a command."""
        return cls(**{name: options.pop(name) for name in cls.__dataclass_fields__})

    def encoder(self, model: Path | str | None) -> Encoder | None:
        """Return the encoder; None if neither a model nor a network was chosen."""
        if model is None and self.pretrained is None:
            return None  # NB: before the import below, which takes a second
        from pyimgret.encoder import Encoder
        from pyimgret.pretrained import load

        if self.pretrained is None:
            return Encoder.load(cast(str, model))
        if model is not None:
            raise click.UsageError("give --model or --pretrained, not both.")
        pooling = self.pooling or "avg"
        return Encoder(load(self.pretrained, self.weights, pooling=pooling, flip=self.flip))


class _Network(click.ParamType):  # type: ignore[type-arg]
    """The name of a network; "best" becomes the best one whose weights are on this machine."""

    name = "network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value == BEST:
            from pyimgret.pretrained import best_available

            value = best_available()
            click.echo(f"--pretrained {value}: the best whose weights are here.", err=True)
        if value not in NAMES:
            self.fail(
                f"{value!r} is not a network; known: {', '.join(NAMES)}. For the best whose "
                f"weights are here, write '--pretrained {BEST}'.",
                param,
                ctx,
            )
        return str(value)


def network_option(text: str, **settings: Any) -> Callable[[Command], Command]:
    """Add ``--pretrained``, which is the best network where no name follows."""
    return click.option(
        "--pretrained",
        type=_Network(),
        is_flag=False,
        flag_value=BEST,
        metavar="[NAME]",
        help=f"{text} Without NAME, at the end or before another option: the best whose weights "
        "are on this machine; 'pyimgret pretrained' lists all.",
        **settings,
    )


pretrained_options = stacked(
    network_option("Use a network trained on ImageNet instead of --model."),
    dependent_option(
        "--weights",
        needs="pretrained",
        type=PATH,
        metavar="FILE",
        help="Checkpoint of --pretrained; by default searched for, then downloaded.",
    ),
    dependent_option(
        "--pooling",
        needs="pretrained",
        type=click.Choice(POOLINGS),
        help="Pooling of the last feature map.  [default: avg]",
    ),
    dependent_option(
        "--flip",
        needs="pretrained",
        is_flag=True,
        help="Average with the embedding of the mirrored image.",
    ),
    dependent_option(
        "--whiten",
        needs="pretrained",
        type=POSITIVE,
        metavar="N",
        help="Whiten the embeddings of this collection and reduce them to N dimensions.",
    ),
)
"""``--pretrained`` and related options; `Choice.from_options` collects them."""


@click.command()
@json_option
def pretrained() -> Result:
    """List the networks trained on ImageNet, and where their weights are.

    The accuracies on ImageNet are published figures; the best network whose weights are here is
    what --pretrained means without a name.
    """
    from pyimgret.pretrained import ARCHITECTURES, best_available, local_weights

    best, document, rows, missing = best_available(), [], [], []
    for name, net in ARCHITECTURES.items():
        weights, published = local_weights(net.published), net.published
        height, width, _ = net.preprocessing.shape
        document.append(
            {
                "name": name,
                "parameters": net.parameters,
                "input": [height, width],
                "dimension": net.dimension,
                "top1": net.top1,
                "top1_source": net.source,
                "licence": published.licence,
                "weights": weights,
                "get": published.source,
                "best": name == best,
            }
        )
        rows.append(
            [
                name,
                f"{net.parameters / 1e6:.1f} M",
                f"{height} x {width}",
                str(net.dimension),
                f"{net.top1:.1f} %",
                published.licence,
                "no" if weights is None else "yes, the best" if name == best else "yes",
            ]
        )
        if weights is None:
            missing.append(f"  {name}: {published.source}")
    header = ["network", "parameters", "input", "dimension", "top-1", "licence", "weights here"]
    sources = dict.fromkeys(f"  {net.source}" for net in ARCHITECTURES.values())
    lines = [table(header, rows), "", "Top-1 accuracy on ImageNet, as published at:", *sources]
    if missing:
        lines += ["Weights that are not here:", *missing]
    return Result(document, "\n".join(lines))
