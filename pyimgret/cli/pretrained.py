"""Which network a command encodes with: ``--model FILE``, or ``--pretrained NAME``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pyimgret.cli.options import Dependent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pyimgret.encoder import Encoder

Command = TypeVar("Command", bound=Callable[..., object])
NAMES = ("mobilenet_v2",)
POOLINGS = ("avg", "gem", "max")


@dataclass(frozen=True)
class Choice:
    """The options that `pretrained_options` adds."""

    pretrained: str | None
    weights: Path | None
    pooling: str | None
    flip: bool
    whiten: int | None

    @classmethod
    def take(cls, options: dict[str, Any]) -> Choice:
        """Take the options out of those of a command."""
        return cls(**{name: options.pop(name) for name in cls.__dataclass_fields__})

    @classmethod
    def none(cls) -> Choice:
        """Return the choice of no ImageNet network."""
        return cls(None, None, None, False, None)

    def network(self) -> Any:
        """Return the ImageNet network, without whitening."""
        from pyimgret import pretrained

        make = getattr(pretrained, self.pretrained or "")
        return make(self.weights, pooling=self.pooling or "avg", flip=self.flip)

    def encoder(self, model: Path | str | None) -> Encoder | None:
        """Return what encodes; None when neither a model nor a network is named."""
        from pyimgret.encoder import Encoder

        if model is not None and self.pretrained is not None:
            raise click.UsageError("give --model or --pretrained, not both.")
        if model is not None:
            return Encoder.load(model)
        return Encoder(self.network()) if self.pretrained is not None else None

    def whitened(self, encoder: Encoder, vectors: npt.NDArray[np.float32]) -> Encoder:
        """Return the encoder with ``--whiten`` carried out, learned from its own vectors."""
        from pyimgret.encoder import Encoder

        if self.whiten is None:
            return encoder
        return Encoder(encoder.model.whitened(vectors, self.whiten))  # type: ignore[attr-defined]


def pretrained_options(command: Command) -> Command:
    """Add ``--pretrained`` and what belongs to it; `Choice.take` collects them."""
    for option in (
        click.option(
            "--whiten", cls=Dependent, needs="pretrained", type=click.IntRange(1), metavar="N",
            help="Whiten the embeddings of this collection to N dimensions.",
        ),
        click.option("--flip", cls=Dependent, needs="pretrained", is_flag=True,
                     help="Average with the mirror image."),
        click.option(
            "--pooling", cls=Dependent, needs="pretrained", type=click.Choice(POOLINGS),
            help="How the last map becomes a vector.  [default: avg]",
        ),
        click.option(
            "--weights", cls=Dependent, needs="pretrained", type=click.Path(path_type=Path),
            metavar="FILE",
            help="The checkpoint of --pretrained; else it is looked for, then downloaded.",
        ),
        click.option(
            "--pretrained", type=click.Choice(NAMES),
            help="A network trained on ImageNet, in place of --model.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command
