"""Drawn images, and an encoder that sees their colours: no licence, no JVM, no training."""

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
    """Embeds an image by a coarse grid of its colours."""

    def __init__(self) -> None:
        self.preprocessor = Preprocessor("RGB", 6, 6, filter="box")
        self.embedding_size = 109
        self.model = None
        self.model_checksum = hashlib.sha256(b"colours").hexdigest()

    def encode(self, images):
        scaled = getattr(images, "dtype", None) == np.float32
        return self.encode_tensors(images if scaled else self.preprocessor.batch(images))

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
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    for y in range(height):
        draw.line([(0, y), (width, y)], fill=_colour(hue, 0.55 - 0.4 * y / height, 0.95))
    sun = int(rng.integers(40, width - 40))
    draw.ellipse([sun - 22, 40, sun + 22, 84], fill=_colour(hue + 0.5, 0.25, 1.0))
    _GROUND[kind](draw, rng, hue, width, height)
    return image


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


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def product(kind: str, hue: float, seed: int, size=(300, 300)) -> Image.Image:
    """Draw a thing on a table: a mug, a bottle or a lamp."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, _colour(0.1, 0.04, 0.95))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, 235, 300, 300], fill=_colour(0.08, 0.15, 0.85))
    x, main, dark = 150 + int(rng.integers(-14, 15)), _colour(hue, 0.6, 0.8), _colour(hue, 0.7, 0.5)
    if kind == "mug":
        draw.ellipse([x + 30, 140, x + 95, 215], outline=main, width=14)
        draw.rounded_rectangle([x - 60, 115, x + 55, 245], 16, fill=main)
        draw.ellipse([x - 60, 100, x + 55, 132], fill=dark)
    elif kind == "bottle":
        draw.rounded_rectangle([x - 45, 120, x + 45, 250], 18, fill=main)
        draw.rectangle([x - 18, 60, x + 18, 130], fill=main)
        draw.rectangle([x - 21, 45, x + 21, 68], fill=dark)
        draw.rectangle([x - 45, 160, x + 45, 210], fill=_colour(0.1, 0.05, 1.0))
    else:
        draw.rectangle([x - 5, 120, x + 5, 240], fill=dark)
        draw.ellipse([x - 50, 228, x + 50, 250], fill=dark)
        draw.polygon([(x - 30, 55), (x + 30, 55), (x + 70, 140), (x - 70, 140)], fill=main)
    return image


def house(kind: str, hue: float, seed: int, size=(340, 280)) -> Image.Image:
    """Draw a house with a garden: a cottage, a villa or a block of flats."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, _colour(0.56, 0.25, 0.97))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, 210, 340, 280], fill=_colour(0.3, 0.5, 0.6))
    wall, roof = _colour(hue, 0.3, 0.92), _colour(hue + 0.45, 0.55, 0.55)
    half, top = {"cottage": (70, 150), "villa": (120, 130), "flats": (75, 50)}[kind]
    x = 170 + int(rng.integers(-25, 26))
    draw.rectangle([x - half, top, x + half, 235], fill=wall)
    if kind == "flats":
        draw.rectangle([x - half - 6, top - 10, x + half + 6, top], fill=roof)
    else:
        draw.polygon([(x - half - 16, top), (x, top - 75), (x + half + 16, top)], fill=roof)
    for row in range(top + 18, 200, 44):
        for column in range(x - half + 16, x + half - 30, 42):
            draw.rectangle([column, row, column + 24, row + 26], fill=_colour(0.57, 0.35, 0.5))
    draw.rectangle([x - 14, 195, x + 14, 235], fill=roof)
    draw.ellipse([10, 150, 70, 225], fill=_colour(0.33, 0.6, 0.4))
    return image


def use_case(index, name: str) -> Image.Image:
    """Fill an index for one of the README's uses, and return what to ask with."""
    rng = np.random.default_rng(3)
    kinds, draw = {
        "places": (KINDS, scene),
        "products": (("mug", "bottle", "lamp"), product),
        "listings": (("cottage", "villa", "flats"), house),
    }[name]
    images, metadata = [], []
    for n in range(54):
        images.append(draw(kinds[n % 3], (n // 3) / 18, n))
        facts = {
            "places": {"kind": kinds[n % 3], "year": 2000 + int(rng.integers(0, 30))},
            "products": {"price": int(rng.integers(8, 60)), "stock": int(rng.integers(0, 9))},
            "listings": {
                "price": 10_000 * int(rng.integers(12, 60)),
                "rooms": int(rng.integers(1, 7)),
            },
        }
        metadata.append(facts[name])
    keys = [f"{kinds[n % 3]} {n:02d}" for n in range(54)]
    index.add(images, keys=keys, metadata=metadata)
    return draw(kinds[1], 0.57, 77)
