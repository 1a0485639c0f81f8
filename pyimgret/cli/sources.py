"""Sources of images: ``--digits``, ``--images DIR`` or ``--idx FILE``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyimgret.cli.options import PATH, dependent_option, stacked
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pyimgret.datasets import ImageFiles, ImageFolder
    from pyimgret.files.failures import ImageFailure
    from pyimgret.preprocessing import Preprocessor

    Pixels = npt.NDArray[np.uint8]


@dataclass
class ImageSource:
    """Images with keys and optional classes.

    Attributes
    ----------
    images : ndarray of uint8 (n, h, w[, 3]), or ImageFiles
    labels : ndarray or None
        Classes of an array; in a folder, the subfolders are the classes.
    failed : list of ImageFailure
        The files that could not be read.
    """

    images: Pixels | ImageFiles
    labels: npt.NDArray[Any] | None = None
    failed: list[ImageFailure] = field(default_factory=list)

    def read(self, preprocessor: Preprocessor | None) -> tuple[list[str], list[Any], Pixels]:
        """Return keys, classes and pixels (n, h, w[, 3]); unreadable files are added to `failed`.

        An array is returned as it is, files at the input size of the model.
        """
        import numpy as np

        if isinstance(self.images, np.ndarray):
            labels = [None] * len(self.images) if self.labels is None else self.labels.tolist()
            return [str(number) for number in range(len(self.images))], labels, self.images
        if preprocessor is None:
            raise click.UsageError(
                "this model takes vectors, not images; it cannot be used with --images."
            )
        total = len(self.images)
        reading = self.images.read(preprocessor.pixels)
        found = list(progress_bar(reading, description="reading", total=total))
        self.failed = list(self.images.failed)
        if not found:
            raise InvalidArgumentError(f"none of the {total} files is a readable image.")
        pixels = np.stack([image for _, image in found])
        return [file.key for file, _ in found], [file.label for file, _ in found], pixels

    def report_failures(self) -> None:
        """Print on standard error what was skipped, and why."""
        report_failures(self.failed)


def report_failures(failed: list[ImageFailure]) -> None:
    """Print on standard error what was skipped, and why."""
    for failure in failed:
        click.echo(f"skipped {failure.key}: {failure.reason}", err=True)


class ExistingPath(click.Path):
    """An existing file or folder; URLs are rejected with advice."""

    def __init__(self) -> None:
        super().__init__(exists=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        from pyimgret.preprocessing.decoding import URL_ADVICE, is_url

        if is_url(value):
            self.fail(f"{value}: {URL_ADVICE}", param, ctx)
        return super().convert(value, param, ctx)


_HIDDEN = "pyimgret.hidden"


def _store_hidden(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[_HIDDEN] = value


hidden_option = click.option(
    "--hidden",
    is_flag=True,
    expose_value=False,
    callback=_store_hidden,
    help="Include hidden and system files of a folder (names with a leading dot, Thumbs.db, …).",
)
"""``--hidden``, which `open_folder` and `include_hidden` read."""


def include_hidden() -> bool:
    """Return whether ``--hidden`` was given."""
    return bool(click.get_current_context().meta.get(_HIDDEN))


def open_folder(path: Path, *, strict: bool = False) -> ImageFolder:
    """List the images in a folder, and print the number of hidden ones on standard error."""
    from pyimgret.datasets import ImageFolder

    folder = ImageFolder(path, strict=strict, hidden=include_hidden())
    for note in hidden_note(folder.hidden_skipped):
        click.echo(note, err=True)
    return folder


def hidden_note(count: int) -> list[str]:
    """Return the line about hidden files that were skipped, if there were any."""
    return [f"skipped {count:,} hidden files and folders; --hidden includes them."] if count else []


source_options = stacked(
    click.option("--digits", is_flag=True, help="5,000 handwritten digits (extra 'demo')."),
    click.option(
        "--images", type=PATH, metavar="DIR", help="Folder of images; its subfolders are classes."
    ),
    click.option("--idx", type=PATH, metavar="FILE", help="IDX file (MNIST), gzipped or not."),
    hidden_option,
)
"""``--digits``, ``--images``, ``--idx`` and ``--hidden``."""

strict_option = click.option(
    "--strict", is_flag=True, help="Stop at the first image that cannot be read."
)

labels_option = dependent_option(
    "--labels", needs="idx", type=PATH, metavar="FILE", help="With --idx: the classes, as IDX."
)
"""``--labels``: folders and digits have their own classes."""


def open_images(
    digits: bool,
    images: Path | None,
    idx: Path | None,
    *,
    labels: Path | None = None,
    strict: bool = False,
) -> ImageSource:
    """Return the images of the given option; exactly one must be given."""
    from pyimgret.datasets import load_digits

    if sum((digits, images is not None, idx is not None)) != 1:
        raise click.UsageError("give exactly one of --digits, --images DIR and --idx FILE.")
    if digits:
        return ImageSource(*load_digits())
    if images is not None:
        folder = open_folder(images, strict=strict)
        if not len(folder):
            raise InvalidArgumentError(f"{images}: the folder contains no files.")
        return ImageSource(folder)
    assert idx is not None
    return _from_idx(idx, labels)


def _from_idx(path: Path, labels: Path | None) -> ImageSource:
    from pyimgret.datasets import load_idx

    array = load_idx(path)
    if array.dtype.name != "uint8" or array.ndim not in (3, 4) or not len(array):
        raise InvalidArgumentError(
            f"{path}: contains {array.dtype} {array.shape}; expected uint8 images (n, h, w)."
        )
    if labels is None:
        return ImageSource(array)
    names = load_idx(labels)
    if names.shape != array.shape[:1]:
        raise InvalidArgumentError(
            f"{labels}: contains {names.shape} labels for {len(array)} images."
        )
    return ImageSource(array, names)
