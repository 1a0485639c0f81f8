"""``pyimgret embed``: images to vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.common import Result, json_option, wants_json
from pyimgret.cli.options import PATH, Output, examples
from pyimgret.cli.sources import ImageSource, open_images, source_options, strict_option
from pyimgret.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def encode_all(
    encoder: Any, source: ImageSource
) -> tuple[list[str], list[Any], npt.NDArray[np.float32]]:
    """Return keys, labels and embeddings of all images that can be read.

    Files are encoded while threads decode the next ones.
    """
    import numpy as np

    from pyimgret.exceptions import ImageDecodeError
    from pyimgret.files.failures import ImageFailure
    from pyimgret.index.ingest.encoding import Prepared, encode_stream

    if isinstance(source.images, np.ndarray) or encoder.preprocessor is None:
        keys, labels, pixels = source.read(encoder.preprocessor)
        return keys, labels, encoder.encode(pixels)
    files = source.images
    source.failed = list(files.failed)
    tasks = progress_bar(files.files, description="encoding", total=len(files))
    encoded: list[tuple[Any, Any]] = []
    for outcomes in encode_stream(
        tasks, lambda file: Prepared(encoder.preprocessor.pixels(file.path)), encoder
    ):
        for outcome in outcomes:
            if outcome.vector is not None:
                encoded.append((outcome.task, outcome.vector))
            elif files.strict:
                raise ImageDecodeError(f"{outcome.task.key}: {outcome.reason}")
            else:
                source.failed.append(ImageFailure(outcome.task.key, outcome.reason))
    vectors = np.array([vector for _, vector in encoded], dtype=np.float32)
    vectors = vectors.reshape(len(encoded), encoder.embedding_size)
    return [file.key for file, _ in encoded], [file.label for file, _ in encoded], vectors


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
    type=Output(".npy", ".npz"),
    metavar="FILE",
    help=".npy: the vectors; .npz: 'embeddings' and 'keys'.",
)
@strict_option
@json_option
def embed(
    model: Path, files: tuple[Path, ...], out: Path | None, strict: bool, **options: Any
) -> Result:
    """Turn images into embeddings: rows of length 1 whose dot products are cosines."""
    from pyimgret.datasets import ImageFiles
    from pyimgret.encoder import Encoder

    if out is None and not wants_json():
        raise click.UsageError("no output was chosen; give --out FILE, or --json.")
    if files and any(options.values()):
        raise click.UsageError("give files, or one of --digits, --images and --idx, not both.")
    if files:
        source = ImageSource(ImageFiles(files, strict=strict))
    else:
        source = open_images(**options, strict=strict)
    keys, _, vectors = encode_all(Encoder.load(model), source)
    source.report_failures()
    document: dict[str, Any] = {"count": len(keys), "dimension": vectors.shape[1]}
    if out is None:
        pairs = zip(keys, vectors, strict=True)
        document["embeddings"] = [{"key": key, "vector": vector} for key, vector in pairs]
    else:
        _write(out, keys, vectors)
        document["out"] = str(out)
    document["failed"] = [failure.to_dict() for failure in source.failed]
    text = f"Wrote {len(keys):,} embeddings of dimension {vectors.shape[1]} to {out}."
    return Result(document, text)


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
