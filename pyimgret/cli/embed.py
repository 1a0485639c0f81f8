"""``pyimgret embed``: pictures to vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.common import json_option, print_json
from pyimgret.cli.options import OutputFile, examples
from pyimgret.cli.sources import Pictures, open_pictures, source_options
from pyimgret.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def encode_all(
    encoder: Any, pictures: Pictures
) -> tuple[list[str], list[Any], npt.NDArray[np.float32]]:
    """Return keys, labels and embeddings of all pictures that can be read."""
    import numpy as np

    keys: list[str] = []
    labels: list[Any] = []
    vectors = [np.empty((0, encoder.embedding_size), np.float32)]
    for batch_keys, batch_labels, embeddings in _batches(encoder, pictures):
        keys += batch_keys
        labels += batch_labels
        vectors.append(embeddings)
    return keys, labels, np.concatenate(vectors)


def _batches(encoder: Any, pictures: Pictures) -> Iterator[tuple[list[str], list[Any], Any]]:
    import numpy as np

    if isinstance(pictures.images, np.ndarray) or encoder.preprocessor is None:
        for batch in pictures.batches(encoder.preprocessor):
            yield batch.keys, batch.labels, encoder.encode(batch.pixels)
        return
    yield from _streamed(encoder, pictures)


def _streamed(encoder: Any, pictures: Pictures) -> Iterator[tuple[list[str], list[Any], Any]]:
    """Encode files while the next ones are decoded by threads."""
    import numpy as np

    from pyimgret.exceptions import ImageDecodeError
    from pyimgret.files.failures import ImageFailure
    from pyimgret.index.ingest.encoding import Prepared, encode_stream

    files: Any = pictures.images
    pictures.skipped = list(files.broken)
    tasks = progress_bar(files.files, description="encoding", total=len(files))
    loaded = encode_stream(tasks, lambda f: Prepared(encoder.preprocessor.pixels(f.path)), encoder)
    for outcomes in loaded:
        good = [outcome for outcome in outcomes if outcome.vector is not None]
        bad = [ImageFailure(o.task.key, o.reason) for o in outcomes if o.vector is None]
        if bad and files.strict:
            raise ImageDecodeError(f"{bad[0].key}: {bad[0].reason}")
        pictures.skipped += bad
        if good:
            vectors = np.stack([o.vector for o in good if o.vector is not None])
            yield [o.task.key for o in good], [o.task.label for o in good], vectors


@click.command(
    epilog=examples(
        "pyimgret embed --model ae.zip --images DIR --out vectors.npz",
        "pyimgret embed --model ae.zip one.png two.png --json",
    )
)
@click.option("--model", type=click.Path(path_type=Path), required=True, metavar="FILE")
@source_options
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=OutputFile(".npy", ".npz"),
    metavar="FILE",
    help=".npy: the vectors; .npz: 'embeddings' and 'keys'.",
)
@click.option("--strict", is_flag=True, help="A picture that cannot be read ends the run.")
@json_option
def embed(
    model: Path, digits: bool, images: Path | None, idx: Path | None, files: tuple[Path, ...],
    out: Path | None, strict: bool, as_json: bool,
) -> None:  # fmt: skip
    """Turn images into embeddings: rows of length 1 whose dot products are cosines."""
    from pyimgret.datasets import ImageFiles
    from pyimgret.encoder import Encoder

    if out is None and not as_json:
        raise click.UsageError("where should the vectors go? Give --out FILE, or --json.")
    if files and (digits or images or idx):
        raise click.UsageError("give files, or one of --digits, --images and --idx, not both.")
    if files:
        pictures = Pictures(ImageFiles(files, strict=strict))
    else:
        pictures = open_pictures(digits, images, idx, strict=strict)
    keys, _, vectors = encode_all(Encoder.load(model), pictures)
    pictures.report_skipped()
    if out is not None:
        _write(out, keys, vectors)
    if as_json:
        print_json(_document(keys, vectors, pictures, out))
    else:
        click.echo(f"Wrote {len(keys):,} embeddings of {vectors.shape[1]} numbers to {out}.")


def _write(out: Path, keys: list[str], vectors: npt.NDArray[np.float32]) -> None:
    import numpy as np

    from pyimgret.files.atomic import write_atomically

    def dump(target: Path) -> None:
        with target.open("wb") as file:
            if out.suffix.lower() == ".npy":
                np.save(file, vectors)
            else:
                np.savez(file, embeddings=vectors, keys=np.array(keys))

    write_atomically(out, dump)


def _document(
    keys: list[str], vectors: npt.NDArray[np.float32], pictures: Pictures, out: Path | None
) -> dict[str, Any]:
    document: dict[str, Any] = {"count": len(keys), "dimension": vectors.shape[1]}
    if out is None:
        pairs = zip(keys, vectors, strict=True)
        document["embeddings"] = [{"key": key, "vector": vector} for key, vector in pairs]
    else:
        document["out"] = str(out)
    return document | {"skipped": [broken.to_dict() for broken in pictures.skipped]}
