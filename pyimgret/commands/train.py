"""``pyimgret train``: a model from pictures, without labels."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.commands.common import json_option, print_json
from pyimgret.commands.finetune import fine_tune
from pyimgret.commands.sources import Pictures, open_pictures, source_options

if TYPE_CHECKING:
    from pyimgret.preprocessing import Preprocessor

MODELS = {
    "autoencoder": "pyimgret.networks:Autoencoder",
    "deep-autoencoder": "pyimgret.networks:DeepAutoencoder",
    "denoising": "pyimgret.networks:DenoisingAutoencoder",
    "pca": "pyimgret.decomposition:PCA",
    "svd": "pyimgret.decomposition:SVD",
}
"""Name on the command line -> where the class is."""


def sizes(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Return the numbers between the commas; an empty text is an empty tuple."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(",") if part.strip())
    except ValueError as error:
        message = f"{value!r} is not a list of numbers such as 1000,500,250."
        raise click.BadParameter(message, ctx, param) from error


@click.command()
@click.option(
    "--model",
    "kind",
    type=click.Choice(sorted(MODELS)),
    default="autoencoder",
    show_default=True,
    help="What to train.",
)
@click.option(
    "--pretrained",
    type=click.Choice(["mobilenet_v2"]),
    help="In place of --model: learn the class folders of --images on an ImageNet network.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The checkpoint of --pretrained.",
)
@click.option(
    "--freeze", metavar="LAYER",
    help="The last block of --pretrained that stays as it was published, such as block16; what "
    "comes after it is trained.  [default: features, which is all but the head]",
)  # fmt: skip
@source_options
@click.option(
    "--size",
    type=click.IntRange(1),
    metavar="N",
    help="With --images: pictures are brought to N x N pixels.  [default: 64]",
)
@click.option(
    "--mode", type=click.Choice(["L", "RGB"]), help="With --images: grey or colour.  [default: RGB]"
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
@click.option("--epochs", type=click.IntRange(1), help="Rounds through the pictures.")
@click.option("--rbm-epochs", type=click.IntRange(1), help="Of pretraining a deep-autoencoder.")
@click.option("--checkpoint", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Of a deep-autoencoder: keeps every epoch; the same command, given after a "
              "kill, goes on from there.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1), help="Pictures a training step.")
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="Of the updater.")
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of the pictures to judge by, not to learn from.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="With --validation: end after so many epochs without progress.",
)
@click.option("--seed", type=click.IntRange(0), help="Makes the run repeatable.")
@click.option("--strict", is_flag=True, help="A picture that cannot be read ends the run.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The model, a Deeplearning4j zip.",
)
@json_option
def train(
    kind: str, digits: bool, images: Path | None, idx: Path | None, size: int | None,
    mode: str | None, validation: float, strict: bool, seed: int | None, out: Path,
    as_json: bool, pretrained: str | None, weights: Path | None, **settings: Any,
) -> None:  # fmt: skip
    r"""Train a model on pictures and save it.

    \b
    pyimgret train --model autoencoder --digits --code-size 30 --out ae.zip
    pyimgret train --model autoencoder --images DIR --size 64 --out ae.zip
    pyimgret train --pretrained mobilenet_v2 --images DIR --out my.zip
    pyimgret train --pretrained mobilenet_v2 --images DIR --freeze block16 --out my.zip
    """
    if images is None and (size or mode):
        raise click.UsageError("--size and --mode belong to --images; arrays have their size.")
    if not out.parent.is_dir():
        raise click.BadParameter(f"the folder {out.parent} does not exist.", param_hint="--out")
    if pretrained is not None:
        if images is None:
            raise click.UsageError("--pretrained learns the class folders of --images DIR.")
        model, summary, broken = fine_tune(
            pretrained, weights, images, seed=seed, epochs=settings["epochs"],
            code_size=settings["code_size"], freeze=settings["freeze"], strict=strict,
        )  # fmt: skip
        model.save(out)
        summary |= {"out": str(out), "skipped": [entry._asdict() for entry in broken]}
        _print_tuned(summary, as_json)
        return
    preprocessor = _preprocessor(mode or "RGB", size or 64) if images else None
    model = build(kind, random_state=seed, preprocessing=preprocessor, **settings)
    pictures = open_pictures(digits, images, idx, strict=strict)
    start = time.perf_counter()
    summary = _fit(model, pictures, preprocessor, validation, seed)
    model.save(out)
    summary |= {"seconds": round(time.perf_counter() - start, 2), "out": str(out)}
    pictures.report_skipped()
    if as_json:
        print_json(summary | {"skipped": [broken._asdict() for broken in pictures.skipped]})
    else:
        click.echo(_text(summary))


def _print_tuned(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(summary)
        return
    for entry in summary["skipped"]:
        click.echo(f"skipped {entry['key']}: {entry['reason']}", err=True)
    click.echo(
        f"Learned {summary['classes']} classes from {summary['images']:,} pictures, loss "
        f"{summary['loss']:.4f}. Saved {summary['out']}."
    )


def _preprocessor(mode: str, size: int) -> Preprocessor:
    from pyimgret.preprocessing import Preprocessor

    return Preprocessor(mode, size, size)


def build(kind: str, *, code_size: int, **settings: Any) -> Any:
    """Return an estimator that is not fitted; None stands for its own default.

    Raises
    ------
    click.UsageError
        If the kind has no such setting.
    """
    module, _, name = MODELS[kind].partition(":")
    model_class = getattr(importlib.import_module(module), name)
    known = model_class._parameter_names()
    settings["code_size" if "code_size" in known else "n_components"] = code_size
    given = {key: value for key, value in settings.items() if value is not None}
    if strange := sorted(given.keys() - set(known)):
        options = ", ".join("--" + key.replace("_", "-") for key in strange)
        raise click.UsageError(f"{options} cannot be used with --model {kind}.")
    return model_class(**given)


def _fit(
    model: Any,
    pictures: Pictures,
    preprocessor: Preprocessor | None,
    share: float,
    seed: int | None,
) -> dict[str, Any]:
    """Train, and return what there is to say."""
    import numpy as np

    X = pictures.array(preprocessor)
    X_val = None
    if share:
        order = np.random.default_rng(seed).permutation(len(X))
        held = round(share * len(X))
        if not 0 < held < len(X):
            raise ValueError(f"--validation {share} of {len(X)} pictures leaves one part empty.")
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
    text = f"Trained {summary['model']} on {summary['images']:,} pictures"
    if "epochs" in summary:
        text += f", {summary['epochs']} epochs, loss {summary['loss']:.4f}"
    if "val_loss" in summary:
        text += f", best validation loss {summary['val_loss']:.4f}"
    return f"{text}, in {summary['seconds']:.1f} s. Saved {summary['out']}."
