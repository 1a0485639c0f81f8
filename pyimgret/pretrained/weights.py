"""Published weights: looked for on this machine first, else downloaded, always checked."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyimgret.exceptions import ModelFormatError, WeightsNotFoundError
from pyimgret.files.atomic import write_atomically
from pyimgret.progress import progress_bar

_CHUNK = 1 << 18
_TIMEOUT = 30


@dataclass(frozen=True)
class Published:
    """A file of weights: where it was published, and what it must be.

    Attributes
    ----------
    url : str
        Where it was published.
    sha256 : str
        Of the whole file, in hex.
    size : int
        Bytes.
    packages : tuple of str
        Python packages that carry it, as ``package/folder``.
    """

    url: str
    sha256: str
    size: int
    packages: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]


def find_weights(published: Published, given: str | os.PathLike[str] | None = None) -> Path:
    """Return the file of weights.

    Parameters
    ----------
    published : Published
        What is wanted.
    given : path, optional
        The user's own file; it is taken as it is. Without it the file is looked for at
        ``PYIMGRET_WEIGHTS`` (a file or a folder), in pyimgret's and torch's caches and in
        installed packages, and otherwise downloaded into pyimgret's cache.

    Raises
    ------
    WeightsNotFoundError
        When it is nowhere, and cannot be downloaded.
    """
    if given is not None:
        if not Path(given).is_file():
            raise WeightsNotFoundError(f"There are no weights at {os.fspath(given)}.")
        return Path(given)
    for place in _places(published):
        if (
            place.is_file()
            and place.stat().st_size == published.size
            and _sha(place) == published.sha256
        ):
            return place
    return _download(published, _cache() / published.name)


def _places(published: Published) -> Iterator[Path]:
    chosen = os.environ.get("PYIMGRET_WEIGHTS")
    if chosen:
        yield Path(chosen)
        yield Path(chosen) / published.name
    yield _cache() / published.name
    torch = os.environ.get("TORCH_HOME")
    home = Path(torch) if torch else Path.home() / ".cache" / "torch"
    yield home / "hub" / "checkpoints" / published.name
    for package in published.packages:
        name, _, folder = package.partition("/")
        # NB: found, not imported: nothing of the package runs.
        found = importlib.util.find_spec(name)
        for root in (found.submodule_search_locations or []) if found else []:
            yield Path(root) / folder / published.name


def _cache() -> Path:
    from pyimgret.files.cache import cache_folder

    return cache_folder() / "weights"


def _sha(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(published: Published, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_atomically(target, lambda part: _fetch(published, part))
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise WeightsNotFoundError(
            f"The weights {published.name} are not on this machine, and {published.url} cannot "
            f"be reached ({reason}). Copy that file from a machine that is online, and give its "
            "path as weights=... (--weights), or set PYIMGRET_WEIGHTS to its folder."
        ) from error
    return target


def _fetch(published: Published, part: Path) -> None:
    with (
        urllib.request.urlopen(published.url, timeout=_TIMEOUT) as source,
        part.open("wb") as file,
    ):
        _copy(source, file, published)
    if _sha(part) != published.sha256:
        raise ModelFormatError(
            f"What {published.url} sent is not the published file: {part.stat().st_size} bytes "
            f"for {published.size}, or another SHA-256. Try again, or fetch it elsewhere "
            "and give its path as weights=... (--weights)."
        )


def _copy(source: Any, file: Any, published: Published) -> None:
    with progress_bar(
        total=published.size, description=published.name, unit="B", unit_scale=True
    ) as bar:
        taken = 0
        while taken <= published.size and (piece := source.read(_CHUNK)):
            file.write(piece)
            taken += len(piece)
            bar.update(len(piece))
