"""The file of a model: a Deeplearning4j zip with one more entry, ``pyimgret.json``.

Plain Deeplearning4j restores the zip (``ModelSerializer``) and never looks at that entry.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from pyimgret.exceptions import ModelFormatError
from pyimgret.files.atomic import write_atomically
from pyimgret.jvm.bridge import bridge
from pyimgret.jvm.network import JavaNetwork

METADATA = "pyimgret.json"
FORMAT = 1


def write(network: JavaNetwork, description: dict[str, Any], path: Path) -> None:
    """Write a model; an existing file is replaced when the new one is complete and on disk."""
    write_atomically(path, lambda target: _write(network, description, target))


def _write(network: JavaNetwork, description: dict[str, Any], target: Path) -> None:
    network.write(target)
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(METADATA, json.dumps(description, indent=1))


def read_metadata(path: Path) -> dict[str, Any] | None:
    """Return what ``pyimgret.json`` says, or None for a zip of plain Deeplearning4j.

    Raises
    ------
    ModelFormatError
        When the file is broken, hostile, or of a newer version.
    """
    text = bridge().call("readMetadata", str(path))
    if not text:
        return None
    try:
        metadata = json.loads(text)
    except ValueError as error:
        raise ModelFormatError(f"{path}: {METADATA} is not JSON: {error}") from error
    if not isinstance(metadata, dict) or not isinstance(metadata.get("format"), int):
        raise ModelFormatError(f"{path}: {METADATA} does not say its format version.")
    if metadata["format"] > FORMAT:
        raise ModelFormatError(
            f"{path} has format version {metadata['format']}, written by "
            f"{metadata.get('library', 'a newer pyimgret')}; this one reads up to {FORMAT}. "
            "Upgrade pyimgret."
        )
    return metadata
