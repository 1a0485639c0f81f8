"""One of several processes that change the same items of an index at the same time."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from index_fakes import FakeEncoder

from pyimgret.exceptions import KeyExistsError, KeyNotFoundError
from pyimgret.index import Index

PERIOD = 0.02


class Slow(FakeEncoder):
    """Encodes so slowly that others write meanwhile."""

    def encode_tensors(self, X):
        time.sleep(0.004)
        return super().encode_tensors(X)


def main(action: str, directory: str, rounds: int, start: Path) -> None:
    """Do one thing to each of the items, once the file ``start`` is there."""
    index = Index.open(directory, Slow())
    image = np.random.default_rng(1).integers(0, 256, (8, 8), dtype=np.uint8)
    done, delays = 0, np.random.default_rng().uniform(0, 0.006, rounds)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not start.exists():
        time.sleep(0.001)
    begin = start.stat().st_mtime + 0.2
    for number in range(rounds):
        key = f"k{number}"
        # NB: all processes come to an item at the same time, and only then may they race.
        time.sleep(max(0.0, begin + number * PERIOD - time.time()))
        if action in ("metadata", "delete"):
            time.sleep(delays[number])
        try:
            if action == "image":
                index.update(key, image)
            elif action == "metadata":
                index.update(key, metadata={"n": number})
            elif action == "delete":
                index.delete(key)
            else:
                index.add([image], keys=[f"new{number}"])
            done += 1
        except (KeyExistsError, KeyNotFoundError):
            pass
    sys.stdout.write(f"{done}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
