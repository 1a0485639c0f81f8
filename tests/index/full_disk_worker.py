"""A process that fills a disk, tries everything on an index there, and frees the space again.

It prints what each attempt said as JSON. The disk is a small tmpfs in a mount namespace of
its own ("tmpfs"), or, where the system allows none, files that may not grow ("limit").
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from index_fakes import FakeEncoder, unit

from pyimgret.exceptions import PyimgretError
from pyimgret.index import Index

MEGABYTES = 24
LIMIT = 36_864  # bytes; the index of the write-ahead log needs 32,768
QUERY = unit(1, 16, seed=5)[0]


class Tmpfs:
    """A disk of few megabytes; only this process and its children see it."""

    def __init__(self, folder: Path) -> None:
        self.ballast = folder / "ballast"
        options = ["-o", f"size={MEGABYTES}m", "none", str(folder)]
        subprocess.run(["mount", "-t", "tmpfs", *options], check=True)

    def fill(self) -> None:
        with self.ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    def free(self) -> None:
        self.ballast.unlink()


class Limit:
    """Files that may not grow: what is longer stays, and no write goes beyond a few pages."""

    def __init__(self, _: Path) -> None:
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, self.before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


def attempts(index: Index, disk: Path, images: Path) -> dict[str, Callable[[], object]]:
    """Return everything that needs space, by name."""
    more = unit(2000, 16, seed=9)
    return {
        "add": lambda: index.add(more, keys=[f"new{n}" for n in range(len(more))]),
        "update": lambda: index.update("v3", metadata={"long": "x" * 100_000}),
        "import": lambda: index.import_from(images.parent / "rows.npy"),
        "sync": lambda: index.sync(images),
        "build hnsw": lambda: index.build("hnsw"),
        "build exact": lambda: index.build("exact"),
        "build int8": lambda: index.build("int8"),
        "publish": lambda: index.publish(disk / "copy"),
        "export parquet": lambda: index.export(disk / "all.parquet"),
        "export npy": lambda: index.export(disk / "all.npy"),
        "create": lambda: Index.create(disk / "second", dimension=16),
    }


def outcome(action: Callable[[], object]) -> list[str]:
    """Return the kind of the error and its message; "done" when there was none."""
    try:
        action()
    except PyimgretError as error:
        return [type(error).__name__, str(error)]
    return ["done", ""]


def state(index: Index) -> dict[str, object]:
    """Return what must be the same before, on, and after a full disk."""
    with Index.open(index.directory, index.encoder) as fresh:
        matches = {
            method: fresh.search(QUERY, 5, method=method).to_dict()
            for method in ("exact", "int8", "hnsw")
        }
        return {"keys": sorted(fresh.keys()), "matches": matches}


def run(kind: str, disk: Path, images: Path) -> dict[str, object]:
    """Go through the whole story and return what was seen."""
    full = {"tmpfs": Tmpfs, "limit": Limit}[kind](disk)
    index = Index.create(disk / "idx", FakeEncoder())
    index.add(unit(3000, 16), keys=[f"v{n}" for n in range(3000)])
    index.build("hnsw")
    report: dict[str, object] = {"before": state(index)}
    operations = attempts(index, disk, images)
    full.fill()
    report["full"] = {name: outcome(operation) for name, operation in operations.items()}
    report["during"] = state(index)
    report["left"] = sorted(path.relative_to(disk).as_posix() for path in disk.rglob(".*"))
    full.free()
    report["after"] = state(index)
    found = index.check(load_model=False)
    report["check"] = [*found.problems, *found.leftovers]
    report["again"] = {name: outcome(operation) for name, operation in operations.items()}
    report["count"] = len(index)
    report["copy"] = len(Index.open(disk / "copy"))
    return report


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
    sys.stdout.flush()
    os._exit(0)
