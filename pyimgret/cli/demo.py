"""``pyimgret demo``: an end-to-end example on 5,000 handwritten digits."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pyimgret.cli.common import Result, json_option, table
from pyimgret.cli.options import Output
from pyimgret.exceptions import InvalidArgumentError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pyimgret.evaluation import RetrievalReport
    from pyimgret.index import Index

CODE_SIZE: Final = 30
QUERIES: Final = 1000
SEED: Final = 2006
RECIPE: Final[dict[str, Any]] = {
    "hidden_sizes": (500, 250),
    "code_size": CODE_SIZE,
    "random_state": SEED,
}
"""Settings of the autoencoder; the others have their defaults."""


@dataclass(frozen=True)
class Split:
    """A random split of the digits: the training images, which form the index, and the queries."""

    database: npt.NDArray[np.uint8]
    database_labels: npt.NDArray[np.int64]
    queries: npt.NDArray[np.uint8]
    query_labels: npt.NDArray[np.int64]

    def evaluate(self, database: Any, queries: Any) -> RetrievalReport:
        """Return the retrieval metrics of embeddings of the two parts."""
        from pyimgret.evaluation import retrieval_report

        return retrieval_report(
            database, self.database_labels, queries=queries, query_labels=self.query_labels
        )


@click.command()
@click.option(
    "--out",
    type=Output(folder=True),
    default=Path("demo"),
    metavar="DIR",
    help="Folder for the results.",
)
@json_option
def demo(out: Path) -> Result:
    """Train on handwritten digits, search them, and compare with pixels, PCA and SVD.

    An autoencoder is trained on 4,000 digits without labels, which form the index; 1,000
    others are the queries. This takes a minute or two.
    """
    from pyimgret.evaluation import raw_pixels
    from pyimgret.visualization.style import new_figure

    start = time.perf_counter()
    new_figure(1, 1)  # report a missing matplotlib before the training
    _make_folder(out)
    split = load_split()
    models = train_models(split)
    pixels = raw_pixels(split.database), raw_pixels(split.queries)
    reports = {"raw pixels": split.evaluate(*pixels)}
    for name, model in models.items():
        reports[name] = split.evaluate(model.encode(split.database), model.encode(split.queries))
    _log_step("Indexing and drawing")
    write_results(out, split, models)
    seconds = time.perf_counter() - start
    names = ["ae.zip", "index", "matches.png", "weights.png", "reconstructions.png", "queries"]
    document = {
        "methods": {n: {"dimension": _dimension(n)} | r.to_dict() for n, r in reports.items()},
        "seconds": round(seconds, 1),
        "files": [str(out / name) for name in names],
    }
    return Result(document, _text(reports, out, seconds))


def load_split() -> Split:
    """Return a random split of the digits with a fixed seed."""
    import numpy as np

    from pyimgret.datasets import load_digits

    images, labels = load_digits()
    order = np.random.default_rng(SEED).permutation(len(images))
    query_rows, database_rows = order[:QUERIES], order[QUERIES:]
    return Split(
        images[database_rows], labels[database_rows], images[query_rows], labels[query_rows]
    )


def train_models(split: Split) -> dict[str, Any]:
    """Return PCA, SVD and an autoencoder fitted on the database, without labels."""
    from pyimgret.models import PCA, SVD, DenoisingAutoencoder

    models: dict[str, Any] = {
        "PCA": PCA(CODE_SIZE, random_state=SEED),
        "SVD": SVD(CODE_SIZE, random_state=SEED),
        "autoencoder": DenoisingAutoencoder(**RECIPE),
    }
    for name, model in models.items():
        _log_step(f"Training {name} on {len(split.database):,} digits")
        model.fit(split.database)
    return models


def write_results(out: Path, split: Split, models: dict[str, Any]) -> None:
    """Write the model, the index, the figures, and some queries to try."""
    import numpy as np
    from PIL import Image

    model = models["autoencoder"]
    model.save(out / "ae.zip")
    shown = np.unique(split.query_labels, return_index=True)[1].tolist()  # one of each class
    (out / "queries").mkdir(exist_ok=True)
    for row in shown:
        name = f"{split.query_labels[row]}.png"
        Image.fromarray(split.queries[row]).save(out / "queries" / name)
    with build_index(out / "index", split, model) as index:
        _draw_matches(out / "matches.png", split, shown, index)
    _draw_models(out, split.queries[shown], models)


def build_index(directory: Path, split: Split, model: Any) -> Index:
    """Create an index of the database; an older one of the demo is replaced."""
    from pyimgret.index import Index

    if directory.exists():
        shutil.rmtree(directory)
    index = Index.create(directory, model)
    labels = split.database_labels.tolist()
    keys = [f"digit-{number:04d}" for number in range(len(labels))]
    index.add(split.database, keys=keys, metadata=[{"label": label} for label in labels])
    return index


def _draw_matches(path: Path, split: Split, shown: list[int], index: Index) -> None:
    from pyimgret.visualization import plot_matches

    found = [index.search(split.queries[row], k=5) for row in shown]
    places = [[int(match.key.removeprefix("digit-")) for match in row] for row in found]
    figure = plot_matches(
        split.queries[shown],
        [split.database[row] for row in places],
        scores=[row.scores for row in found],
        query_labels=split.query_labels[shown],
        match_labels=[split.database_labels[row] for row in places],
        title=f"Nearest of {len(split.database):,} digits, by codes of size {CODE_SIZE}",
    )
    figure.savefig(path)


def _draw_models(out: Path, images: npt.NDArray[np.uint8], models: dict[str, Any]) -> None:
    import numpy as np

    from pyimgret.models.weights import first_layer
    from pyimgret.visualization import plot_reconstructions, plot_weights

    W, shape = first_layer(models["autoencoder"])
    figure = plot_weights(W, shape=shape, title="Weights of the first layer")
    figure.savefig(out / "weights.png")
    rows = {name: model.reconstruct(images) for name, model in models.items()}
    errors = {name: float(np.mean((row - images / 255) ** 2)) for name, row in rows.items()}
    title = f"Reconstructions from codes of size {CODE_SIZE} (with mean squared errors)"
    figure = plot_reconstructions(images, rows, errors=errors, title=title)
    figure.savefig(out / "reconstructions.png")


def _make_folder(out: Path) -> None:
    """Create the folder; refuse to replace an index that the demo did not create."""
    from pyimgret.index import Index

    out.mkdir(parents=True, exist_ok=True)
    index = out / "index"
    if not index.exists():
        return
    if (index / "index.sqlite").is_file():
        with Index.open(index) as opened:
            if all(key.startswith("digit-") for key in opened.keys()):  # noqa: SIM118
                return
    raise InvalidArgumentError(
        f"{index} exists and was not created by the demo; choose another --out, or move it away."
    )


def _log_step(text: str) -> None:
    click.echo(f"{text} …", err=True)


def _text(reports: dict[str, RetrievalReport], out: Path, seconds: float) -> str:
    rows = [
        [
            name,
            str(_dimension(name)),
            f"{r.precision[1]:.3f}",
            f"{r.precision[10]:.3f}",
            f"{r.mean_average_precision:.3f}",
        ]
        for name, r in reports.items()
    ]
    n_database = reports["raw pixels"].n_database
    return "\n".join(
        [
            "",
            table(["", "numbers", "P@1", "P@10", "mAP"], rows),
            "",
            f"{QUERIES:,} queries against {n_database:,} digits, by cosine; "
            "labels were not used in training.",
            f"See {out / 'matches.png'}, weights.png and reconstructions.png ({seconds:.0f} s).",
            f"Next:  pyimgret search --index {out / 'index'} {out / 'queries' / '7.png'}",
        ]
    )


def _dimension(name: str) -> int:
    return 28 * 28 if name == "raw pixels" else CODE_SIZE
