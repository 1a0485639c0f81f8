"""``pyimgret train``: train a model on images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from pyimgret.cli.common import json_option, print_json
from pyimgret.cli.finetune import fine_tune
from pyimgret.cli.models import MODELS, build, refuse_unused
from pyimgret.cli.options import (
    MODEL_OUT,
    NATURAL,
    PATH,
    POSITIVE,
    OutputFolder,
    dependent_option,
    examples,
    given,
)
from pyimgret.cli.pretrained import NAMES
from pyimgret.cli.sources import (
    ImageSource,
    open_images,
    report_failures,
    source_options,
    strict_option,
)
from pyimgret.exceptions import InvalidArgumentError


def sizes(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Parse comma-separated numbers; an empty text is an empty tuple."""
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
@dependent_option(
    "--model",
    "kind",
    without="pretrained",
    type=click.Choice(sorted(MODELS)),
    default="autoencoder",
    help="Kind of model.",
)
@click.option(
    "--pretrained",
    type=click.Choice(NAMES),
    help="Instead of --model: fine-tune an ImageNet network on the class folders of --images.",
)
@dependent_option(
    "--weights",
    needs="pretrained",
    type=PATH,
    metavar="FILE",
    help="File with the published weights of --pretrained.",
)
@dependent_option(
    "--freeze",
    needs="pretrained",
    metavar="LAYER",
    help="The last block of --pretrained that is not trained, such as block16; the layers "
    "after it are trained.  [default: features, which is all but the head]",
)
@source_options
@dependent_option(
    "--size",
    needs="images",
    type=POSITIVE,
    metavar="N",
    help="With --images: resize images to N x N pixels.  [default: 64]",
)
@dependent_option(
    "--mode",
    needs="images",
    type=click.Choice(["L", "RGB"]),
    help="With --images: grey or colour.  [default: RGB]",
)
@click.option("--code-size", type=POSITIVE, default=30, help="Dimension of the embedding.")
@click.option(
    "--hidden-sizes",
    callback=sizes,
    metavar="N,N,…",
    help="Sizes of the layers before the code, such as 1000,500,250.",
)
@click.option("--epochs", type=POSITIVE, help="Passes over the images.")
@click.option("--rbm-epochs", type=POSITIVE, help="Epochs of pretraining a deep-autoencoder.")
@dependent_option(
    "--checkpoint",
    needs="seed",
    type=OutputFolder(),
    metavar="DIR",
    help="With --seed: save the state after every epoch; the same command, run again after "
    "an interruption, resumes there.",
)
@click.option("--batch-size", type=POSITIVE, help="Images per training step.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="Learning rate of the optimizer.",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="Share of the images used for validation.",
)
@dependent_option(
    "--patience",
    needs="validation",
    type=POSITIVE,
    help="With --validation: stop after this number of epochs without a better validation loss.",
)
@click.option("--seed", type=NATURAL, help="Random seed, for reproducible results.")
@strict_option
@MODEL_OUT
@json_option
def train(
    kind: str,
    pretrained: str | None,
    digits: bool,
    images: Path | None,
    idx: Path | None,
    validation: float,
    strict: bool,
    out: Path,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train a model on images and save it.

    Ctrl-C stops the training and saves the model as trained so far.
    """
    from pyimgret.preprocessing import Preprocessor

    kind = pretrained or kind
    refuse_unused(kind, given())
    if pretrained is not None and (images is None or digits or idx is not None):
        raise click.UsageError(
            "--pretrained can only be trained on the class folders of --images DIR."
        )
    weights, size, mode = (settings.pop(name) for name in ("weights", "size", "mode"))
    if images is not None and pretrained is None:
        settings["preprocessing"] = Preprocessor(mode or "RGB", size or 64, size or 64)
    model = build(kind, **settings)
    start, replaces = time.perf_counter(), out.exists()
    try:
        if pretrained is not None and images is not None:
            summary, failed = fine_tune(model, weights, images, strict=strict)
        else:
            source = open_images(digits, images, idx, strict=strict)
            summary = _fit(model, source, validation, settings["seed"])
            failed = source.failed
    except KeyboardInterrupt:
        target = out.with_name(f"{out.stem}.interrupted{out.suffix}") if replaces else out
        raise KeyboardInterrupt(_save_interrupted(model, target, settings["checkpoint"])) from None
    model.save(out)
    summary |= {"seconds": round(time.perf_counter() - start, 2), "out": str(out)}
    report_failures(failed)
    if as_json:
        print_json(summary | {"failed": [failure.to_dict() for failure in failed]})
    else:
        click.echo(_text(summary))


def _save_interrupted(model: Any, target: Path, checkpoint: Path | None) -> str:
    """Save the model of an interrupted training; return a message for the user."""
    parts = ["there was no model to save yet"]
    if model.__sklearn_is_fitted__():
        model.save(target)
        done = sum(len(model.history_.get(name, ())) for name in ("loss", "tuning_loss"))
        epochs = model.epochs + getattr(model, "tuning_epochs", 0)
        parts = [f"{target} contains the model after {done} of {epochs} epochs"]
    if checkpoint is not None:
        parts.append(f"the same command resumes from {checkpoint}")
    return "; ".join(parts)


def _fit(model: Any, source: ImageSource, share: float, seed: int | None) -> dict[str, Any]:
    """Train the model and return a summary."""
    import numpy as np

    X = source.array(model.preprocessing)
    X_val = None
    if share:
        order = np.random.default_rng(seed).permutation(len(X))
        held = round(share * len(X))
        if not 0 < held < len(X):
            raise InvalidArgumentError(
                f"--validation {share} of {len(X)} images leaves the training or validation set "
                "empty."
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
