"""``pyimgret train``: train a model on images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from pyimgret.cli.common import Result, json_option
from pyimgret.cli.models import (
    MODEL_OUT,
    MODELS,
    build,
    model_option,
    refuse_unused,
    training_options,
)
from pyimgret.cli.options import PATH, POSITIVE, Output, dependent_option, examples, given
from pyimgret.cli.pretrained import network_option
from pyimgret.cli.sources import (
    ImageSource,
    open_folder,
    open_images,
    source_options,
    strict_option,
)
from pyimgret.exceptions import InvalidArgumentError


@click.command(
    epilog=examples(
        "pyimgret train --model autoencoder --digits --code-size 30 --out ae.zip",
        "pyimgret train --model autoencoder --images DIR --size 64 --out ae.zip",
        "pyimgret train --pretrained mobilenet_v2 --images DIR --out my.zip",
        "pyimgret train --pretrained mobilenet_v2 --images DIR --freeze block16 --out my.zip",
    )
)
@model_option(sorted(MODELS), without="pretrained")
@network_option(
    "Instead of --model: fine-tune an ImageNet network on the class folders of --images."
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
@training_options()
@click.option("--rbm-epochs", type=POSITIVE, help="Epochs of pretraining a deep-autoencoder.")
@dependent_option(
    "--checkpoint",
    needs="seed",
    type=Output(folder=True),
    metavar="DIR",
    help="With --seed: save the state after every epoch; the same command, run again after "
    "an interruption, resumes there.",
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
@strict_option
@MODEL_OUT
@json_option
def train(
    kind: str,
    pretrained: str | None,
    weights: Path | None,
    digits: bool,
    images: Path | None,
    idx: Path | None,
    validation: float,
    strict: bool,
    out: Path,
    **settings: Any,
) -> Result:
    """Train a model on images and save it.

    Ctrl-C stops the training and saves the model as trained so far.
    """
    kind = pretrained or kind
    refuse_unused(kind, given())
    if pretrained is not None and (images is None or digits or idx is not None):
        raise click.UsageError(
            "--pretrained can only be trained on the class folders of --images DIR."
        )
    model = build(kind, has_images=images is not None, **settings)
    start, replaces = time.perf_counter(), out.exists()
    try:
        if pretrained is not None and images is not None:
            source = ImageSource(open_folder(images, strict=strict))
            summary = _fine_tune(model, weights, source, images)
        else:
            source = open_images(digits, images, idx, strict=strict)
            summary = _fit(model, source, validation, settings["seed"])
    except KeyboardInterrupt:
        target = out.with_name(f"{out.stem}.interrupted{out.suffix}") if replaces else out
        raise KeyboardInterrupt(_save_interrupted(model, target, settings["checkpoint"])) from None
    model.save(out)
    summary |= {"seconds": round(time.perf_counter() - start, 2), "out": str(out)}
    source.report_failures()
    document = summary | {"failed": [failure.to_dict() for failure in source.failed]}
    return Result(document, _text(summary))


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

    X = source.read(model.preprocessing)[2]
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
    summary = _summary(model, len(X))
    if history.get("loss"):
        summary |= {"epochs": len(history["loss"]), "loss": history["loss"][-1]}
    if history.get("val_loss"):
        summary |= {"val_loss": min(history["val_loss"])}
    return summary


def _fine_tune(
    model: Any, weights: Path | None, source: ImageSource, images: Path
) -> dict[str, Any]:
    """Train an ImageNet network on a folder, whose subfolders are the classes."""
    import numpy as np

    from pyimgret.files.cache import cache_folder
    from pyimgret.pretrained import cached_features, load

    layer = model.frozen_layer
    network: Any = load(model.architecture, weights)
    folder: Any = source.images
    readable = [file for file, _ in folder.read(network.preprocessor.pixels) if file.label]
    source.failed = list(folder.failed)
    y = np.array([file.label for file in readable])
    if len(np.unique(y)) < 2:
        raise InvalidArgumentError(f"{images}: at least two class folders with images are needed.")
    paths, cache = [file.path for file in readable], cache_folder() / "features"
    model.fit(network, cached_features(network, paths, cache, layer=layer), y)
    history = model.history_["loss"]
    return _summary(model, len(y)) | {
        "classes": len(model.classes_),
        "freeze": model.freeze,
        "epochs": len(history),
        "loss": model.history_.get("tuning_loss", history)[-1],
    }


def _summary(model: Any, images: int) -> dict[str, Any]:
    size = model.embedding_size
    return {"model": type(model).__name__, "images": images, "embedding_size": size}


def _text(summary: dict[str, Any]) -> str:
    text = f"Trained {summary['model']} on {summary['images']:,} images"
    if "classes" in summary:
        text += f" of {summary['classes']} classes"
    if "epochs" in summary:
        text += f", {summary['epochs']} epochs, loss {summary['loss']:.4f}"
    if "val_loss" in summary:
        text += f", best validation loss {summary['val_loss']:.4f}"
    return f"{text}, in {summary['seconds']:.1f} s. Saved {summary['out']}."
