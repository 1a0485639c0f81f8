"""``pyimgret plot``: plot models, embeddings and matches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.common import Result, json_option
from pyimgret.cli.options import NATURAL, PATH, POSITIVE, figure_option, given, stacked
from pyimgret.cli.sources import labels_option, open_images, source_options
from pyimgret.exceptions import InvalidArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_model = click.option("--model", "models", type=PATH, required=True, multiple=True, metavar="FILE")
_seed = click.option("--seed", type=NATURAL, default=0, help="Seed of the random choice of images.")
_out = stacked(
    figure_option("--out", required=True, help="The figure: .png, .svg, .pdf, …."), json_option
)


@click.group()
def plot() -> None:
    """Plot models, embeddings and matches to a file."""


@plot.command()
@_model
@click.option("--count", type=POSITIVE, default=100)
@click.option("--scale", type=click.Choice(["tile", "global"]), default="tile")
@click.option(
    "--layer", type=POSITIVE, default=1, help="Dense layer; higher ones are projected to the input."
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, exists=True),
    metavar="DIR",
    help="Show the pretrained RBMs of a deep-autoencoder instead.",
)
@_out
def weights(
    models: tuple[Path, ...], count: int, scale: Any, layer: int, checkpoint: Path | None, out: Path
) -> Result:
    """Plot the weights of a layer as images."""
    from pyimgret import load
    from pyimgret.models.weights import first_layer, layer_weights, pretrained_weights
    from pyimgret.visualization import plot_weights

    model = load(_only(models))
    W, shape = first_layer(model)
    try:
        if checkpoint is not None:
            W = pretrained_weights(checkpoint, layer)
        elif layer > 1:
            W = layer_weights(model, layer)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return _save(plot_weights(W, shape=shape, n=count, scale=scale), out)


@plot.command()
@_model
@click.option(
    "--what",
    type=click.Choice(["loss", "error", "free_energy_gap"]),
    default="loss",
    help="The last two are for a deep-autoencoder.",
)
@_out
def history(models: tuple[Path, ...], what: str, out: Path) -> Result:
    """Plot the loss of every epoch of training."""
    from pyimgret import load
    from pyimgret.visualization import plot_history

    return _save(plot_history(load(_only(models)).history_, what=what), out)


@plot.command()
@_model
@source_options
@click.option("--count", type=POSITIVE, default=10)
@_seed
@_out
def reconstructions(
    models: tuple[Path, ...], count: int, seed: int, out: Path, **source: Any
) -> Result:
    """Plot reconstructions of images by one or more models (repeat --model)."""
    import numpy as np

    from pyimgret import load
    from pyimgret.visualization import plot_reconstructions

    loaded = {path.stem: load(path) for path in models}
    first = next(iter(loaded.values()))
    X = open_images(**source).read(first.preprocessor)[2]
    drawn = np.random.default_rng(seed).permutation(len(X))[:count]
    rows = {name: model.reconstruct(X[drawn]) for name, model in loaded.items()}
    for name, model in loaded.items():
        if model.preprocessor is not None:
            rows[name] = model.preprocessor.unscale(rows[name])
    return _save(plot_reconstructions(X[drawn], rows), out)


@plot.command()
@_model
@source_options
@labels_option
@click.option("--count", type=POSITIVE, default=2000, help="Number of images, chosen at random.")
@click.option("--method", type=click.Choice(["tsne", "pca"]), default="tsne")
@_seed
@_out
def embedding(
    models: tuple[Path, ...], count: int, method: Any, seed: int, out: Path, **source: Any
) -> Result:
    """Plot embeddings in two dimensions, coloured by class."""
    from pyimgret.visualization import plot_embedding

    names, vectors = _encoded(_only(models), count, seed, source)
    if vectors.shape[1] == 2 and "method" in given():
        raise click.UsageError(
            "--method has no effect on codes of size 2: they are plotted directly."
        )
    known = None if names[0] is None else names
    return _save(plot_embedding(vectors, known, method=method, random_state=seed), out)


@plot.command()
@_model
@source_options
@labels_option
@click.option(
    "--count", type=click.IntRange(2), default=10_000, help="Number of images, chosen at random."
)
@_seed
@_out
def confusion(models: tuple[Path, ...], count: int, seed: int, out: Path, **source: Any) -> Result:
    """Plot the confusion matrix of the nearest other images."""
    from pyimgret.evaluation import nearest_neighbours
    from pyimgret.visualization import plot_confusion_matrix

    names, vectors = _encoded(_only(models), count, seed, source)
    if names[0] is None:
        raise click.UsageError("--idx needs --labels FILE for the classes of the images.")
    nearest, _ = nearest_neighbours(vectors, k=1)
    return _save(plot_confusion_matrix(names, [names[i] for i in nearest[:, 0]]), out)


@plot.command()
@click.option("--index", "directory", type=PATH, required=True, metavar="DIR")
@click.argument("queries", nargs=-1, required=True, type=PATH)
@click.option("-k", type=POSITIVE, default=5)
@_out
def matches(directory: Path, queries: tuple[Path, ...], k: int, out: Path) -> Result:
    """Plot query images with their nearest matches in an index."""
    from pyimgret.index import Index
    from pyimgret.visualization import plot_matches

    with Index.open(directory) as index:
        found = [index.search(query, k=k) for query in queries]
        thumbnails = [[thumbnail(index, match.key) for match in row] for row in found]
    return _save(plot_matches(queries, thumbnails, scores=[row.scores for row in found]), out)


def thumbnail(index: Any, key: str) -> Any:
    """Return the thumbnail of an item; a pale placeholder if there is none."""
    import numpy as np

    kept = index.thumbnail(key)
    return np.full((28, 28), 240, np.uint8) if kept is None else kept.image


def _encoded(model: Path, count: int, seed: int, options: dict[str, Any]) -> tuple[list[Any], Any]:
    """Return classes (None if unknown) and embeddings of a random choice of images."""
    import numpy as np

    from pyimgret import load
    from pyimgret.cli.embed import encode_all
    from pyimgret.encoder import Encoder

    source = open_images(**options)
    loaded = load(model)
    # A code of two numbers is plotted directly; normalized to length 1 it would be a circle.
    encoder = loaded if loaded.embedding_size == 2 else Encoder(loaded)
    _, names, vectors = encode_all(encoder, source)
    source.report_failures()
    if not len(vectors):
        raise InvalidArgumentError("no image could be read; see the reasons above.")
    drawn = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:count])
    return [names[i] for i in drawn], vectors[drawn]


def _only(models: tuple[Path, ...]) -> Path:
    if len(models) != 1:
        raise click.UsageError("this plot shows one model; give --model once.")
    return models[0]


def _save(figure: Figure, out: Path) -> Result:
    from pyimgret.visualization.style import save

    save(figure, out)
    return Result({"out": str(out)}, f"Wrote {out}.")
