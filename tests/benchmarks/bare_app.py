"""The peer: Flask on Waitress that decodes, multiplies by a matrix and searches in NumPy."""

from __future__ import annotations

import io
import os
import sys

# NB: before NumPy: BLAS threads that wait by spinning would take the cores from the requests.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import numpy as np
from flask import Flask, jsonify, request
from PIL import Image
from waitress import serve


def create(vectors_file: str) -> Flask:
    """Return the application."""
    vectors = np.load(vectors_file)
    matrix = np.random.default_rng(0).standard_normal((784, vectors.shape[1])).astype(np.float32)
    app = Flask(__name__)

    @app.post("/v1/search")
    def search():
        image = Image.open(io.BytesIO(request.files["image"].read())).convert("L")
        pixels = np.asarray(image.resize((28, 28)), dtype=np.float32).ravel() / 255
        code = pixels @ matrix
        scores = vectors @ (code / np.linalg.norm(code))
        k = int(request.form["k"])
        best = np.argpartition(-scores, k)[:k]
        best = best[np.argsort(-scores[best])]
        return jsonify(matches=[{"key": int(n), "score": float(scores[n])} for n in best])

    return app


if __name__ == "__main__":
    serve(create(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), threads=16)
