"""``pyimgret embed``: images to vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.common import json_option, print_json
from pyimgret.cli.options import PATH, OutputFile, examples
from pyimgret.cli.sources import ImageSource, open_images, source_options, strict_option
from pyimgret.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def encode_all(
    encoder: Any, source: ImageSource
) -> tuple[list[str], list[Any], npt.NDArray[np.float32]]:
    """Return keys, labels and embeddings of all images that can be read."""
    import numpy as np

    keys: list[str] = []
    labels: list[Any] = []
    vectors = [np.empty((0, encoder.embedding_size), np.float32)]
    for batch_keys, batch_labels, embeddings in _batches(encoder, source):
        keys += batch_keys
        labels += batch_labels
        vectors.append(embeddings)
    return keys, labels, np.concatenate(vectors)


def _batches(encoder: Any, source: ImageSource) -> Iterator[tuple[list[str], list[Any], Any]]:
    import numpy as np

    if isinstance(source.images, np.ndarray) or encoder.preprocessor is None:
        for batch in source.batches(encoder.preprocessor):
            yield batch.keys, batch.labels, encoder.encode(batch.pixels)
        return
    yield from _streamed(encoder, source)


def _streamed(encoder: Any, source: ImageSource) -> Iterator[tuple[list[str], list[Any], Any]]:
    """Encode files while threads decode the next ones."""
    import numpy as np

    from pyimgret.exceptions import ImageDecodeError
    from pyimgret.files.failures import ImageFailure
    from pyimgret.index.ingest.encoding import Prepared, encode_stream

    files: Any = source.images
    source.failed = list(files.failed)
    tasks = progress_bar(files.files, description="encoding", total=len(files))
    loaded = encode_stream(tasks, lambda f: Prepared(encoder.preprocessor.pixels(f.path)), encoder)
    for outcomes in loaded:
        good = [outcome for outcome in outcomes if outcome.vector is not None]
        bad = [ImageFailure(o.task.key, o.reason) for o in outcomes if o.vector is None]
        if bad and files.strict:
            raise ImageDecodeError(f"{bad[0].key}: {bad[0].reason}")
        source.failed += bad
        if good:
            vectors = np.stack([o.vector for o in good if o.vector is not None])
            yield [o.task.key for o in good], [o.task.label for o in good], vectors


@click.command(
    epilog=examples(
        "pyimgret embed --model ae.zip --images DIR --out vectors.npz",
        "pyimgret embed --model ae.zip one.png two.png --json",
    )
)
@click.option("--model", type=PATH, required=True, metavar="FILE")
@source_options
@click.argument("files", nargs=-1, type=PATH)
@click.option(
    "--out",
    type=OutputFile(".npy", ".npz"),
    metavar="FILE",
    help=".npy: the vectors; .npz: 'embeddings' and 'keys'.",
)
@strict_option
@json_option
def embed(
    model: Path,
    files: tuple[Path, ...],
    out: Path | None,
    strict: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Turn images into embeddings: rows of length 1 whose dot products are cosines."""
    from pyimgret.datasets import ImageFiles
    from pyimgret.encoder import Encoder

    if out is None and not as_json:
        raise click.UsageError("no output was chosen; give --out FILE, or --json.")
    if files and any(options.values()):
        raise click.UsageError("give files, or one of --digits, --images and --idx, not both.")
    if files:
        source = ImageSource(ImageFiles(files, strict=strict))
    else:
        source = open_images(**options, strict=strict)
    keys, _, vectors = encode_all(Encoder.load(model), source)
    source.report_failures()
    if out is not None:
        _write(out, keys, vectors)
    if as_json:
        print_json(_document(keys, vectors, source, out))
    else:
        click.echo(f"Wrote {len(keys):,} embeddings of dimension {vectors.shape[1]} to {out}.")


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
    keys: list[str], vectors: npt.NDArray[np.float32], source: ImageSource, out: Path | None
) -> dict[str, Any]:
    document: dict[str, Any] = {"count": len(keys), "dimension": vectors.shape[1]}
    if out is None:
        pairs = zip(keys, vectors, strict=True)
        document["embeddings"] = [{"key": key, "vector": vector} for key, vector in pairs]
    else:
        document["out"] = str(out)
    return document | {"failed": [failure.to_dict() for failure in source.failed]}
