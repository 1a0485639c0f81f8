"""The files of a `pyimgret.index.search.scan.RowCache`.

One file per column, stored row by row, and a header that is replaced atomically and
contains the number of valid rows. Rows are only appended, so that other processes can keep
reading their mapping. The header contains a checksum of each file: files that are
damaged or do not belong together are detected when they are opened, and deleted.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret.files.atomic import write_atomically
from pyimgret.files.keys import new_uuid
from pyimgret.index.search.parts import Part
from pyimgret.index.storage.arrays import Array, RowIds
from pyimgret.index.storage.locks import try_lock

_FORMAT = 1


@dataclass(frozen=True)
class Layout:
    """The name of a cache, and the type and width of each column.

    Attributes
    ----------
    name : str
    columns : dict of str to (dtype, int)
        The NumPy type and the number of values per row; 0 means a scalar.
    """

    name: str
    columns: Mapping[str, tuple[str, int]]

    def all_columns(self) -> dict[str, tuple[str, int]]:
        """Return the columns, preceded by the row ids."""
        return {"numbers": ("<i8", 0), **self.columns}


@dataclass(frozen=True)
class Loaded:
    """The contents of the files of a cache."""

    uuid: str
    revision: int
    base_revision: int
    row_ids: RowIds
    columns: Mapping[str, Array]


class CacheFile:
    """The files of one cache.

    Parameters
    ----------
    directory : Path
        Created when something is written.
    layout : Layout
    """

    def __init__(self, directory: Path, layout: Layout) -> None:
        self.directory = directory
        self.layout = layout
        self.header_path = directory / f"{layout.name}.json"
        self.outdated = False
        self._mapped: tuple[str, int] | None = None

    def load(self) -> Loaded | None:
        """Map the files; None if there are none or they are damaged."""
        self.outdated = False
        header = self._read_header()
        if header is None:
            return None
        loaded = self._map(header)
        if loaded is None or not self._is_sound(header, loaded):
            self.discard()
            return None
        return loaded

    def append(
        self, parts: Sequence[Part], uuid: str, revision: int, *, rewrite: bool
    ) -> Loaded | None:
        """Append rows, or write them to new files, and map all.

        Returns None, and changes nothing, if the folder cannot be written, the
        disk is full, or another process is writing or has written (``outdated``).
        """
        try:
            self.directory.mkdir(exist_ok=True)
            with try_lock(self.directory / "lock") as locked:
                if not locked:
                    return None
                return self._append(parts, uuid, revision, rewrite=rewrite)
        except OSError:
            return None

    def discard(self) -> None:
        """Delete the files, ignoring errors."""
        for path in [self.header_path, *self.directory.glob(f"{self.layout.name}-*.bin")]:
            with contextlib.suppress(OSError):
                path.unlink()
        self._mapped = None

    def orphans(self) -> list[Path]:
        """Return data files that the header does not name."""
        header = self._read_header()
        known = {path.name for path in self._paths(header["generation"]).values()} if header else {}
        found = self.directory.glob(f"{self.layout.name}-*.bin")
        return sorted(path for path in found if path.name not in known)

    def uuid(self) -> str | None:
        """Return the identity of the index that the files belong to."""
        header = self._read_header()
        return str(header["uuid"]) if header else None

    def files(self) -> list[Path]:
        """Return the data files that the header names."""
        header = self._read_header()
        return list(self._paths(header["generation"]).values()) if header else []

    def is_damaged(self) -> bool:
        """Return whether files do not match their header."""
        if not self.header_path.exists():
            return False
        header = self._read_header()
        loaded = self._map(header) if header else None
        return header is None or loaded is None or not self._is_sound(header, loaded)

    def _append(
        self, parts: Sequence[Part], uuid: str, revision: int, *, rewrite: bool
    ) -> Loaded | None:
        header = None if rewrite else self._read_header()
        if not rewrite and (
            header is None or (header["generation"], header["count"]) != self._mapped
        ):
            self.outdated = True
            return None
        if header is None:
            header = {"format": _FORMAT, "uuid": uuid, "generation": new_uuid()[:12], "count": 0}
            header |= {"birth": revision, "sums": dict.fromkeys(self.layout.all_columns(), 0)}
        try:
            for part in parts:
                self._write_rows(header, part)
            header["revision"] = revision
            self._write_header(header)
        finally:
            for path in self.orphans():
                with contextlib.suppress(OSError):
                    path.unlink()
        return self._map(header)

    def _write_rows(self, header: dict[str, Any], part: Part) -> None:
        """Append the rows of a part and update the header."""
        values = {"numbers": part.row_ids, **part.columns}
        for name, path in self._paths(header["generation"]).items():
            rows = self._typed(name, values[name])
            offset = header["count"] * self._row_bytes(name)
            with path.open("r+b" if path.exists() else "w+b") as file:
                file.truncate(offset)
                file.seek(offset)
                file.write(rows.view(np.uint8).data if rows.size else b"")
            header["sums"][name] = (header["sums"][name] + self._sum(name, rows)) % 2**64
        header["count"] += len(part.row_ids)

    def _write_header(self, header: dict[str, Any]) -> None:
        """Replace the header atomically."""
        text = json.dumps(header)
        write_atomically(self.header_path, lambda path: path.write_text(text), durable=False)

    def _read_header(self) -> dict[str, Any] | None:
        try:
            header = json.loads(self.header_path.read_text())
            complete = header["format"] == _FORMAT and {
                "uuid", "generation", "count", "birth", "revision", "sums"
            } <= set(header)  # fmt: skip
            return header if complete else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _map(self, header: dict[str, Any]) -> Loaded | None:
        """Map the files of a header; None if one is missing or too short."""
        columns = {}
        try:
            for name, path in self._paths(header["generation"]).items():
                dtype, width = self.layout.all_columns()[name]
                shape = (header["count"], width) if width else (header["count"],)
                columns[name] = np.asarray(np.memmap(path, dtype=dtype, mode="r", shape=shape))
        except (OSError, ValueError, TypeError):
            return None
        self._mapped = (header["generation"], header["count"])
        row_ids = columns.pop("numbers")
        return Loaded(header["uuid"], header["revision"], header["birth"], row_ids, columns)

    def _is_sound(self, header: dict[str, Any], loaded: Loaded) -> bool:
        """Compare the checksums of the files with the header's."""
        values = {"numbers": loaded.row_ids, **loaded.columns}
        return all(header["sums"].get(name) == self._sum(name, values[name]) for name in values)

    def _paths(self, generation: str) -> dict[str, Path]:
        names = self.layout.all_columns()
        return {n: self.directory / f"{self.layout.name}-{generation}-{n}.bin" for n in names}

    def _typed(self, name: str, rows: Array) -> Array:
        return np.ascontiguousarray(rows, dtype=self.layout.all_columns()[name][0])

    def _row_bytes(self, name: str) -> int:
        dtype, width = self.layout.all_columns()[name]
        return np.dtype(dtype).itemsize * max(width, 1)

    def _sum(self, name: str, rows: Array) -> int:
        """Return the checksum of rows: the sum of their machine words, modulo 2**64."""
        size = self._row_bytes(name)
        word = next(width for width in (8, 4, 2, 1) if size % width == 0)
        words = rows.reshape(-1).view(f"<u{word}")
        return int(words.sum(dtype=np.uint64))
