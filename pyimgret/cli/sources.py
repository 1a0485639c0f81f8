"""Where pictures come from: ``--digits``, ``--images DIR`` or ``--idx FILE``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pyimgret.cli.options import Dependent
from pyimgret.exceptions import InvalidArgumentError
from pyimgret.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pyimgret.datasets import ImageFiles, ImageFolder
    from pyimgret.files.failures import ImageFailure
    from pyimgret.preprocessing import Preprocessor

    Pixels = npt.NDArray[np.uint8]

Command = TypeVar("Command", bound=Callable[..., object])
BATCH = 256


@dataclass(frozen=True)
class Batch:
    """Some pictures at the size that a model wants, with their keys and classes."""

    keys: list[str]
    labels: list[Any]
    pixels: Pixels


@dataclass
class Pictures:
    """Pictures with keys and, where there are any, classes.

    Attributes
    ----------
    images : ndarray of uint8 (n, h, w[, 3]), or ImageFiles
    labels : ndarray or None
        Of arrays; those of a folder are the names of its folders.
    skipped : list of ImageFailure
        The files that the last reading left out.
    """

    images: Pixels | ImageFiles
    labels: npt.NDArray[Any] | None = None
    skipped: list[ImageFailure] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, preprocessor: Preprocessor | None) -> Iterator[Batch]:
        """Yield the pictures in order; broken files go to `skipped`."""
        import numpy as np

        if isinstance(self.images, np.ndarray):
            yield from self._slices(self.images)
            return
        if preprocessor is None:
            raise click.UsageError(
                "this model reads vectors, not pictures; it cannot take --images."
            )
        yield from self._decoded(self.images, preprocessor)

    def _slices(self, images: Pixels) -> Iterator[Batch]:
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            keys = [str(number) for number in range(start, min(start + BATCH, len(images)))]
            labels = [None] * len(keys) if self.labels is None else self.labels[part].tolist()
            yield Batch(keys, labels, images[part])

    def _decoded(self, files: ImageFiles, preprocessor: Preprocessor) -> Iterator[Batch]:
        import numpy as np

        keys, labels, pixels = [], [], []
        reading = files.read(preprocessor.pixels)
        for file, image in progress_bar(reading, description="reading", total=len(files)):
            keys.append(file.key)
            labels.append(file.label)
            pixels.append(image)
            if len(keys) == BATCH:
                yield Batch(keys, labels, np.stack(pixels))
                keys, labels, pixels = [], [], []
        if keys:
            yield Batch(keys, labels, np.stack(pixels))
        self.skipped = list(files.broken)

    def array(self, preprocessor: Preprocessor | None) -> Pixels:
        """Return all pictures as one array (n, h, w[, 3])."""
        import numpy as np

        if isinstance(self.images, np.ndarray):
            return self.images
        parts = [batch.pixels for batch in self.batches(preprocessor)]
        if not parts:
            raise InvalidArgumentError(
                f"none of the {len(self)} files is a picture that can be read."
            )
        return np.concatenate(parts)

    def report_skipped(self) -> None:
        """Say on standard error what was left out, and why."""
        report_skipped(self.skipped)


def report_skipped(skipped: list[ImageFailure]) -> None:
    """Say on standard error what was left out, and why."""
    for broken in skipped:
        click.echo(f"skipped {broken.key}: {broken.reason}", err=True)


class ExistingPath(click.Path):
    """A file or folder that is there; of a URL it says that none is fetched."""

    def __init__(self) -> None:
        super().__init__(exists=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        from pyimgret.preprocessing.decoding import URL_ADVICE, is_url

        if is_url(value):
            self.fail(f"{value}: {URL_ADVICE}", param, ctx)
        return super().convert(value, param, ctx)


_HIDDEN = "pyimgret.hidden"


def _note_hidden(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[_HIDDEN] = value


def hidden_option(command: Command) -> Command:
    """Add ``--hidden``, which `open_folder` and `hidden_wanted` know of."""
    return click.option(
        "--hidden", is_flag=True, expose_value=False, callback=_note_hidden,
        help="Take hidden and system files of a folder too (names with a dot in front, "
        "Thumbs.db, …).",
    )(command)  # fmt: skip


def hidden_wanted() -> bool:
    """Tell whether the command was given ``--hidden``."""
    return bool(click.get_current_context().meta.get(_HIDDEN))


def open_folder(path: Path, *, strict: bool = False) -> ImageFolder:
    """List the images below a folder, and say on standard error how many hidden ones it has."""
    from pyimgret.datasets import ImageFolder

    folder = ImageFolder(path, strict=strict, hidden=hidden_wanted())
    report_hidden(folder.hidden_skipped)
    return folder


def report_hidden(count: int) -> None:
    """Say on standard error what was left out because it is hidden."""
    if count:
        click.echo(f"left out {count:,} hidden files and folders; --hidden takes them.", err=True)


def source_options(command: Command) -> Command:
    """Add ``--digits``, ``--images``, ``--idx`` and ``--hidden``."""
    command = hidden_option(command)
    for option in (
        click.option("--idx", type=click.Path(path_type=Path), metavar="FILE",
                     help="Images in IDX format (MNIST), gzipped or not."),
        click.option("--images", type=click.Path(path_type=Path), metavar="DIR",
                     help="A folder of pictures; its folders are the classes."),
        click.option("--digits", is_flag=True, help="The 5,000 digits of the extra 'demo'."),
    ):  # fmt: skip
        command = option(command)
    return command


labels_option = click.option(
    "--labels", cls=Dependent, needs="idx", type=click.Path(path_type=Path), metavar="FILE",
    help="With --idx: the classes, in IDX format.",
)  # fmt: skip
"""``--labels``: folders and digits have classes of their own."""


def open_pictures(
    digits: bool,
    images: Path | None,
    idx: Path | None,
    *,
    labels: Path | None = None,
    strict: bool = False,
) -> Pictures:
    """Return the pictures that the options name; exactly one of them must be given."""
    from pyimgret.datasets import load_digits

    if sum((digits, images is not None, idx is not None)) != 1:
        raise click.UsageError("give exactly one of --digits, --images DIR and --idx FILE.")
    if digits:
        return Pictures(*load_digits())
    if images is not None:
        folder = open_folder(images, strict=strict)
        if not len(folder):
            raise InvalidArgumentError(f"{images}: the folder holds no files.")
        return Pictures(folder)
    assert idx is not None
    return _from_idx(idx, labels)


def _from_idx(path: Path, labels: Path | None) -> Pictures:
    from pyimgret.datasets import load_idx

    array = load_idx(path)
    if array.dtype.name != "uint8" or array.ndim not in (3, 4) or not len(array):
        raise InvalidArgumentError(
            f"{path}: holds {array.dtype} {array.shape}; expected uint8 images (n, h, w)."
        )
    if labels is None:
        return Pictures(array)
    names = load_idx(labels)
    if names.shape != array.shape[:1]:
        raise InvalidArgumentError(f"{labels}: holds {names.shape} labels for {len(array)} images.")
    return Pictures(array, names)
