"""Photos of every kind, from file to MobileNetV2's embedding: each is what a plain one would be."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pyimgret import Encoder
from pyimgret.cli import main
from pyimgret.exceptions import ImageDecodeError
from pyimgret.pretrained import mobilenet_v2
from tests.pictures import made_pictures

pytestmark = pytest.mark.usefixtures("imagenet_weights")

PHOTO = made_pictures(1, side=300, seed=2)[0][:, :280]
ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def encoder():
    return Encoder(mobilenet_v2())


def cosine(encoder: Encoder, one: object, other: object) -> float:
    a, b = encoder.encode([one, other])
    return float(a @ b)


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_cmyk_photo_is_one_in_rgb(encoder, tmp_path) -> None:
    photo = Image.fromarray(PHOTO)
    cmyk = save(photo.convert("CMYK"), tmp_path / "cmyk.jpg", quality=95)
    with Image.open(cmyk) as stored:
        assert stored.mode == "CMYK"
    assert cosine(encoder, cmyk, save(photo, tmp_path / "rgb.jpg", quality=95)) > 0.98


def test_16_bit_photo_is_one_of_8_bits(encoder, tmp_path) -> None:
    grey = PHOTO[..., 0]
    deep = save(Image.fromarray(grey.astype(np.uint16) << 8 | 77), tmp_path / "deep.png")
    with Image.open(deep) as stored:
        assert stored.mode.startswith("I;16")
    assert cosine(encoder, deep, save(Image.fromarray(grey), tmp_path / "grey.png")) > 1 - 1e-6


def test_animated_photo_is_its_first_frame(encoder, tmp_path) -> None:
    frames = [Image.fromarray(PHOTO).quantize(64), Image.fromarray(255 - PHOTO).quantize(64)]
    animated = save(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with Image.open(animated) as stored:
        assert stored.n_frames == 2
    still = save(frames[0].convert("RGB"), tmp_path / "still.png")
    assert cosine(encoder, animated, still) > 1 - 1e-6


def test_photo_that_exif_turns_is_upright_one(encoder, tmp_path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(PHOTO, 1)))
    turned = save(lying, tmp_path / "turned.png", exif=exif)
    upright = save(Image.fromarray(PHOTO), tmp_path / "upright.png")
    assert cosine(encoder, turned, upright) > 1 - 1e-6
    assert cosine(encoder, save(lying, tmp_path / "lying.png"), upright) < 0.999


def test_transparent_photo_lies_on_white(encoder, tmp_path) -> None:
    alpha = np.full((*PHOTO.shape[:2], 1), 255, np.uint8)
    alpha[:150] = 0
    clear = Image.fromarray(np.concatenate([PHOTO, alpha], axis=2))
    white = np.where(alpha == 0, np.uint8(255), PHOTO)
    files = save(clear, tmp_path / "a.png"), save(Image.fromarray(white), tmp_path / "b.png")
    assert cosine(encoder, *files) > 1 - 1e-6


def test_photo_of_one_pixel_is_plane_of_its_colour(encoder, tmp_path) -> None:
    colour = np.array([[[200, 30, 90]]], np.uint8)
    pixel = save(Image.fromarray(colour), tmp_path / "pixel.png")
    plane = Image.fromarray(np.broadcast_to(colour, (300, 300, 3)).copy())
    assert cosine(encoder, pixel, save(plane, tmp_path / "plane.png")) > 1 - 1e-6


def test_gigantic_photo_is_read_and_bomb_is_refused(encoder, tmp_path) -> None:
    small = Image.fromarray(PHOTO)
    large = small.resize((280 * 20, 300 * 20), Image.Resampling.BICUBIC)
    assert cosine(encoder, save(large, tmp_path / "33_megapixels.jpg"), small) > 0.98
    with pytest.raises(ImageDecodeError, match=r"bomb\.png: .*pixels"):
        encoder.encode([bomb(tmp_path / "bomb.png")])


def bomb(path: Path) -> Path:
    """Write a PNG that claims 2.5 billion pixels in 60 bytes."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + name + body
        data += struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(data)
    return path


def test_broken_photos_are_reported_and_others_are_indexed(tmp_path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    whole = save(Image.fromarray(PHOTO), folder / "whole.jpg")
    (folder / "truncated.jpg").write_bytes(whole.read_bytes()[:2000])
    (folder / "words.jpg").write_text("no image")
    (folder / "empty.png").write_bytes(b"")
    bomb(folder / "bomb.png")
    index = str(tmp_path / "idx")
    arguments = ["index", "add", "--index", index, "--pretrained", "mobilenet_v2", str(folder)]
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    failed = {entry["key"]: entry["reason"] for entry in report["failed"]}
    assert set(failed) == {"bomb.png", "empty.png", "truncated.jpg", "words.jpg"}
    assert all(failed.values())
    assert report["added"] == 1
