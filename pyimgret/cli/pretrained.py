"""The network that a command uses: ``--model FILE`` or ``--pretrained NAME``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.options import PATH, POSITIVE, Command, dependent_option

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pyimgret.encoder import Encoder

NAMES = ("mobilenet_v2",)
POOLINGS = ("avg", "gem", "max")


@dataclass(frozen=True)
class Choice:
    """The values of the options that `pretrained_options` adds."""

    pretrained: str | None
    weights: Path | None
    pooling: str | None
    flip: bool
    whiten: int | None

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> Choice:
        """Move the values out of the options of a command."""
        return cls(**{name: options.pop(name) for name in cls.__dataclass_fields__})

    @classmethod
    def none(cls) -> Choice:
        """Return a choice without an ImageNet network."""
        return cls(None, None, None, False, None)

    def network(self) -> Any:
        """Return the ImageNet network, without whitening."""
        from pyimgret import pretrained

        make = getattr(pretrained, self.pretrained or "")
        return make(self.weights, pooling=self.pooling or "avg", flip=self.flip)

    def encoder(self, model: Path | str | None) -> Encoder | None:
        """Return the encoder; None if neither a model nor a network was chosen."""
        from pyimgret.encoder import Encoder

        if model is not None and self.pretrained is not None:
            raise click.UsageError("give --model or --pretrained, not both.")
        if model is not None:
            return Encoder.load(model)
        return Encoder(self.network()) if self.pretrained is not None else None

    def whitened(self, encoder: Encoder, vectors: npt.NDArray[np.float32]) -> Encoder:
        """Return the encoder with whitening fitted on its own vectors."""
        from pyimgret.encoder import Encoder

        if self.whiten is None:
            return encoder
        return Encoder(encoder.model.whitened(vectors, self.whiten))


def pretrained_options(command: Command) -> Command:
    """Add ``--pretrained`` and related options; `Choice.from_options` collects them."""
    for option in (
        dependent_option(
            "--whiten",
            needs="pretrained",
            type=POSITIVE,
            metavar="N",
            help="Whiten the embeddings of this collection and reduce them to N dimensions.",
        ),
        dependent_option(
            "--flip",
            needs="pretrained",
            is_flag=True,
            help="Average with the embedding of the mirrored image.",
        ),
        dependent_option(
            "--pooling",
            needs="pretrained",
            type=click.Choice(POOLINGS),
            help="Pooling of the last feature map.  [default: avg]",
        ),
        dependent_option(
            "--weights",
            needs="pretrained",
            type=PATH,
            metavar="FILE",
            help="Checkpoint of --pretrained; by default searched for, then downloaded.",
        ),
        click.option(
            "--pretrained",
            type=click.Choice(NAMES),
            help="Use a network trained on ImageNet instead of --model.",
        ),
    ):
        command = option(command)
    return command
