"""The models that the command line trains, and the options of each."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any

import click

from pyimgret.cli.options import NATURAL, POSITIVE, Command, Output, dependent_option, stacked
from pyimgret.cli.pretrained import NAMES

MODELS = {
    "autoencoder": "pyimgret.models:Autoencoder",
    "deep-autoencoder": "pyimgret.models:DeepAutoencoder",
    "denoising": "pyimgret.models:DenoisingAutoencoder",
    "pca": "pyimgret.models:PCA",
    "svd": "pyimgret.models:SVD",
}
"""Name on the command line -> the location of the class."""

_ALIKE = ("hidden_sizes", "epochs", "rbm_epochs", "checkpoint", "batch_size", "learning_rate")
SETTINGS: dict[str, tuple[str, ...]] = {
    "size": ("preprocessing",),
    "mode": ("preprocessing",),
    "code_size": ("code_size", "n_components"),
    "validation": ("X_val",),
    "seed": ("random_state",),
    **{name: (name,) for name in (*_ALIKE, "patience", "freeze", "weights")},
}
"""Option -> its parameter names in the constructors, ``fit`` methods or loaders of models."""


MODEL_OUT = click.option(
    "--out",
    type=Output(),
    required=True,
    metavar="FILE",
    help="Output file for the model, a Deeplearning4j zip.",
)
"""Where a command that trains writes the model."""


def model_option(kinds: Sequence[str], *, without: str) -> Callable[[Command], Command]:
    """Add ``--model``, the kind of the model to train."""
    return dependent_option(
        "--model",
        "kind",
        without=without,
        type=click.Choice(kinds),
        default="autoencoder",
        help="Kind of model.",
    )


def training_options(*, without: str = "") -> Callable[[Command], Command]:
    """Add the settings that all commands for training have; `build` takes them.

    ``without`` names the option that excludes those of the architecture.
    """
    return stacked(
        dependent_option(
            "--size",
            needs="images",
            without=without,
            type=POSITIVE,
            metavar="N",
            help="With --images: resize images to N x N pixels.  [default: 64]",
        ),
        dependent_option(
            "--mode",
            needs="images",
            without=without,
            type=click.Choice(["L", "RGB"]),
            help="With --images: grey or colour.  [default: RGB]",
        ),
        dependent_option(
            "--code-size",
            without=without,
            type=POSITIVE,
            default=30,
            help="Dimension of the embedding.",
        ),
        dependent_option(
            "--hidden-sizes",
            without=without,
            callback=_sizes,
            metavar="N,N,…",
            help="Sizes of the layers before the code, such as 1000,500,250.",
        ),
        click.option("--epochs", type=POSITIVE, help="Passes over the images."),
        click.option(
            "--batch-size",
            type=POSITIVE,
            help="Images per training step; on Spark, of each worker.",
        ),
        click.option(
            "--learning-rate",
            type=click.FloatRange(0, min_open=True),
            help="Learning rate of the optimizer.",
        ),
        click.option("--seed", type=NATURAL, help="Random seed, for reproducible results."),
    )


def _sizes(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Parse comma-separated numbers; an empty text is an empty tuple."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(",") if part.strip())
    except ValueError as error:
        message = f"{value!r} is not a list of numbers such as 1000,500,250."
        raise click.BadParameter(message, ctx, param) from error


@functools.cache
def takes(kind: str, option: str) -> bool:
    """Return whether a model (or a pretrained network) uses an option of the table."""
    from pyimgret.pretrained import load

    model_class = _model_class(kind)
    known = {*_parameters(model_class), *_parameters(model_class.fit)}
    if kind in NAMES:
        known |= {*_parameters(load)}
    return not known.isdisjoint(SETTINGS[option])


def refuse_unused(kind: str, options: set[str]) -> None:
    """Reject options that a model does not use.

    Raises
    ------
    click.UsageError
        With the option, the model, and the models that use it.
    """
    model = f"{'--pretrained' if kind in NAMES else '--model'} {kind}"
    refusals = []
    for option in SETTINGS:
        if option in options and not takes(kind, option):
            takers = ", ".join(name for name in (*MODELS, *NAMES) if takes(name, option))
            name = f"--{option.replace('_', '-')}"
            refusals.append(f"{name} cannot be used with {model} (only with {takers}).")
    if refusals:
        raise click.UsageError(" ".join(refusals))


def _parameters(function: Callable[..., Any]) -> Collection[str]:
    return inspect.signature(function).parameters.keys()


def _model_class(kind: str) -> Any:
    module, _, name = MODELS.get(kind, "pyimgret.pretrained:FineTunedNetwork").partition(":")
    return getattr(importlib.import_module(module), name)


def build(
    kind: str, *, has_images: bool = False, size: int | None, mode: str | None, **options: Any
) -> Any:
    """Return an unfitted estimator; options that are None keep their defaults.

    For images in files, ``size`` and ``mode`` define the input.
    """
    from pyimgret.preprocessing import Preprocessor

    model_class = _model_class(kind)
    known = _parameters(model_class)
    settings: dict[str, Any] = {"architecture": kind} if kind in NAMES else {}
    if has_images and kind not in NAMES:
        settings["preprocessing"] = Preprocessor(mode or "RGB", size or 64, size or 64)
    for option, value in options.items():
        if value is not None:
            names = SETTINGS.get(option, (option,))
            settings[next((name for name in names if name in known), option)] = value
    return model_class(**settings)
