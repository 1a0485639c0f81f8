"""Adding and updating: from images and vectors to records in the database."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace as replaced
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from pyimgret.exceptions import ImageDecodeError, InvalidArgumentError
from pyimgret.files.failures import ImageFailure
from pyimgret.files.keys import key_from_path, new_ids
from pyimgret.index.context import IndexContext
from pyimgret.index.ingest.encoding import Prepared, encode_stream, prepare, source_of
from pyimgret.index.ingest.reports import Report
from pyimgret.index.storage import items
from pyimgret.index.storage.items import as_list
from pyimgret.index.storage.records import Record
from pyimgret.preprocessing import as_vectors

Metadata = Sequence[dict[str, Any] | None] | dict[str, Any] | None


class _Task(NamedTuple):
    """One image to add."""

    key: str
    image: Any
    metadata: str


def add(
    context: IndexContext,
    given: Any,
    *,
    keys: Sequence[str] | None,
    metadata: Metadata,
    replace: bool,
    strict: bool,
    thumbnails: bool,
) -> Report:
    """Add images or vectors; see `Index.add`."""
    vectors, report = as_vectors(given, context.dimension), Report()
    if vectors is not None:
        given = np.atleast_2d(vectors)
        names = checked_keys(new_ids(len(given)) if keys is None else keys, len(given))
    else:
        given = as_list(given, "images")
        names = checked_keys(_default_keys(given) if keys is None else keys, len(given))
    texts = metadata_texts(metadata, len(given))
    if not replace:
        # NB: check now rather than after the work; `store` checks again.
        with context.database.read() as connection:
            if present := items.ids(connection, names):
                raise items.key_exists(next(iter(present)))
    if vectors is not None:
        records = map(Record, names, given, texts)
        batches: Iterator[list[Record]] = iter(lambda: list(islice(records, items.PAGE)), [])
    else:
        tasks = map(_Task, names, given, texts)
        batches = _encoded(context, tasks, report, strict=strict, thumbnails=thumbnails)
    for batch in batches:
        with context.database.write() as connection:
            ids = items.store(connection, batch, replace=replace)
        report.added += [record.key for record in batch]
        report.ids += ids
    return report


def update(context: IndexContext, key: str, given: Any, metadata: dict[str, Any] | None) -> None:
    """Change one item; see `Index.update`."""
    if given is None and metadata is None:
        raise InvalidArgumentError(f"Give an image (or vector) of {key!r}, metadata, or both.")
    with context.database.read() as connection:
        if items.check_key(key) not in items.ids(connection, [key]):
            raise items.no_such_key(key)
    text = items.to_json(metadata)
    record = None if given is None else _record(context, key, given)
    with context.database.write() as connection:
        # NB: check again here: others may have written while the image was encoded.
        if not items.ids(connection, [key]):
            raise items.no_such_key(key)
        if record is None:
            connection.execute("UPDATE items SET metadata = ? WHERE key = ?", (text, key))
            return
        if metadata is None:
            text = items.to_json(items.metadata(connection, key))
        items.store(connection, [record._replace(metadata=text)], replace=True)


def _record(context: IndexContext, key: str, given: Any) -> Record:
    """Return the record to store for one vector or image."""
    vector = as_vectors(given, context.dimension)
    if vector is not None and vector.ndim == 1:
        return Record(key, vector)
    tasks = [_Task(key, given, "{}")]
    ((record,),) = _encoded(context, tasks, Report(), strict=True, thumbnails=True)
    return record


def _encoded(
    context: IndexContext, tasks: Iterable[_Task], report: Report, *, strict: bool, thumbnails: bool
) -> Iterator[list[Record]]:
    """Yield the records of images, a batch at a time, and report those that failed."""

    def load(task: _Task) -> Prepared:
        prepared = prepare(task.image, context.encoder, thumbnails=thumbnails)
        if isinstance(task.image, (str, os.PathLike)):
            return replaced(prepared, source=source_of(task.image))
        return prepared

    for outcomes in encode_stream(tasks, load, context.encoder):
        records = []
        for outcome in outcomes:
            (key, _, text), made = outcome.task, outcome.prepared
            if outcome.vector is not None and made is not None:
                records.append(Record(key, outcome.vector, text, made.source, made.thumbnail))
            elif strict:
                raise ImageDecodeError(f"{key}: {outcome.reason}")
            else:
                report.failed.append(ImageFailure(key, outcome.reason))
        yield records


def _default_keys(images: Sequence[Any]) -> list[str]:
    """Return keys for images: the path of a file, a new id for anything else."""
    fresh = new_ids(len(images))
    return [
        key_from_path(os.fsencode(image)) if isinstance(image, (str, os.PathLike)) else next(fresh)
        for image in images
    ]


def checked_keys(keys: Iterable[str], count: int) -> list[str]:
    """Return the keys if they are valid, unique, and as many as the images."""
    listed = list(map(items.check_key, as_list(keys)))
    if len(listed) != count:
        raise InvalidArgumentError(
            f"Got {len(listed)} keys for {count} images; give one key per image."
        )
    if len(set(listed)) < count:
        twice = next(key for key, times in Counter(listed).items() if times > 1)
        raise InvalidArgumentError(f"The key {twice!r} appears twice.")
    return listed


def metadata_texts(metadata: Metadata, count: int) -> list[str]:
    """Return the JSON text of the metadata of each image."""
    if metadata is None or isinstance(metadata, dict):
        return [items.to_json(metadata)] * count
    texts = list(map(items.to_json, as_list(metadata, "dicts of metadata")))
    if len(texts) != count:
        raise InvalidArgumentError(
            f"Got metadata for {len(texts)} of {count} images; give one dict per image."
        )
    return texts
