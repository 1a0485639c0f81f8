"""Adding and updating: from images and vectors to records in the database."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from pyimgret.exceptions import ImageDecodeError, InvalidArgumentError, KeyExistsError
from pyimgret.files.failures import ImageFailure
from pyimgret.files.keys import key_from_path, new_ids
from pyimgret.index.context import IndexContext
from pyimgret.index.ingest.encoding import Outcome, Prepared, Report, encode_stream, prepare
from pyimgret.index.ingest.sources import source_of
from pyimgret.index.storage import items
from pyimgret.index.storage.items import Record, as_list
from pyimgret.preprocessing import as_vectors

VECTOR_BATCH = 8192
"""Number of vectors committed together."""

_MODEL = 1


class Task(NamedTuple):
    """One image to add."""

    key: str
    image: Any
    metadata: str


class Adder:
    """Adds to one index.

    Parameters
    ----------
    context : IndexContext
    replace, strict, thumbnails : bool
        As in `Index.add`.
    """

    def __init__(
        self,
        context: IndexContext,
        *,
        replace: bool = False,
        strict: bool = False,
        thumbnails: bool = True,
    ) -> None:
        self.context = context
        self.replace = replace
        self.strict = strict
        self.thumbnails = thumbnails

    def add(
        self,
        given: Any,
        keys: Sequence[str] | None,
        metadata: Sequence[dict[str, Any] | None] | dict[str, Any] | None,
    ) -> Report:
        """Add images or vectors and return a report."""
        vectors = as_vectors(given, self.context.dimension)
        if vectors is not None:
            return self._add_vectors(np.atleast_2d(vectors), keys, metadata)
        images = as_list(given, "images")
        names = checked_keys(keys if keys is not None else default_keys(images), len(images))
        self._check_new(names)
        tasks = map(Task, names, images, metadata_texts(metadata, len(images)))
        return self._add_images(tasks)

    def update(self, key: str, given: Any, metadata: dict[str, Any] | None) -> None:
        """Change one item; arguments that are None leave their part unchanged."""
        if given is None and metadata is None:
            raise InvalidArgumentError(f"Give an image (or vector) of {key!r}, metadata, or both.")
        with self.context.database.read() as connection:
            if items.check_key(key) not in items.ids(connection, [key]):
                raise items.no_such_key(key)
        text = items.to_json(metadata)
        record = None if given is None else self._record(key, given)
        with self.context.database.write() as connection:
            # NB: check again here: others may have written while the image was encoded.
            if not items.ids(connection, [key]):
                raise items.no_such_key(key)
            if metadata is None:
                text = items.to_json(items.metadata(connection, key))
            if record is None:
                items.set_metadata(connection, key, text)
            else:
                self.insert(connection, [record._replace(metadata=text)])

    def _write(self, records: Sequence[Record], report: Report) -> None:
        """Store records in one transaction, and report them."""
        with self.context.database.write() as connection:
            ids = self.insert(connection, records)
        report.added += [record.key for record in records]
        report.ids += ids

    def insert(self, connection: sqlite3.Connection, records: Sequence[Record]) -> list[str]:
        """Store records in the open transaction and return their ids; a key keeps its id."""
        there = items.ids(connection, [record.key for record in records])
        if there and not self.replace:
            raise key_exists(next(iter(there)))
        items.delete(connection, list(there))
        fresh = new_ids(len(records))
        kept = [r._replace(id=there.get(r.key) or r.id or next(fresh)) for r in records]
        items.insert(connection, kept, _MODEL)
        return [str(record.id) for record in kept]

    def _add_vectors(
        self,
        vectors: Any,
        keys: Sequence[str] | None,
        metadata: Sequence[dict[str, Any] | None] | dict[str, Any] | None,
    ) -> Report:
        count = len(vectors)
        names = checked_keys(keys if keys is not None else list(new_ids(count)), count)
        texts = iter(metadata_texts(metadata, count))
        self._check_new(names)
        records = map(Record, names, vectors, texts)
        report = Report()
        while batch := list(islice(records, VECTOR_BATCH)):
            self._write(batch, report)
        return report

    def _add_images(self, tasks: Iterable[Task]) -> Report:
        report = Report()
        for outcomes in encode_stream(tasks, self._load, self.context.encoder):
            self._write(list(self._records(outcomes, report)), report)
        return report

    def _record(self, key: str, given: Any) -> Record:
        """Return the record to store for one vector or image."""
        vector = as_vectors(given, self.context.dimension)
        if vector is not None and vector.ndim == 1:
            return Record(key, vector)
        outcomes = encode_stream([Task(key, given, "{}")], self._load, self.context.encoder)
        (record,) = (r for some in outcomes for r in self._records(some, Report()))
        return record

    def _load(self, task: Task) -> Prepared:
        prepared = prepare(task.image, self.context.encoder, thumbnails=self.thumbnails)
        if isinstance(task.image, (str, os.PathLike)):
            return replace(prepared, source=source_of(task.image))
        return prepared

    def _records(self, outcomes: list[Outcome[Task]], report: Report) -> Iterator[Record]:
        for outcome in outcomes:
            if outcome.vector is not None and outcome.prepared is not None:
                task, prepared = outcome.task, outcome.prepared
                yield Record(
                    task.key, outcome.vector, task.metadata, prepared.source, prepared.thumbnail
                )
                continue
            if self.strict:
                raise ImageDecodeError(f"{outcome.task.key}: {outcome.reason}")
            report.failed.append(ImageFailure(outcome.task.key, outcome.reason))

    def _check_new(self, keys: Sequence[str]) -> None:
        """Raise `KeyExistsError` before the work is done, rather than after."""
        if self.replace:
            return
        with self.context.database.read() as connection:
            there = items.ids(connection, keys)
        if there:
            raise key_exists(next(iter(there)))


def default_keys(images: Sequence[Any]) -> list[str]:
    """Return keys for images: the path of a file, a new id for anything else."""
    fresh = new_ids(len(images))
    return [
        key_from_path(os.fsencode(image)) if isinstance(image, (str, os.PathLike)) else next(fresh)
        for image in images
    ]


def checked_keys(keys: Sequence[str], count: int) -> list[str]:
    """Return the keys if they are valid, unique, and as many as the images."""
    listed = list(map(items.check_key, as_list(keys)))
    if len(listed) != count:
        raise InvalidArgumentError(
            f"Got {len(listed)} keys for {count} images; give one key per image."
        )
    if len(set(listed)) < count:
        seen: set[str] = set()
        twice = next(key for key in listed if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidArgumentError(f"The key {twice!r} appears twice.")
    return listed


def metadata_texts(
    metadata: Sequence[dict[str, Any] | None] | dict[str, Any] | None, count: int
) -> list[str]:
    """Return the JSON text of the metadata of each image."""
    if metadata is None or isinstance(metadata, dict):
        return [items.to_json(metadata)] * count
    texts = list(map(items.to_json, as_list(metadata, "dicts of metadata")))
    if len(texts) != count:
        raise InvalidArgumentError(
            f"Got metadata for {len(texts)} of {count} images; give one dict per image."
        )
    return texts


def key_exists(key: str) -> KeyExistsError:
    """Return the error for a key that exists already."""
    return KeyExistsError(
        f"The index already contains {key!r}; replace it (replace=True, --replace), or "
        "change it by Index.update."
    )
