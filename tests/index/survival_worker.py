"""Processes that the survival tests start, kill, or let run side by side."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import numpy as np

from pyimgret.index import Index

D = 16
GROUP = 5


def vector(name: str) -> np.ndarray:
    """Return the one vector that belongs to a name."""
    made = np.random.default_rng(sum(ord(c) * 131**i for i, c in enumerate(name)) % 2**32)
    row = made.standard_normal(D).astype(np.float32)
    return row / np.linalg.norm(row)


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def change(directory: str, seed: str) -> None:
    """Add and delete for ever; announce each change before it and acknowledge it after."""
    index = Index.open(directory)
    rng = random.Random(int(seed))
    present = list(index.keys())
    for turn in range(1_000_000):
        if present and rng.random() < 0.4:
            keys = rng.sample(present, min(len(present), rng.randint(1, 5)))
            say("will-delete", *keys)
            index.delete(keys)
            present = [key for key in present if key not in keys]
            say("deleted", *keys)
        else:
            keys = [f"{seed}-{turn}-{n}" for n in range(rng.choice([1, 3, 40]))]
            say("will-add", *keys)
            index.add(np.stack([vector(key) for key in keys]), keys=keys)
            present += keys
            say("added", *keys)
        if turn % 7 == 0:
            index.search(vector("query"))


def write_groups(directory: str, seconds: str) -> None:
    """Add and delete whole groups of images with one vector each, in one transaction."""
    index = Index.open(directory)
    rng = random.Random(0)
    end, live = time.monotonic() + float(seconds), []
    while time.monotonic() < end:
        if len(live) > 20 or (live and rng.random() < 0.5):
            name = live.pop(rng.randrange(len(live)))
            index.delete([f"{name}/{n}" for n in range(GROUP)])
        else:
            name = f"moving{rng.randrange(40)}"
            if name not in live:
                live.append(name)
                keys = [f"{name}/{n}" for n in range(GROUP)]
                index.add(np.stack([vector(name)] * GROUP), keys=keys, metadata={"group": name})
    say("done")


def read_groups(directory: str, seconds: str, seed: str) -> None:
    """Search for groups: each is there as a whole or not at all; the lasting ones always."""
    index = Index.open(directory)
    rng = random.Random(int(seed))
    end, searches, seen = time.monotonic() + float(seconds), 0, 0
    while time.monotonic() < end:
        lasting = rng.random() < 0.3
        name = f"lasting{rng.randrange(50)}" if lasting else f"moving{rng.randrange(40)}"
        where = f"group == '{name}'" if rng.random() < 0.3 else None
        matches = index.search(vector(name), k=GROUP + 3, min_score=0.999, where=where)
        keys = sorted(matches.keys)
        whole = [f"{name}/{n}" for n in range(GROUP)]
        assert keys == whole or (keys == [] and not lasting), (name, keys)
        assert all(match.metadata == {"group": name} for match in matches)
        searches += 1
        seen += not lasting and bool(keys)
    say("searches", str(searches), "seen", str(seen))


def fill(directory: str, limit: str) -> None:
    """Add until a file may not grow any more; say what was acknowledged and the error."""
    import resource

    from pyimgret.exceptions import IndexStoreError

    index = Index.open(directory)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    for turn in range(100_000):
        keys = [f"{turn}-{n}" for n in range(50)]
        try:
            index.add(np.stack([vector(key) for key in keys]), keys=keys)
        except IndexStoreError as error:
            say("error", str(error))
            break
        say("added", *keys)
    say("found", *index.search(vector("0-0"), k=1).keys)


def peak_memory() -> float:
    """Return the largest resident size of this process so far, in MiB."""
    # NB: getrusage would start from the size of the process that started this one.
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


def sync_many(directory: str, few: str, many: str) -> None:
    """Sync a folder of few photos, then one of many; report the peak of memory after each."""
    from index_fakes import FakeEncoder

    index = Index.create(directory, FakeEncoder(mode="RGB"))
    index.sync(few, prefix="few/")
    after_few = peak_memory()
    added = index.sync(many, prefix="many/").added
    say(str(added), str(after_few), str(peak_memory()))


def sync_as_nobody(directory: str, warm_up: str, folder: str) -> None:
    """Sync a folder without privileges, and report what became of every file."""
    import json
    import os

    from index_fakes import FakeEncoder

    encoder = FakeEncoder(mode="RGB")
    # NB: modules are imported here, as long as this process may read them.
    Index.create(Path(warm_up) / "idx", encoder).sync(folder)
    Index.create(directory, encoder).close()
    if os.getuid() == 0:
        for path in (Path(directory), *Path(directory).iterdir()):
            os.chown(path, 65534, 65534)
        os.setgid(65534)
        os.setuid(65534)
    start = time.monotonic()
    index = Index.open(directory, encoder)
    report = index.sync(folder)
    again = index.sync(folder)
    document = {
        "added": list(index.keys()),
        "failed": {failure.key: failure.reason for failure in report.failed},
        "again": [again.added, again.unchanged, sorted(f.key for f in again.failed)],
        "seconds": time.monotonic() - start,
        "max_rss_mb": peak_memory(),
    }
    say(json.dumps(document))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
