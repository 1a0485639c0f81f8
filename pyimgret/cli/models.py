"""The models that the command line trains, and the options of each."""

from __future__ import annotations

import functools
import importlib
import inspect
from typing import Any

import click

from pyimgret.cli.pretrained import NAMES

MODELS = {
    "autoencoder": "pyimgret.models:Autoencoder",
    "deep-autoencoder": "pyimgret.models:DeepAutoencoder",
    "denoising": "pyimgret.models:DenoisingAutoencoder",
    "pca": "pyimgret.models:PCA",
    "svd": "pyimgret.models:SVD",
}
"""Name on the command line -> the location of the class."""

SETTINGS = {
    "size": ("preprocessing",),
    "mode": ("preprocessing",),
    "code_size": ("code_size", "n_components"),
    "hidden_sizes": ("hidden_sizes",),
    "epochs": ("epochs",),
    "rbm_epochs": ("rbm_epochs",),
    "checkpoint": ("checkpoint",),
    "batch_size": ("batch_size",),
    "learning_rate": ("learning_rate",),
    "validation": ("X_val",),
    "patience": ("patience",),
    "seed": ("random_state",),
    "freeze": ("freeze",),
    "weights": ("weights",),
}
"""Option -> its parameter names in the constructors, ``fit`` methods or loaders of models."""


@functools.cache
def takes(kind: str, option: str) -> bool:
    """Return whether a model (or a pretrained network) uses an option of the table."""
    from pyimgret import pretrained

    model_class = _model_class(kind)
    known = {*_settings(model_class), *inspect.signature(model_class.fit).parameters}
    if kind in NAMES:
        known |= inspect.signature(getattr(pretrained, kind)).parameters.keys()
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


def _settings(model_class: Any) -> Any:
    return inspect.signature(model_class).parameters


def _model_class(kind: str) -> Any:
    module, _, name = MODELS.get(kind, "pyimgret.pretrained:FineTunedNetwork").partition(":")
    return getattr(importlib.import_module(module), name)


def build(kind: str, **options: Any) -> Any:
    """Return an unfitted estimator; options that are None keep their defaults."""
    model_class = _model_class(kind)
    known = _settings(model_class)
    settings = {"architecture": kind} if kind in NAMES else {}
    for option, value in options.items():
        if value is not None:
            names = SETTINGS.get(option, (option,))
            settings[next((name for name in names if name in known), option)] = value
    return model_class(**settings)
