"""Write an index as this version makes it, and what it answers, for later versions to open.

``python -m tests.golden.make_index FOLDER``; ``index-0.1.0`` was made by 0.1.0 and is kept in
the repository. A newer version writes into a folder of its own and never over an older one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pyimgret import Encoder
from pyimgret.index import Index, key_from_path
from tests.pictures import made_pictures

Vector = NDArray[np.float32]

GOLDEN = Path(__file__).parent
MODEL = GOLDEN / "models" / "svd.zip"
QUERY_IMAGE = GOLDEN / "pictures" / "size-151x97.png"

NAMES = (
    b"plain.png",
    b"sub folder/100%.png",
    "café/Ελλάδα.png".encode(),
    b"caf\xe9-latin1.png",
    "日本/\N{CAMERA}.png".encode(),
    b"\xff\xfe.png",
)
"""File names of the folder that the index is kept in step with, some of them no UTF-8."""

METADATA: tuple[dict[str, Any], ...] = (
    {},
    {"label": "cat", "year": 1999, "score": 0.25, "draft": False, "note": None},
    {"label": "dog", "year": 2001, "score": -1e-9, "draft": True, "tags": ["a", "b", 3, None]},
    {"label": "čáp 🦢", "year": 2**53 + 1, "camera": {"maker": "A", "lens": {"mm": 35.5}}},
    {"label": "", "year": "2001", "tags": [], "camera": {}, "ключ": 'a "quoted" \\ text\n'},
    {"label": "cat", "year": 2001.0, "tags": ["b"], "camera": {"maker": "B"}},
)

FILTERS: tuple[str | dict[str, Any] | None, ...] = (
    None,
    'label == "cat"',
    "year >= 2001",
    'label == "cat" and (year >= 2000 or not exists(draft))',
    'tags contains "b" or camera.maker in ["A"]',
    "note == null",
    'label != "cat"',
    "`ключ` == 'x' or draft == true",
    {"year": {"$gte": 2001}, "camera.maker": {"$exists": True}},
    {"$or": [{"label": {"$nin": ["cat", "dog"]}}, {"score": {"$lt": 0}}]},
)


def make(directory: Path, photos: Path) -> None:
    """Fill an index in every way: a folder, images, vectors; change, delete, build."""
    images = made_pictures(40, 24, seed=5)
    for name, image in zip(NAMES, images, strict=False):
        path = photos / name.decode("utf-8", "surrogateescape")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (photos / "broken.png").write_bytes(b"no image")
    with Index.create(directory, Encoder.load(MODEL)) as index:
        index.sync(photos, prefix="photos/")
        keys = [key_from_path(f"added/{i}-ü.png") for i in range(24)]
        metadata = [METADATA[i % len(METADATA)] for i in range(24)]
        index.add(images[6:30], keys=keys, metadata=metadata)
        vectors = np.random.default_rng(3).normal(size=(6, index.dimension)).astype(np.float32)
        names = [key_from_path(b"vector/\x80\x81-%d" % i) for i in range(6)]
        index.add(vectors, keys=names, metadata=list(METADATA))
        index.delete(keys[3])
        index.update(keys[5], images[30])
        index.update(keys[6], metadata={"label": "changed"})
        for kind in ("exact", "int8", "binary", "hnsw"):
            index.build(kind)
        # What the caches do not know yet.
        index.add(images[31:33], keys=["late/1", "late/2"], metadata=METADATA[1], thumbnails=False)
        index.delete([keys[8], names[1]])
        index.publish(directory.parent / "published")


def answers(directory: Path) -> dict[str, Any]:
    """Return all that an index holds and finds, as JSON."""
    with Index.open(directory) as index:
        facts = index.info()
        # NB: a seed of which no two scores are closer than 1e-4, so that their order is sure.
        queries = np.random.default_rng(2743).normal(size=(3, index.dimension))
        return {
            "info": {k: v for k, v in facts.items() if k not in ("directory", "bytes")},
            "items": {key: _item(index, key) for key in index},
            "queries": [
                _answer(index, np.float32(query), options)
                for query in queries
                for options in _options()
            ],
            "image": {
                "file": QUERY_IMAGE.name,
                "matches": _matches(index.search(QUERY_IMAGE, 5)),
            },
        }


def _options() -> list[dict[str, Any]]:
    filtered = [{"k": 8, "where": where} for where in FILTERS]
    methods = [{"k": 40, "method": method} for method in ("exact", "int8", "binary", "hnsw")]
    others = [
        {"k": 1},
        {"k": 100},
        {"k": 40, "min_score": 0.1},
        {"k": 5, "exclude": ["late/1", "photos/plain.png"]},
    ]
    return [*filtered, *methods, *others]


def _answer(index: Index, vector: Vector, options: dict[str, Any]) -> dict[str, Any]:
    matches = index.search(vector, **options)
    return {"vector": _short(vector), "options": options, "matches": _matches(matches)}


def _matches(matches: Any) -> list[list[Any]]:
    return [[match.key, *_short([match.score])] for match in matches]


def _short(numbers: Vector | list[float]) -> list[float]:
    """Return numbers with the digits that float32 has."""
    return [float(f"{number:.9g}") for number in numbers]


def _item(index: Index, key: str) -> dict[str, Any]:
    item, thumbnail = index.get(key), index.thumbnail(key)
    return {
        "id": item.id,
        "metadata": item.metadata,
        "vector": _short(item.vector),
        "source": item.source and [item.source.path.hex(), item.source.size, item.source.checksum],
        "thumbnail": thumbnail and hashlib.sha256(thumbnail.image).hexdigest(),
    }


def main(folder: Path) -> None:
    """Write the index, its published copy and the answers."""
    if folder.exists():
        sys.exit(f"{folder} is there already; an older version's index is never made again.")
    with tempfile.TemporaryDirectory() as temporary:
        photos = Path(temporary) / "photos"
        made = Path(temporary) / "made"
        photos.mkdir()
        make(made / "live", photos)
        # NB: of a copy: to search writes caches, and what is kept is as the writer left it.
        shutil.copytree(made / "live", Path(temporary) / "asked")
        document = answers(Path(temporary) / "asked")
        text = json.dumps(document, ensure_ascii=False)
        (made / "answers.json").write_text(text + "\n", encoding="utf-8")
        shutil.copytree(made, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
