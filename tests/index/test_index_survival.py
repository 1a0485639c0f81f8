"""Kills, full disks, readers beside a writer, and folders full of hostile images."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from survival_worker import GROUP, D, vector

from pyimgret.index import Index

WORKER = Path(__file__).with_name("survival_worker.py")
POSIX = pytest.mark.skipif(os.name != "posix", reason="kills and limits of POSIX")


def start(*arguments, **options):
    command = [sys.executable, os.fspath(WORKER), *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


class Journal:
    """Writes down (fsync) what a process acknowledged, as its lines come in."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a", encoding="utf-8")
        self.path = path

    def follow(self, process, first: threading.Event) -> None:
        for line in process.stdout:
            if line.endswith("\n"):
                self.file.write(line)
                self.file.flush()
                os.fsync(self.file.fileno())
                first.set()

    def expected(self) -> tuple[set[str], set[str]]:
        """Return the keys that must be there, and those that were in flight."""
        present: set[str] = set()
        flying: set[str] = set()
        for line in self.path.read_text(encoding="utf-8").splitlines():
            word, *keys = line.split()
            if word.startswith("will-"):
                flying |= set(keys)
                continue
            present = present | set(keys) if word == "added" else present - set(keys)
            flying -= set(keys)
        return present, flying


@POSIX
@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_acknowledged_images_survive_kill_9(tmp_path, kills):
    Index.create(tmp_path / "idx", dimension=D).close()
    journal = Journal(tmp_path / "journal")
    rng = random.Random(1)
    for seed in range(kills):
        process = start("change", tmp_path / "idx", seed)
        first = threading.Event()
        follower = threading.Thread(target=journal.follow, args=(process, first))
        follower.start()
        assert first.wait(60), process.stderr.read()
        time.sleep(rng.random() * 0.5)
        process.kill()
        follower.join()
        process.communicate()
        verify(tmp_path / "idx", journal)
    journal.file.close()
    index = Index.open(tmp_path / "idx")
    index.check(repair=True)
    assert index.check().ok
    assert len(index) > 20


def verify(directory, journal):
    present, flying = journal.expected()
    with Index.open(directory) as index:
        assert index.check().problems == []
        keys = set(index.keys())
        assert present - flying <= keys
        assert keys <= present | flying
        for key in random.Random(0).sample(sorted(keys), min(20, len(keys))):
            assert index.search(vector(key), k=1).scores[0] == pytest.approx(1, abs=1e-6)
            assert np.array_equal(index.get(key).vector, vector(key))


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_readers_beside_writer_see_committed_images(tmp_path, seconds):
    index = Index.create(tmp_path / "idx", dimension=D)
    for number in range(50):
        name = f"lasting{number}"
        keys = [f"{name}/{n}" for n in range(GROUP)]
        index.add(np.stack([vector(name)] * GROUP), keys=keys, metadata={"group": name})
    processes = [
        start("write_groups", index.directory, seconds),
        start("read_groups", index.directory, seconds, 1),
        start("read_groups", index.directory, seconds, 2),
    ]
    results = [process.communicate(timeout=seconds + 120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], results
    for output, _ in results[1:]:
        _, searches, _, seen = output.split()
        assert int(searches) > seconds
        assert int(seen) > 0


@POSIX
def test_full_disk_raises_clear_error_and_loses_nothing(tmp_path):
    Index.create(tmp_path / "idx", dimension=D).close()
    output, errors = start("fill", tmp_path / "idx", 500_000).communicate(timeout=120)
    lines = [line.split(" ", 1) for line in output.splitlines()]
    acknowledged = [key for word, rest in lines if word == "added" for key in rest.split()]
    message = next(rest for word, rest in lines if word == "error")
    assert "Nothing was changed" in message, errors
    assert ["found", "0-0"] in lines
    assert len(acknowledged) > 100
    with Index.open(tmp_path / "idx") as index:
        assert set(acknowledged) == set(index.keys())
        assert index.check().ok
        index.add(vector("later")[None], keys=["later"])


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def lying_png(width, height):
    """Return a PNG whose header promises another size than its data has."""
    content = bytearray(encoded(Image.new("L", (16, 16), 7)))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def harmless(rng):
    """Yield images that can be read, however odd."""
    photo = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    yield "one.png", encoded(Image.new("L", (1, 1)))
    yield "long.png", encoded(Image.new("RGB", (1, 5000), "red"))
    yield "wide.jpg", encoded(Image.new("RGB", (5000, 1), "red"), "JPEG")
    sixteen = rng.integers(0, 65536, (20, 20), dtype=np.uint16)
    yield "sixteen.png", encoded(Image.fromarray(sixteen))
    yield "cmyk.jpg", encoded(photo.convert("CMYK"), "JPEG")
    yield "palette.gif", encoded(photo.quantize(16), "GIF")
    frames = [photo.rotate(10 * n) for n in range(4)]
    yield "moving.gif", encoded(photo, "GIF", save_all=True, append_images=frames)
    yield "bits.png", encoded(photo.convert("1"))
    yield "alpha.png", encoded(photo.convert("RGBA"))
    yield "a jpeg named.png", encoded(photo, "JPEG")
    yield "no extension", encoded(photo, "BMP")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"exif{orientation}.jpg", encoded(photo, "JPEG", exif=exif)
    for name in (b"new\nline.png", b"quote'\".png", b"100%.png", b"caf\xe9.png", b" .png"):
        yield name, encoded(photo)


def harmful(rng):
    """Yield files that are no images."""
    photo = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    yield "empty.jpg", b""
    yield "text.png", b"hello\n" * 10
    yield "page.jpg", b"<!DOCTYPE html><html><body>404</body></html>"
    yield "zeros.png", bytes(10_000)
    yield "noise.jpg", rng.bytes(10_000)
    for kind in ("PNG", "JPEG"):
        whole = encoded(photo, kind)
        for tenth in range(10):
            yield f"cut{tenth}.{kind.lower()}", whole[: len(whole) * tenth // 10]
    yield "lies-large.png", lying_png(60_000, 60_000)
    yield "lies-tall.png", lying_png(1, 2**31 - 1)
    yield "bomb.png", encoded(Image.new("1", (20_000, 20_000)))
    yield "bomb.gif", b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0" + bytes(6)
    yield "bomb.tif", encoded(Image.new("1", (20_000, 20_000)), "TIFF", compression="group4")


def flipped(rng):
    """Yield images with wrong bits, of which some can be read."""
    photo = Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8))
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        whole = encoded(photo, kind)
        for number in range(12):
            content = bytearray(whole)
            for place in rng.integers(0, len(content) if number % 2 else 60, 1 + number):
                content[place] ^= 1 << int(rng.integers(8))
            yield f"flip{number}.{kind.lower()}", bytes(content)


@pytest.fixture
def hostile(open_folder):
    root = open_folder
    rng = np.random.default_rng(0)
    good, bad, either = (set(map(first, made(rng))) for made in (harmless, harmful, flipped))
    rng = np.random.default_rng(0)
    folder = root / "images"
    folder.mkdir()
    for made in (harmless, harmful, flipped):
        for name, content in made(rng):
            path = os.path.join(os.fsencode(folder), os.fsencode(name))  # noqa: PTH118
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(content)
    (folder / "x.jpg").mkdir()
    (folder / "x.jpg" / "inside.png").write_bytes(encoded(Image.new("L", (9, 9))))
    (folder / "loop").symlink_to(folder)
    (folder / "x.jpg" / "up").symlink_to("..")
    (folder / "circle.png").symlink_to("circle.png")
    (folder / "secret.png").write_bytes(encoded(Image.new("L", (9, 9))))
    (folder / "closed").mkdir()
    (folder / "closed" / "hidden.png").write_bytes(encoded(Image.new("L", (9, 9))))
    os.mkfifo(folder / "pipe.jpg")
    (folder / "secret.png").chmod(0)
    (folder / "closed").chmod(0)
    return root, good, bad, either


def first(pair):
    from pyimgret.index import key_from_path

    return key_from_path(os.fsencode(pair[0]))


@POSIX
def test_every_file_of_hostile_folder_is_added_or_reported(hostile, tmp_path):
    root, good, bad, either = hostile
    process = start("sync_as_nobody", root / "idx", tmp_path, root / "images")
    with contextlib.closing(process.stdout), contextlib.closing(process.stderr):
        output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    result = json.loads(output)
    added, failed = set(result["added"]), result["failed"]
    assert good | {"x.jpg/inside.png"} <= added
    assert bad | {"circle.png", "pipe.jpg", "secret.png", "closed"} <= set(failed)
    assert not added & set(failed)
    assert added | set(failed) >= either
    assert all(reason for reason in failed.values())
    assert failed["secret.png"] == failed["closed"] == "Permission denied"
    assert result["again"] == [0, len(added), sorted(failed)]
    assert result["max_rss_mb"] < 900


@POSIX
def test_memory_of_sync_does_not_grow_with_folder(tmp_path):
    rng = np.random.default_rng(0)
    photos = [
        encoded(Image.fromarray(rng.integers(0, 256, (480, 640, 3), np.uint8)), "JPEG")
        for _ in range(4)
    ]
    for folder, count in (("few", 300), ("many", 3000)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            # NB: what follows the end of a JPEG is not read, but gives each its own checksum.
            content = photos[number % 4] + f"{folder}{number}".encode()
            (tmp_path / folder / f"{number}.jpg").write_bytes(content)
    process = start("sync_many", tmp_path / "idx", tmp_path / "few", tmp_path / "many")
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    added, few, many = map(float, output.split())
    assert added == 3000
    # The 2,700 further photos hold 2.4 GB of pixels, their thumbnails and files 0.9 GB.
    assert many - few < 64
