"""The Java side beside the Python side, in one run: search, encoding, and eight threads.

    python -m tests.benchmarks.java_side search [--rows 300000] [--dimension 128]
    python -m tests.benchmarks.java_side encode --model MODEL.zip --images FOLDER
    python -m tests.benchmarks.java_side photos --model MODEL.zip --images FOLDER
    python -m tests.benchmarks.java_side soak --images FOLDER

``search``: `CosineIndex.search` beside NumPy's exact search (and ND4J's product alone);
``encode``: `ImageEncoder.encodeAll` beside `Encoder.encode`, from files;
``photos``: whether both sides give the same embeddings and neighbours;
``soak``: 10,000 encodes and searches by eight threads, every answer compared.
Times are medians of five, in seconds; a ratio above 1 means that Java is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pyimgret import PCA, Encoder, Index, Preprocessor
from pyimgret.jvm.jars import jar_folder

K = 5
RUNS = 5


def main() -> None:
    """Run one of the comparisons."""
    options = _options()
    result = COMPARISONS[options.what](options)
    print(json.dumps(result) if options.json else _text(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=sorted(COMPARISONS))
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def search(options: argparse.Namespace) -> dict[str, Any]:
    """Compare exact search over the same vectors."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(options.rows, options.dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries = rng.normal(size=(20, options.dimension)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        index = Index.create(Path(folder) / "index", dimension=options.dimension)
        index.add(rows, keys=[str(row) for row in range(len(rows))])
        queries.astype("<f4").tofile(Path(folder) / "queries")
        java = _java("search", index.directory, Path(folder) / "queries", K)
        index.close()
    gemv = _java("gemv", options.rows, options.dimension)
    nearest: list[list[int]] = []

    def numpy_search() -> None:
        nearest[:] = [_top(rows @ (query / np.linalg.norm(query))) for query in queries]

    seconds = _median(numpy_search) / len(queries)
    same = [[str(row) for row in rows] for rows in nearest] == java["keys"]
    found = statistics.median(java["seconds"])
    return {
        "rows": options.rows,
        "dimension": options.dimension,
        "same_answers": same,
        "java_seconds": found,
        "numpy_seconds": seconds,
        "ratio": seconds / found,
        "nd4j_product_alone_seconds": statistics.median(gemv["seconds"]),
    }


def _top(scores: np.ndarray) -> list[int]:
    best = np.argpartition(-scores, K)[:K]
    return [int(row) for row in best[np.argsort(-scores[best])]]


def encode(options: argparse.Namespace) -> dict[str, Any]:
    """Compare encoding of image files."""
    files = _files(options.images)
    encoder = Encoder.load(options.model)
    encoder.encode(files[:8])
    python = _median(lambda: encoder.encode(files))
    with tempfile.TemporaryDirectory() as folder:
        java = _java("encode", options.model, _listing(folder, files), RUNS)
    found = statistics.median(java["seconds"])
    return {
        "images": len(files),
        "onednn": java["onednn"],
        "java_seconds": found,
        "python_seconds": python,
        "ratio": python / found,
    }


def photos(options: argparse.Namespace) -> dict[str, Any]:
    """Compare the embeddings, and the five nearest of every image among the others."""
    files = _files(options.images)
    python = Encoder.load(options.model).encode(files)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "embeddings"
        _java("embed", options.model, _listing(folder, files), out)
        java = np.fromfile(out, dtype="<f4").reshape(python.shape)
    cosines = (python * java).sum(axis=1)
    ours, theirs = _nearest(python), _nearest(java)
    return {
        "images": len(files),
        "lowest_cosine": float(cosines.min()),
        "mean_cosine": float(cosines.mean()),
        "largest_difference": float(np.abs(python - java).max()),
        "same_top5": float((ours == theirs).all(axis=1).mean()),
        "same_top5_in_any_order": float((np.sort(ours) == np.sort(theirs)).all(axis=1).mean()),
    }


def _nearest(embeddings: np.ndarray) -> np.ndarray:
    scores = embeddings @ embeddings.T
    np.fill_diagonal(scores, -2)
    return np.argsort(-scores, axis=1, kind="stable")[:, :K]


def soak(options: argparse.Namespace) -> dict[str, Any]:
    """Let eight threads encode and search, with the resident memory after each thousand."""
    files = _files(options.images)
    model = PCA(32, preprocessing=Preprocessor("RGB", 64, 64)).fit(files[:200])
    with tempfile.TemporaryDirectory() as folder:
        index = Index.create(Path(folder) / "index", Encoder(model))
        index.add(files)
        index.close()
        return _java("soak", index.directory, _listing(folder, files), 10)


def _files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.is_file())


def _listing(folder: str, files: list[str]) -> Path:
    listing = Path(folder) / "files"
    listing.write_text("\n".join(files))
    return listing


def _median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _java(*arguments: object) -> dict[str, Any]:
    """Run JavaSide.java and read what it prints."""
    command = [
        "java",
        "-Xmx3g",
        "-Dorg.bytedeco.javacpp.maxphysicalbytes=0",
        "-Dorg.eclipse.deeplearning4j.helpers.disable=false",
        "-cp",
        f"{jar_folder()}/*",
        str(Path(__file__).with_name("JavaSide.java")),
        *map(str, arguments),
    ]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return result


COMPARISONS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "search": search,
    "encode": encode,
    "photos": photos,
    "soak": soak,
}


def _text(result: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in result.items())


if __name__ == "__main__":
    main()
