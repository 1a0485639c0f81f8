"""Drawn pictures, and an encoder that sees their colours: no licence, no JVM, no training."""

from __future__ import annotations

import colorsys
import hashlib
import io

import numpy as np
from PIL import Image, ImageDraw

from pyimgret.preprocessing import Preprocessor

KINDS = ("mountain", "sea", "town")
NASTY = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


class ColourEncoder:
    """Embeds a picture by a coarse grid of its colours."""

    def __init__(self) -> None:
        self.preprocessor = Preprocessor("RGB", 6, 6, filter="box")
        self.embedding_size = 109
        self.model_checksum = hashlib.sha256(b"colours").hexdigest()

    def encode(self, images):
        return self.encode_tensors(self.preprocessor.batch(images))

    def encode_tensors(self, X):
        codes = X.reshape(len(X), -1) - 0.5
        codes = np.concatenate([codes, np.full((len(X), 1), 0.01)], axis=1).astype(np.float32)
        return codes / np.linalg.norm(codes, axis=1, keepdims=True)

    def save(self, path) -> None:
        path.write_bytes(b"colours")


def explain(encoder, query: bytes, match: bytes):
    """Say that the middle was alike."""
    rows = np.linspace(-1, 1, 12, dtype=np.float32)
    heat = np.exp(-2 * (rows[:, None] ** 2 + rows[None] ** 2))
    return 0.875, heat, heat


def scene(kind: str, hue: float, seed: int, size=(360, 300)) -> Image.Image:
    """Draw a landscape of one kind in one mood."""
    rng = np.random.default_rng(seed)
    width, height = size
    picture = Image.new("RGB", size)
    draw = ImageDraw.Draw(picture)
    for y in range(height):
        draw.line([(0, y), (width, y)], fill=_colour(hue, 0.55 - 0.4 * y / height, 0.95))
    sun = int(rng.integers(40, width - 40))
    draw.ellipse([sun - 22, 40, sun + 22, 84], fill=_colour(hue + 0.5, 0.25, 1.0))
    _GROUND[kind](draw, rng, hue, width, height)
    return picture


def _mountain(draw, rng, hue, width, height):
    for layer in range(3):
        base = height * (0.5 + 0.17 * layer)
        peaks = [(x, base - rng.integers(10, 90 - 20 * layer)) for x in range(-40, width + 80, 70)]
        colour = _colour(hue + 0.06 * layer, 0.5, 0.62 - 0.17 * layer)
        draw.polygon([(-40, height), *peaks, (width + 80, height)], fill=colour)


def _sea(draw, rng, hue, width, height):
    draw.rectangle([0, height * 0.55, width, height], fill=_colour(hue + 0.05, 0.75, 0.6))
    for _ in range(60):
        x, y = rng.integers(0, width), rng.integers(int(height * 0.57), height)
        draw.line([(x, y), (x + 24, y)], fill=_colour(hue + 0.03, 0.4, 0.85), width=2)


def _town(draw, rng, hue, width, height):
    for x in range(0, width, 36):
        top = height - rng.integers(70, 190)
        draw.rectangle([x, top, x + 32, height], fill=_colour(hue + 0.1, 0.3, 0.35))
        for y in range(int(top) + 8, height - 8, 18):
            lit = _colour(0.14, 0.6, 1.0) if rng.random() < 0.6 else _colour(hue, 0.3, 0.2)
            draw.rectangle([x + 7, y, x + 13, y + 8], fill=lit)
            draw.rectangle([x + 19, y, x + 25, y + 8], fill=lit)


_GROUND = {"mountain": _mountain, "sea": _sea, "town": _town}


def _colour(hue, saturation, value):
    return tuple(int(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def fill(index) -> None:
    """Put 48 scenes into an index, and one whose metadata would like to run."""
    images, keys, metadata = [], [], []
    for n in range(48):
        kind, hue = KINDS[n % 3], (n // 3) / 16
        images.append(scene(kind, hue, n))
        keys.append(f"{kind}/{n:02d}.jpg")
        metadata.append({"kind": kind, "year": 1990 + n})
    images.append(scene("sea", 0.03, 99))
    keys.append(f"nasty/{NASTY}.jpg")
    metadata.append({"kind": "sea", "title": NASTY})
    assert not index.add(images, keys=keys, metadata=metadata).failed


def jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
