"""Write the pictures of the golden vectors: every mode, orientation, size and format.

``python -m tests.golden.make_pictures``; the result is kept in the repository, because
what an encoder writes differs between its versions.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "pictures"
_RNG = np.random.default_rng(7)


def waves(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Return a smooth picture with a little noise."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 110 * np.sin(x / 7 + k) * np.cos(y / 5 - k) for k in range(channels)]
    noisy = np.stack(planes, axis=-1) + _RNG.normal(0, 8, (height, width, channels))
    picture = np.clip(noisy, 0, 255).astype(np.uint8)
    return picture if channels > 1 else picture[..., 0]


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    rows: list[bytes], width: int, depth: int, colour: int, *, extra: bytes = b"", adam7: int = 0
) -> bytes:
    """Return a PNG file of unfiltered rows; `height` is their number unless interlaced."""
    height = adam7 or len(rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 1 if adam7 else 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def exif(orientation: int, order: str = "<") -> bytes:
    """Return EXIF data with an orientation."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(order + "H", 1) + entry + struct.pack(order + "I", 0)


def interlaced(picture: np.ndarray) -> bytes:
    """Return a colour picture as an interlaced PNG file."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    rows = []
    for top, left, down, across in (*passes, (1, 0, 2, 1)):
        part = picture[top::down, left::across]
        rows += [row.tobytes() for row in part] if part.size else []
    return png(rows, picture.shape[1], 8, 2, adam7=picture.shape[0])


def bmp16(width: int, height: int) -> bytes:
    """Return a BMP file of 5 bits a colour, from the top down."""
    stride = (width * 16 + 31) // 32 * 4
    pixels = _RNG.integers(0, 256, stride * height, dtype=np.uint8).tobytes()
    header = struct.pack("<IiiHHIIiiII", 40, width, -height, 1, 16, 0, len(pixels), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + header + pixels


def raw_pngs() -> dict[str, bytes]:
    """Return PNG files of every way to store a sample, some with a transparent colour."""
    files = {}
    for colour, samples in ((0, 1), (2, 3), (3, 1), (4, 2), (6, 4)):
        for depth in {0: (1, 2, 4, 8, 16), 3: (1, 4, 8)}.get(colour, (8, 16)):
            length = (29 * samples * depth + 7) // 8
            rows = [_RNG.integers(0, 256, length, dtype=np.uint8).tobytes() for _ in range(19)]
            palette = _RNG.integers(0, 256, 3 << min(depth, 8), dtype=np.uint8).tobytes()
            extra = chunk(b"PLTE", palette) if colour == 3 else b""
            files[f"png-colour{colour}-bits{depth}.png"] = png(rows, 29, depth, colour, extra=extra)
            if colour == 3:
                extra += chunk(b"tRNS", bytes(range(0, 200, 50))[: 1 << depth])
            elif colour == 0 and depth >= 2:
                extra = chunk(b"tRNS", struct.pack(">H", 85))
            if extra:
                name = f"png-colour{colour}-bits{depth}-transparent.png"
                files[name] = png(rows, 29, depth, colour, extra=extra)
    gamma = chunk(b"gAMA", struct.pack(">I", 100_000))
    rows = [row.tobytes() for row in waves(21, 34, 1)]
    files["png-gamma.png"] = png(rows, 34, 8, 0, extra=gamma)
    files["png-interlaced.png"] = interlaced(waves(33, 41))
    return files


def save_others() -> None:
    """Write the pictures that Pillow writes itself."""
    for orientation in range(1, 9):
        picture = waves(21, 34)
        extra = chunk(b"eXIf", exif(orientation, "<>"[orientation % 2]))
        rows = [row.tobytes() for row in picture]
        name = f"png-orientation{orientation}.png"
        (FOLDER / name).write_bytes(png(rows, 34, 8, 2, extra=extra))
    for height, width in ((1, 1), (1, 300), (300, 1), (28, 28), (97, 151), (151, 40)):
        picture = Image.fromarray(waves(height, width))
        for kind in ("png", "bmp", "gif"):
            picture.save(FOLDER / f"size-{width}x{height}.{kind}")
    grey = Image.fromarray(waves(40, 52, 1))
    grey.save(FOLDER / "grey.gif")
    grey.save(FOLDER / "grey.bmp")
    grey.convert("1").save(FOLDER / "bits.bmp")
    quantized = Image.fromarray(waves(40, 52)).quantize(40)
    quantized.save(FOLDER / "transparent.gif", transparency=3)
    frames = [Image.fromarray(waves(30, 44)) for _ in range(3)]
    frames[0].save(FOLDER / "animated.gif", save_all=True, append_images=frames[1:])
    for name, options in {
        "444": {"subsampling": 0, "quality": 95},
        "420": {"subsampling": 2, "quality": 75},
        "progressive": {"progressive": True, "exif": b"Exif\0\0" + exif(6)},
    }.items():
        Image.fromarray(waves(65, 94)).save(FOLDER / f"jpeg-{name}.jpg", **options)
    grey.save(FOLDER / "jpeg-grey.jpg")
    Image.fromarray(waves(65, 94)).convert("CMYK").save(FOLDER / "jpeg-cmyk.jpg")


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    for name, data in raw_pngs().items():
        (FOLDER / name).write_bytes(data)
    (FOLDER / "bmp-bits16.bmp").write_bytes(bmp16(29, 19))
    save_others()


if __name__ == "__main__":
    main()
