"""``pyimgret train``: a model from pictures, without labels."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.common import json_option, print_json
from pyimgret.cli.finetune import fine_tune
from pyimgret.cli.models import MODELS, build, refuse_unused
from pyimgret.cli.options import Dependent, OutputFile, OutputFolder, examples, given
from pyimgret.cli.pretrained import NAMES
from pyimgret.cli.sources import Pictures, open_pictures, report_skipped, source_options
from pyimgret.exceptions import InvalidArgumentError

if TYPE_CHECKING:
    from pyimgret.preprocessing import Preprocessor


def sizes(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Return the numbers between the commas; an empty text is an empty tuple."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(",") if part.strip())
    except ValueError as error:
        message = f"{value!r} is not a list of numbers such as 1000,500,250."
        raise click.BadParameter(message, ctx, param) from error


@click.command(
    epilog=examples(
        "pyimgret train --model autoencoder --digits --code-size 30 --out ae.zip",
        "pyimgret train --model autoencoder --images DIR --size 64 --out ae.zip",
        "pyimgret train --pretrained mobilenet_v2 --images DIR --out my.zip",
        "pyimgret train --pretrained mobilenet_v2 --images DIR --freeze block16 --out my.zip",
    )
)
@click.option(
    "--model",
    "kind",
    cls=Dependent,
    without="pretrained",
    type=click.Choice(sorted(MODELS)),
    default="autoencoder",
    show_default=True,
    help="What to train.",
)
@click.option(
    "--pretrained",
    type=click.Choice(NAMES),
    help="In place of --model: learn the class folders of --images on an ImageNet network.",
)
@click.option(
    "--weights",
    cls=Dependent,
    needs="pretrained",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The published weights of --pretrained.",
)
@click.option(
    "--freeze", cls=Dependent, needs="pretrained", metavar="LAYER",
    help="The last block of --pretrained that stays as it was published, such as block16; what "
    "comes after it is trained.  [default: features, which is all but the head]",
)  # fmt: skip
@source_options
@click.option(
    "--size",
    cls=Dependent,
    needs="images",
    type=click.IntRange(1),
    metavar="N",
    help="With --images: pictures are brought to N x N pixels.  [default: 64]",
)
@click.option(
    "--mode",
    cls=Dependent,
    needs="images",
    type=click.Choice(["L", "RGB"]),
    help="With --images: grey or colour.  [default: RGB]",
)
@click.option(
    "--code-size",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    help="Numbers in an embedding.",
)
@click.option(
    "--hidden-sizes",
    callback=sizes,
    metavar="N,N,…",
    help="Layers before the code, e.g. 1000,500,250.",
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the images.")
@click.option("--rbm-epochs", type=click.IntRange(1), help="Of pretraining a deep-autoencoder.")
@click.option(
    "--checkpoint",
    cls=Dependent,
    needs="seed",
    type=OutputFolder(),
    metavar="DIR",
    help="With --seed: keeps the state after every epoch; the same command, given again after "
    "an interruption, goes on from there.",
)
@click.option("--batch-size", type=click.IntRange(1), help="Pictures a training step.")
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="Of the optimizer.")
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of the images held back to validate on.",
)
@click.option(
    "--patience",
    cls=Dependent,
    needs="validation",
    type=click.IntRange(1),
    help="With --validation: stop after so many epochs without a better validation loss.",
)
@click.option("--seed", type=click.IntRange(0), help="Makes the run repeatable.")
@click.option("--strict", is_flag=True, help="A picture that cannot be read ends the run.")
@click.option(
    "--out",
    type=OutputFile(),
    required=True,
    metavar="FILE",
    help="The model, a Deeplearning4j zip.",
)
@json_option
def train(
    kind: str, pretrained: str | None, digits: bool, images: Path | None, idx: Path | None,
    validation: float, strict: bool, out: Path, as_json: bool, **settings: Any,
) -> None:  # fmt: skip
    """Train a model on images and save it.

    Ctrl-C ends the training; what was learned until then is saved.
    """
    kind = pretrained or kind
    refuse_unused(kind, given())
    if pretrained is not None and (images is None or digits or idx is not None):
        raise click.UsageError(
            "--pretrained learns the class folders of --images DIR, and them only."
        )
    weights, size, mode = (settings.pop(name) for name in ("weights", "size", "mode"))
    if images is not None and pretrained is None:
        settings["preprocessing"] = _preprocessor(mode or "RGB", size or 64)
    model = build(kind, **settings)
    start, replaces = time.perf_counter(), out.exists()
    try:
        if pretrained is not None and images is not None:
            summary, skipped = fine_tune(model, weights, images, strict=strict)
        else:
            pictures = open_pictures(digits, images, idx, strict=strict)
            summary = _fit(model, pictures, validation, settings["seed"])
            skipped = pictures.skipped
    except KeyboardInterrupt:
        target = out.with_name(f"{out.stem}.interrupted{out.suffix}") if replaces else out
        raise KeyboardInterrupt(_rescue(model, target, settings["checkpoint"])) from None
    model.save(out)
    summary |= {"seconds": round(time.perf_counter() - start, 2), "out": str(out)}
    report_skipped(skipped)
    if as_json:
        print_json(summary | {"skipped": [broken.to_dict() for broken in skipped]})
    else:
        click.echo(_text(summary))


def _rescue(model: Any, target: Path, checkpoint: Path | None) -> str:
    """Save what an interrupted training has learned; return what to tell the user."""
    parts = ["there was no model yet, so nothing is saved"]
    if model.__sklearn_is_fitted__():
        model.save(target)
        done = sum(len(model.history_.get(name, ())) for name in ("loss", "tuning_loss"))
        epochs = model.epochs + getattr(model, "tuning_epochs", 0)
        parts = [f"{target} holds the model after {done} of {epochs} epochs"]
    if checkpoint is not None:
        parts.append(f"the same command goes on from {checkpoint}")
    return "; ".join(parts)


def _preprocessor(mode: str, size: int) -> Preprocessor:
    from pyimgret.preprocessing import Preprocessor

    return Preprocessor(mode, size, size)


def _fit(model: Any, pictures: Pictures, share: float, seed: int | None) -> dict[str, Any]:
    """Train, and return what there is to say."""
    import numpy as np

    X = pictures.array(model.preprocessing)
    X_val = None
    if share:
        order = np.random.default_rng(seed).permutation(len(X))
        held = round(share * len(X))
        if not 0 < held < len(X):
            raise InvalidArgumentError(
                f"--validation {share} of {len(X)} pictures leaves one part empty."
            )
        X, X_val = X[order[held:]], X[order[:held]]
    model.fit(X) if X_val is None else model.fit(X, X_val=X_val)
    history = model.history_
    summary = {"model": type(model).__name__, "images": len(X)}
    summary |= {"embedding_size": model.embedding_size}
    if history.get("loss"):
        summary |= {"epochs": len(history["loss"]), "loss": history["loss"][-1]}
    if history.get("val_loss"):
        summary |= {"val_loss": min(history["val_loss"])}
    return summary


def _text(summary: dict[str, Any]) -> str:
    text = f"Trained {summary['model']} on {summary['images']:,} images"
    if "classes" in summary:
        text += f" of {summary['classes']} classes"
    if "epochs" in summary:
        text += f", {summary['epochs']} epochs, loss {summary['loss']:.4f}"
    if "val_loss" in summary:
        text += f", best validation loss {summary['val_loss']:.4f}"
    return f"{text}, in {summary['seconds']:.1f} s. Saved {summary['out']}."
