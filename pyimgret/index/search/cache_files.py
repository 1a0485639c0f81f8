"""The files of the caches of an index.

A cache has data files and a header that is replaced atomically and names them. Data files are
never changed, except that rows are appended after those that a header counts, so that other
processes can keep reading their mapping. The header contains checksums: files that are
damaged or do not belong together are detected when they are opened, and deleted.
"""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret.files.atomic import write_atomically
from pyimgret.files.keys import new_uuid
from pyimgret.index.storage.arrays import Array
from pyimgret.index.storage.locks import try_lock

_FORMAT = 1

Header = dict[str, Any]
"""The facts about a cache: ``uuid`` of the index, ``generation`` of the files, number of rows
(``count``), the revision that the first row was written at (``base_revision``), checksums."""


class CacheFiles(ABC):
    """A header ``NAME.json`` and the data files ``NAME-GENERATION-PART.bin`` that it names.

    ``fields`` are what a header must have besides the fields of every header.
    """

    def __init__(
        self, folder: Path, name: str, parts: Iterable[str], fields: Iterable[str]
    ) -> None:
        self.folder = folder
        self.name = name
        self.header_path = folder / f"{name}.json"
        self._parts = tuple(parts)
        # NB: format 1 names the revision "birth".
        self._fields = {"uuid", "generation", "count", "birth", *fields}

    @abstractmethod
    def is_sound(self, header: Header) -> bool:
        """Return whether the data files match their header."""

    def header(self) -> Header | None:
        """Return the header; None if there is none or it is damaged."""
        try:
            header: Header = json.loads(self.header_path.read_text())
            if header["format"] != _FORMAT or not self._fields <= set(header):
                return None
            return header | {"base_revision": header.pop("birth")}
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write_header(self, header: Header) -> None:
        """Replace the header atomically."""
        stored = header | {"format": _FORMAT, "birth": header["base_revision"]}
        del stored["base_revision"]
        text = json.dumps(stored)
        write_atomically(self.header_path, lambda path: path.write_text(text), durable=False)

    def paths(self, generation: str) -> dict[str, Path]:
        """Return the paths of the data files, by part."""
        return {p: self.folder / f"{self.name}-{generation}-{p}.bin" for p in self._parts}

    def files(self) -> list[Path]:
        """Return the data files that the header names."""
        header = self.header()
        return list(self.paths(header["generation"]).values()) if header else []

    def discard(self) -> None:
        """Delete all files, ignoring errors."""
        with contextlib.suppress(OSError):
            self.header_path.unlink()
        self.remove_orphans()

    def remove_orphans(self) -> None:
        """Delete the data files that the header does not name, ignoring errors."""
        for path in set(self.folder.glob(f"{self.name}-*.bin")).difference(self.files()):
            with contextlib.suppress(OSError):
                path.unlink()


class ColumnFiles(CacheFiles):
    """Columns of rows in one file each, to which rows are appended.

    ``columns`` maps a name to the NumPy type and the number of values per row; 0 means a scalar.
    The row ids precede them as the column ``numbers``.
    """

    def __init__(self, folder: Path, name: str, columns: Mapping[str, tuple[str, int]]) -> None:
        self._columns = {"numbers": ("<i8", 0), **columns}
        super().__init__(folder, name, self._columns, ("revision", "sums"))
        self.outdated = False
        self._mapped: tuple[str, int] | None = None

    def load(self) -> tuple[Header, dict[str, Array]] | None:
        """Map the files; None if there are none or they are damaged."""
        self.outdated = False
        header = self.header()
        if header is None:
            return None
        columns = self._map(header)
        if columns is None or not self._sums_match(header, columns):
            self.discard()
            return None
        return header, columns

    def append(
        self, blocks: Sequence[Mapping[str, Array]], uuid: str, revision: int, *, rewrite: bool
    ) -> tuple[Header, dict[str, Array]] | None:
        """Append blocks of rows, or write them to new files, and map all.

        Returns None, and changes nothing, if the folder cannot be written, the
        disk is full, or another process is writing or has written (``outdated``).
        """
        try:
            self.folder.mkdir(exist_ok=True)
            with try_lock(self.folder / "lock") as locked:
                return self._append(blocks, uuid, revision, rewrite=rewrite) if locked else None
        except OSError:
            return None

    def is_sound(self, header: Header) -> bool:
        """Return whether the data files match their header."""
        columns = self._map(header)
        return columns is not None and self._sums_match(header, columns)

    def _append(
        self, blocks: Sequence[Mapping[str, Array]], uuid: str, revision: int, *, rewrite: bool
    ) -> tuple[Header, dict[str, Array]] | None:
        header = None if rewrite else self.header()
        if not rewrite and (
            header is None or (header["generation"], header["count"]) != self._mapped
        ):
            self.outdated = True
            return None
        if header is None:
            header = {"uuid": uuid, "generation": new_uuid()[:12], "count": 0}
            header |= {"base_revision": revision, "sums": dict.fromkeys(self._columns, 0)}
        try:
            for block in blocks:
                self._write_rows(header, block)
            header["revision"] = revision
            self.write_header(header)
        finally:
            self.remove_orphans()
        columns = self._map(header)
        return None if columns is None else (header, columns)

    def _write_rows(self, header: Header, block: Mapping[str, Array]) -> None:
        """Append rows and update the header."""
        for name, path in self.paths(header["generation"]).items():
            rows = np.ascontiguousarray(block[name], dtype=self._columns[name][0])
            offset = header["count"] * self._row_bytes(name)
            with path.open("r+b" if path.exists() else "w+b") as file:
                file.truncate(offset)
                file.seek(offset)
                file.write(rows.view(np.uint8).data if rows.size else b"")
            header["sums"][name] = (header["sums"][name] + self._sum(name, rows)) % 2**64
        header["count"] += len(block["numbers"])

    def _map(self, header: Header) -> dict[str, Array] | None:
        """Map the files of a header; None if one is missing or too short."""
        columns: dict[str, Array] = {}
        try:
            for name, path in self.paths(header["generation"]).items():
                dtype, width = self._columns[name]
                shape = (header["count"], width) if width else (header["count"],)
                columns[name] = np.asarray(np.memmap(path, dtype=dtype, mode="r", shape=shape))
        except (OSError, ValueError, TypeError):
            return None
        self._mapped = (header["generation"], header["count"])
        return columns

    def _sums_match(self, header: Header, columns: Mapping[str, Array]) -> bool:
        return all(header["sums"].get(n) == self._sum(n, rows) for n, rows in columns.items())

    def _row_bytes(self, name: str) -> int:
        dtype, width = self._columns[name]
        return np.dtype(dtype).itemsize * max(width, 1)

    def _sum(self, name: str, rows: Array) -> int:
        """Return the checksum of rows: the sum of their machine words, modulo 2**64."""
        size = self._row_bytes(name)
        word = next(width for width in (8, 4, 2, 1) if size % width == 0)
        return int(rows.reshape(-1).view(f"<u{word}").sum(dtype=np.uint64))
