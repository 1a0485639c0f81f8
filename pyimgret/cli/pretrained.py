"""The network that a command uses: ``--model FILE`` or ``--pretrained NAME``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.options import PATH, POSITIVE, dependent_option, stacked

if TYPE_CHECKING:
    from pyimgret.encoder import Encoder

NAMES = ("mobilenet_v2",)
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
        from pyimgret import pretrained
        from pyimgret.encoder import Encoder

        if model is not None and self.pretrained is not None:
            raise click.UsageError("give --model or --pretrained, not both.")
        if model is not None:
            return Encoder.load(model)
        if self.pretrained is None:
            return None
        make = getattr(pretrained, self.pretrained)
        return Encoder(make(self.weights, pooling=self.pooling or "avg", flip=self.flip))


pretrained_options = stacked(
    click.option(
        "--pretrained",
        type=click.Choice(NAMES),
        help="Use a network trained on ImageNet instead of --model.",
    ),
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
