"""``pyimgret plot``: pictures of models, maps of embeddings, strips of matches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pyimgret.cli.common import json_option, print_json
from pyimgret.cli.options import FigureFile, given
from pyimgret.cli.sources import labels_option, open_pictures, source_options
from pyimgret.exceptions import InvalidArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Command = TypeVar("Command", bound=Callable[..., object])

_model = click.option("--model", "models", type=click.Path(path_type=Path), required=True,
                      multiple=True, metavar="FILE")  # fmt: skip
_seed = click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
                     help="Of the drawing of pictures.")  # fmt: skip


def _out(command: Command) -> Command:
    option = click.option("--out", type=FigureFile(), required=True, metavar="FILE",
                          help="The figure: .png, .svg, .pdf, ….")  # fmt: skip
    return option(json_option(command))


@click.group()
def plot() -> None:
    """Draw models, embeddings and matches into a file."""


@plot.command()
@_model
@click.option("--count", type=click.IntRange(1), default=100, show_default=True)
@click.option("--scale", type=click.Choice(["tile", "global"]), default="tile", show_default=True)
@click.option("--layer", type=click.IntRange(1), default=1, show_default=True,
              help="Of dense layers: a higher one is seen through those below it.")  # fmt: skip
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True), metavar="DIR",
              help="Of a deep-autoencoder: its machines, as pretraining left them.")  # fmt: skip
@_out
def weights(
    models: tuple[Path, ...], count: int, scale: Any, layer: int, checkpoint: Path | None,
    out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Draw what the units of a layer look for."""
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
    _save(plot_weights(W, shape=shape, n=count, scale=scale), out, as_json)


@plot.command()
@_model
@click.option("--what", type=click.Choice(["loss", "error", "free_energy_gap"]), default="loss",
              show_default=True, help="The last two are a deep-autoencoder's.")  # fmt: skip
@_out
def history(models: tuple[Path, ...], what: str, out: Path, as_json: bool) -> None:
    """Draw the loss of every epoch of training."""
    from pyimgret import load
    from pyimgret.visualization import plot_history

    _save(plot_history(load(_only(models)).history_, what=what), out, as_json)


@plot.command()
@_model
@source_options
@click.option("--count", type=click.IntRange(1), default=10, show_default=True)
@_seed
@_out
def reconstructions(
    models: tuple[Path, ...], digits: bool, images: Path | None, idx: Path | None, count: int,
    seed: int, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Draw what one or more models (--model, again and again) make of pictures."""
    import numpy as np

    from pyimgret import load
    from pyimgret.visualization import plot_reconstructions

    loaded = {path.stem: load(path) for path in models}
    first = next(iter(loaded.values()))
    X = open_pictures(digits, images, idx).array(first.preprocessor)
    drawn = np.random.default_rng(seed).permutation(len(X))[:count]
    rows = {name: _unscaled(model, X[drawn]) for name, model in loaded.items()}
    _save(plot_reconstructions(X[drawn], rows), out, as_json)


@plot.command()
@_model
@source_options
@labels_option
@click.option(
    "--count",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    help="So many pictures, drawn at random.",
)
@click.option("--method", type=click.Choice(["tsne", "pca"]), default="tsne", show_default=True)
@_seed
@_out
def embedding(
    models: tuple[Path, ...], digits: bool, images: Path | None, idx: Path | None,
    labels: Path | None, count: int, method: Any, seed: int, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Draw a map on which similar pictures lie together, coloured by class."""
    from pyimgret.visualization import plot_embedding

    names, vectors = _encoded(_only(models), digits, images, idx, labels, count, seed)
    if vectors.shape[1] == 2 and "method" in given():
        raise click.UsageError("--method does nothing with a code of 2 numbers: it is the map.")
    known = None if names[0] is None else names
    _save(plot_embedding(vectors, known, method=method, random_state=seed), out, as_json)


@plot.command()
@_model
@source_options
@labels_option
@click.option(
    "--count",
    type=click.IntRange(2),
    default=10_000,
    show_default=True,
    help="So many pictures, drawn at random.",
)
@_seed
@_out
def confusion(
    models: tuple[Path, ...], digits: bool, images: Path | None, idx: Path | None,
    labels: Path | None, count: int, seed: int, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Draw which classes are taken for which, going by the nearest other picture."""
    from pyimgret.evaluation import nearest_neighbours
    from pyimgret.visualization import plot_confusion_matrix

    names, vectors = _encoded(_only(models), digits, images, idx, labels, count, seed)
    if names[0] is None:
        raise click.UsageError("--idx needs --labels FILE: which class is each image?")
    nearest, _ = nearest_neighbours(vectors, k=1)
    _save(plot_confusion_matrix(names, [names[i] for i in nearest[:, 0]]), out, as_json)


@plot.command()
@click.option("--index", "directory", type=click.Path(path_type=Path), required=True, metavar="DIR")
@click.argument("queries", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-k", type=click.IntRange(1), default=5, show_default=True)
@_out
def matches(directory: Path, queries: tuple[Path, ...], k: int, out: Path, as_json: bool) -> None:
    """Draw query pictures, and beside each the nearest ones of an index."""
    from pyimgret.index import Index
    from pyimgret.visualization import plot_matches

    with Index.open(directory) as index:
        found = [index.search(query, k=k) for query in queries]
        pictures = [[thumbnail(index, match.key) for match in row] for row in found]
    _save(plot_matches(queries, pictures, scores=[row.scores for row in found]), out, as_json)


def _unscaled(model: Any, images: Any) -> Any:
    """Return what a model makes of images, on the scale 0..1 of images."""
    made = model.reconstruct(images)
    return made if model.preprocessor is None else model.preprocessor.unscale(made)


def thumbnail(index: Any, key: str) -> Any:
    """Return the small picture of an index's item; a pale one when there is none."""
    import numpy as np

    kept = index.thumbnail(key)
    return np.full((28, 28), 240, np.uint8) if kept is None else kept.image


def _encoded(
    model: Path, digits: bool, images: Path | None, idx: Path | None, labels: Path | None,
    count: int, seed: int,
) -> tuple[list[Any], Any]:  # fmt: skip
    """Return classes (None where unknown) and embeddings of some of the pictures."""
    import numpy as np

    from pyimgret import load
    from pyimgret.cli.embed import encode_all
    from pyimgret.encoder import Encoder

    pictures = open_pictures(digits, images, idx, labels=labels)
    loaded = load(model)
    # A code of two numbers is a map itself; brought to length 1 it would be a circle.
    encoder = loaded if loaded.embedding_size == 2 else Encoder(loaded)
    _, names, vectors = encode_all(encoder, pictures)
    pictures.report_skipped()
    if not len(vectors):
        raise InvalidArgumentError("no picture could be read.")
    drawn = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:count])
    return [names[i] for i in drawn], vectors[drawn]


def _only(models: tuple[Path, ...]) -> Path:
    if len(models) != 1:
        raise click.UsageError("this picture shows one model; give --model once.")
    return models[0]


def _save(figure: Figure, out: Path, as_json: bool) -> None:
    from pyimgret.visualization.style import save

    save(figure, out)
    if as_json:
        print_json({"out": str(out)})
    else:
        click.echo(f"Wrote {out}.")
