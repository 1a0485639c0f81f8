"""Every rule of `pyimgret.preprocessing`, against formulas written out in NumPy."""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pyimgret.exceptions import ImageDecodeError, ModelFormatError
from pyimgret.preprocessing import FORMATS, Preprocessor, decode


def noise(*shape: int, seed: int = 0, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.uint8)


def grey(rgb: np.ndarray) -> np.ndarray:
    r, g, b = np.moveaxis(rgb.astype(np.int64), -1, 0)
    return ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16).astype(np.uint8)


def over_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    c, a = colour.astype(np.int64), alpha.astype(np.int64)
    return ((c * a + 255 * (255 - a) + 127) // 255).astype(np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(image: object, mode: str = "RGB") -> np.ndarray:
    return np.asarray(decode(image, mode))


RGB, GREY, ALPHA = noise(7, 5, 3), noise(7, 5, seed=1), noise(7, 5, seed=2)


# -- what may be given ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["array", "str", "path", "bytes", "bytearray", "view", "pil"])
def test_every_kind_of_input_gives_same_pixels(kind, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(Image.fromarray(RGB)))
    given = {
        "array": RGB,
        "str": str(path),
        "path": path,
        "bytes": path.read_bytes(),
        "bytearray": bytearray(path.read_bytes()),
        "view": memoryview(path.read_bytes()),
        "pil": Image.fromarray(RGB),
    }[kind]
    np.testing.assert_array_equal(pixels(given), RGB)
    np.testing.assert_array_equal(pixels(given, "L"), grey(RGB))


def test_grey_array_becomes_three_equal_channels():
    np.testing.assert_array_equal(pixels(GREY), np.repeat(GREY[..., None], 3, axis=2))


def test_array_that_is_not_contiguous_is_read_as_it_looks():
    np.testing.assert_array_equal(pixels(RGB[::-1, ::2]), RGB[::-1, ::2])


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), bool),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
        None,
        3,
        b"",
    ],
    ids=lambda value: str(getattr(value, "dtype", value)),
)
def test_what_is_not_image_is_rejected(wrong):
    with pytest.raises(ImageDecodeError):
        decode(wrong)


def test_given_pil_image_is_not_changed():
    image = Image.fromarray(np.dstack([RGB, ALPHA]))
    decode(image, "L")
    assert image.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(image)[..., :3], RGB)


# -- modes ---------------------------------------------------------------------------


def test_grey_formula_on_every_level_of_every_channel():
    ramp = np.zeros((3, 256, 3), np.uint8)
    for channel in range(3):
        ramp[channel, :, channel] = np.arange(256)
    for rgb in (ramp, noise(300, 300, 3, seed=5)):
        np.testing.assert_array_equal(pixels(rgb, "L"), grey(rgb))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_high_byte(kind):
    deep = np.random.default_rng(3).integers(0, 65536, (6, 9)).astype(np.uint16)
    data = saved(Image.fromarray(deep), kind)
    np.testing.assert_array_equal(pixels(data, "L"), (deep >> 8).astype(np.uint8))


def test_16_bit_big_endian_and_pgm():
    deep = np.random.default_rng(3).integers(0, 65536, (6, 9)).astype(">u2")
    image = Image.frombytes("I;16B", (9, 6), deep.tobytes())
    np.testing.assert_array_equal(pixels(image, "L"), (deep >> 8).astype(np.uint8))
    pgm = b"P5 9 6 65535 " + deep.tobytes()
    np.testing.assert_array_equal(pixels(pgm, "L"), (deep >> 8).astype(np.uint8))


def test_32_bit_integers_are_clipped_to_16_bits():
    image = Image.fromarray(np.array([[-5, 256, 70_000, 65_535]], np.int32))
    np.testing.assert_array_equal(pixels(image, "L"), [[0, 1, 255, 255]])


def test_floats_are_clipped_and_rounded_down():
    values = np.array([[-3.5, 1.9, 254.99, 300, np.nan, np.inf, -np.inf]], np.float32)
    expected = [[0, 1, 254, 255, 0, 255, 0]]
    np.testing.assert_array_equal(pixels(Image.fromarray(values), "L"), expected)
    np.testing.assert_array_equal(pixels(saved(Image.fromarray(values), "TIFF"), "L"), expected)


def test_one_bit_is_black_and_white():
    bits = noise(5, 9, high=2).astype(bool)
    data = saved(Image.fromarray(bits))
    np.testing.assert_array_equal(pixels(data, "L"), bits * np.uint8(255))


def test_palette_is_looked_up():
    image = Image.fromarray(RGB).quantize(8)
    table = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    expected = table[np.asarray(image)]
    for kind in ("PNG", "GIF", "BMP"):
        data = saved(image, kind)
        np.testing.assert_array_equal(pixels(data), expected)
        np.testing.assert_array_equal(pixels(data, "L"), grey(expected))


def test_cmyk_formula():
    cmyk = noise(40, 40, 4, seed=9)
    c, k = cmyk[..., :3].astype(np.int64), cmyk[..., 3:].astype(np.int64)
    n = 255 - k
    t = c * n + 128
    expected = np.clip(n - (((t >> 8) + t) >> 8), 0, 255).astype(np.uint8)
    image = (
        Image.fromarray(cmyk, mode="CMYK")
        if False
        else Image.frombytes("CMYK", (40, 40), cmyk.tobytes())
    )
    np.testing.assert_array_equal(pixels(image), expected)
    np.testing.assert_array_equal(pixels(saved(image, "TIFF"), "L"), grey(expected))


def test_cmyk_jpeg_is_read():
    flat = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red
    red = pixels(saved(flat, "JPEG", quality=95))[8, 8]
    assert red[0] > 240
    assert max(red[1:]) < 15


def test_alpha_is_composited_over_white():
    rgba = Image.fromarray(np.dstack([RGB, ALPHA]))
    expected = over_white(RGB, ALPHA[..., None])
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(pixels(saved(rgba, kind)), expected)
        np.testing.assert_array_equal(pixels(saved(rgba, kind), "L"), grey(expected))


def test_grey_with_alpha_is_composited_over_white():
    la = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)])
    np.testing.assert_array_equal(pixels(saved(la), "L"), over_white(GREY, ALPHA))
    np.testing.assert_array_equal(pixels(la)[..., 2], over_white(GREY, ALPHA))


def test_alpha_formula_ends_and_halves():
    every = np.arange(256, dtype=np.uint8)
    colour, alpha = np.meshgrid(every, every)
    la = Image.merge("LA", [Image.fromarray(colour), Image.fromarray(alpha)])
    exact = np.rint((colour * (alpha / 255.0)) + 255 - alpha)
    np.testing.assert_array_equal(pixels(la, "L"), exact.astype(np.uint8))


def test_alpha_of_large_image_is_composited_in_strips(monkeypatch):
    rgba = np.dstack([noise(50, 31, 3), noise(50, 31, seed=3)])
    monkeypatch.setattr("pyimgret.preprocessing.decoding._STRIP", 7 * 31)
    expected = over_white(rgba[..., :3], rgba[..., 3:])
    np.testing.assert_array_equal(pixels(Image.fromarray(rgba)), expected)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_entry_is_white(kind):
    image = Image.fromarray(RGB).quantize(4)
    table = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    expected = table[np.asarray(image)].copy()
    expected[np.asarray(image) == 2] = 255
    np.testing.assert_array_equal(pixels(saved(image, kind, transparency=2)), expected)


def test_palette_with_alpha_of_every_entry():
    image = Image.fromarray(RGB).quantize(4)
    table = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    alphas = bytes([0, 85, 170, 255])
    index = np.asarray(image)
    expected = over_white(table[index], np.frombuffer(alphas, np.uint8)[index][..., None])
    np.testing.assert_array_equal(pixels(saved(image, transparency=alphas)), expected)


def test_transparent_colour_is_white():
    colour = RGB.copy()
    colour[2, 3] = (1, 2, 3)
    expected = colour.copy()
    expected[2, 3] = 255
    data = saved(Image.fromarray(colour), transparency=(1, 2, 3))
    np.testing.assert_array_equal(pixels(data), expected)
    level = int(GREY[4, 4])
    data = saved(Image.fromarray(GREY), transparency=level)
    np.testing.assert_array_equal(pixels(data, "L"), np.where(level == GREY, 255, GREY))


def test_transparency_of_16_bit_grey_is_ignored():
    deep = np.array([[0, 4660, 65535]], np.uint16)
    data = saved(Image.fromarray(deep), transparency=4660)
    np.testing.assert_array_equal(pixels(data, "L"), [[0, 18, 255]])


@pytest.mark.parametrize("mode", ["HSV", "YCbCr", "LAB", "RGBX", "PA", "La", "RGBa", "P"])
def test_rare_modes_of_pil_images_are_read(mode):
    image = Image.new(mode, (4, 3))
    assert pixels(image).shape == (3, 4, 3)
    assert pixels(image, "L").shape == (3, 4)


# -- orientation ---------------------------------------------------------------------

UPRIGHT = noise(6, 4, 3, seed=11)
STORED = {  # how the image lies in the file, so that the tag brings it upright
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: np.rot90(UPRIGHT, 1),
    7: UPRIGHT[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(UPRIGHT, -1),
}


def oriented(value: object, kind: str, array: np.ndarray, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    image = Image.fromarray(np.ascontiguousarray(array))
    return saved(image, kind, exif=exif, **options)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_orientation_of_lossless_files(value, kind):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    data = oriented(value, kind, STORED[value], **options)
    np.testing.assert_array_equal(pixels(data), UPRIGHT)


@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_of_jpeg(value):
    corner = np.zeros((48, 32, 3), np.uint8)
    corner[:16, :16] = 255  # the top left corner is white
    turn = {
        1: corner,
        2: corner[:, ::-1],
        3: corner[::-1, ::-1],
        4: corner[::-1],
        5: corner.transpose(1, 0, 2),
        6: np.rot90(corner, 1),
        7: corner[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(corner, -1),
    }[value]
    result = pixels(oriented(value, "JPEG", turn, quality=95), "L")
    assert result.shape == (48, 32)
    assert np.abs(result.astype(int) - corner[..., 0]).max() < 40


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_that_does_not_exist_means_upright(value):
    np.testing.assert_array_equal(pixels(oriented(value, "PNG", UPRIGHT)), UPRIGHT)


def test_broken_exif_data_costs_nothing():
    data = saved(Image.fromarray(UPRIGHT), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(pixels(data), UPRIGHT)


# -- files ---------------------------------------------------------------------------


def test_first_frame_of_animation():
    frames = [Image.fromarray(noise(6, 6, 3, seed=s)).quantize(16) for s in range(3)]
    expected = np.asarray(frames[0].convert("RGB"))
    for kind in ("GIF", "PNG", "TIFF"):
        kept = [frame.convert("RGB") if kind == "PNG" else frame for frame in frames]
        data = saved(kept[0], kind, save_all=True, append_images=kept[1:])
        np.testing.assert_array_equal(pixels(data), expected)


def test_jpeg_is_decoded_at_full_size_whatever_target():
    smooth = np.linspace(0, 255, 512 * 512).reshape(512, 512).astype(np.uint8)
    data = saved(Image.fromarray(smooth), "JPEG")
    full = Image.open(io.BytesIO(data))
    assert full.size == (512, 512)
    expected = np.asarray(full.resize((28, 28), Image.Resampling.BILINEAR, reducing_gap=None))
    np.testing.assert_array_equal(Preprocessor().pixels(data), expected)


def test_truncated_file_is_rejected():
    whole = saved(Image.fromarray(noise(64, 64, 3)), "JPEG")
    for data in (whole[: len(whole) // 2], saved(Image.fromarray(noise(64, 64, 3)))[:5000]):
        with pytest.raises(ImageDecodeError, match="runcated"):
            decode(data)


@pytest.mark.parametrize("seed", range(6))
def test_damaged_files_raise_one_kind_of_error_only(seed):
    rng = np.random.default_rng(seed)
    kinds = [
        ("PNG", {}),
        ("JPEG", {}),
        ("GIF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {}),
        ("BMP", {}),
        ("PPM", {}),
    ]
    for kind, options in kinds:
        data = bytearray(saved(Image.fromarray(noise(24, 24, 3, seed=seed)), kind, **options))
        for _ in range(60):
            broken = bytearray(data)
            for position in rng.integers(0, len(data), 4):
                broken[position] = rng.integers(0, 256)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with contextlib.suppress(ImageDecodeError):
                    assert decode(bytes(broken), max_pixels=10**6).mode == "RGB"


def png_header(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = b""
    for name, body in ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + name + body
        chunks += struct.pack(">I", zlib.crc32(name + body))
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_bomb_is_rejected_before_decoding():
    with pytest.raises(ImageDecodeError, match="pixels"):
        decode(png_header(50_000, 50_000))
    with pytest.raises(ImageDecodeError, match="3 x 4 pixels; between 1 and 11"):
        decode(png_header(3, 4), max_pixels=11)
    with pytest.raises(ImageDecodeError, match="between 1 and 11"):
        Preprocessor(max_pixels=11)(Image.new("L", (3, 4)))


def test_pillows_bomb_warning_is_error_of_ours_when_warnings_are_errors():
    with pytest.raises(ImageDecodeError):
        decode(png_header(9_500, 9_500))


def test_text_folders_and_missing_files_are_rejected_by_name(tmp_path):
    text = tmp_path / "notes.png"
    text.write_text("no image")
    with pytest.raises(ImageDecodeError, match=r"notes\.png: not an image in a known format"):
        decode(text)
    with pytest.raises(ImageDecodeError, match="it is a folder"):
        decode(tmp_path)
    with pytest.raises(ImageDecodeError, match=r"gone\.png: No such file"):
        decode(tmp_path / "gone.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageDecodeError, match="not a regular file"):
        decode(tmp_path / "pipe.png")


def test_format_that_runs_other_programs_is_not_tried():
    assert "EPS" not in FORMATS
    with pytest.raises(ImageDecodeError):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EOF\n")


def test_any_file_name(tmp_path):
    names = ["ünïcode 図.png", "new\nline.png", "-dash", "%41.png", os.fsdecode(b"caf\xe9.png")]
    for name in names:
        path = tmp_path / name
        path.write_bytes(saved(Image.fromarray(RGB)))
        np.testing.assert_array_equal(pixels(path), RGB)
        path.write_bytes(b"broken")
        with pytest.raises(ImageDecodeError) as caught:
            decode(path)
        str(caught.value).encode()  # can be printed


# -- sizes ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2), (29, 27)])
@pytest.mark.parametrize("name", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
def test_stretch_is_pillows_resize(size, name):
    image = Image.fromarray(noise(*size, 3))
    expected = image.resize((13, 17), Image.Resampling[name.upper()], reducing_gap=None)
    result = Preprocessor("RGB", 17, 13, filter=name).pixels(image)
    np.testing.assert_array_equal(result, np.asarray(expected))


def test_order_of_passes_is_ours_whatever_pillow_does():
    image = Image.fromarray(noise(40, 20, 3))

    def by_hand(*sizes):
        result = image
        for size in sizes:
            result = result.resize(size, Image.Resampling.BICUBIC)
        return np.asarray(result)

    for size, between in (((10, 15), (10, 40)), ((30, 60), (30, 40)), ((30, 15), (20, 15))):
        result = Preprocessor("RGB", size[1], size[0], filter="bicubic").pixels(image)
        np.testing.assert_array_equal(result, by_hand(between, size))
    assert not np.array_equal(by_hand((20, 15), (30, 15)), by_hand((30, 40), (30, 15)))


def test_decoded_image_is_decoded_again_as_it_is():
    for path in (Path(__file__).parent / "golden" / "pictures").glob("*orientation*"):
        once = decode(path)
        np.testing.assert_array_equal(np.asarray(decode(once)), np.asarray(once))


@pytest.mark.parametrize("name", ["nearest", "lanczos"])
def test_image_of_right_size_is_not_resampled(name):
    np.testing.assert_array_equal(Preprocessor("RGB", 7, 5, filter=name).pixels(RGB), RGB)


@pytest.mark.parametrize(
    ("size", "resized", "box"),
    [
        # (w, h), after the short side is 10, and where 8 x 8 is cut out
        ((20, 20), (10, 10), (1, 1)),
        ((20, 30), (10, 15), (1, 4)),  # (15 - 8) / 2 = 3.5 -> 4
        ((30, 20), (15, 10), (4, 1)),
        ((20, 34), (10, 17), (1, 4)),  # 4.5 -> 4
        ((21, 40), (10, 19), (1, 6)),  # 10 * 40 // 21 = 19
        ((5, 5), (10, 10), (1, 1)),
        ((10, 13), (10, 13), (1, 2)),  # 2.5 -> 2, nothing is resampled
    ],
)
def test_crop_follows_torchvision(size, resized, box):
    image = Image.fromarray(noise(size[1], size[0], 3))
    wanted = image if size == resized else image.resize(resized, Image.Resampling.BILINEAR)
    left, top = box
    expected = np.asarray(wanted)[top : top + 8, left : left + 8]
    result = Preprocessor("RGB", 8, 8, resize="crop", short_side=10).pixels(image)
    np.testing.assert_array_equal(result, expected)


def test_crop_of_hair_is_rejected_instead_of_filling_memory():
    crop = Preprocessor("RGB", 224, 224, resize="crop", short_side=256)
    with pytest.raises(ImageDecodeError, match="too long"):
        crop(noise(1, 50_000))
    assert Preprocessor("RGB", 8, 8, resize="crop", short_side=8)(noise(1, 5000)).shape == (8, 8, 3)


# -- scaling -------------------------------------------------------------------------


def test_every_level_is_scaled_in_double_and_rounded_once():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    levels = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None], 3, axis=2)
    result = Preprocessor("RGB", 16, 16, mean=mean, std=std)(levels)
    for channel in range(3):
        expected = [np.float32((p / 255 - mean[channel]) / std[channel]) for p in range(256)]
        np.testing.assert_array_equal(result[..., channel].ravel(), expected)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous


def test_one_mean_serves_three_channels():
    assert Preprocessor("RGB", mean=0.5, std=[0.25]).mean == (0.5, 0.5, 0.5)
    assert Preprocessor("RGB", mean=0.5, std=[0.25]).std == (0.25, 0.25, 0.25)


# -- batches -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("shape", [(4, 7, 5), (4, 7, 5, 3), (4, 9, 9)])
def test_batch_is_its_images(mode, shape):
    preprocessor, images = Preprocessor(mode, 7, 5, mean=0.1, std=0.3), noise(*shape)
    expected = np.stack([preprocessor(image) for image in images])
    for given in (images, list(images), iter(images)):
        result = preprocessor.batch(given)
        np.testing.assert_array_equal(result, expected)
        assert (result.dtype, result.flags.c_contiguous) == (np.float32, True)


def test_empty_batch_keeps_shape():
    assert Preprocessor("RGB", 7, 5).batch([]).shape == (0, 7, 5, 3)
    assert Preprocessor().batch(np.empty((0, 28, 28), np.uint8)).shape == (0, 28, 28)


def test_broken_image_of_batch_is_named(tmp_path):
    (tmp_path / "b.png").write_text("no image")
    with pytest.raises(ImageDecodeError, match=r"image 1: .*b\.png"):
        Preprocessor().batch([RGB, tmp_path / "b.png"])


@pytest.mark.parametrize("wrong", [RGB, GREY, noise(2, 4, 4).astype(float), noise(2, 2, 2, 2, 2)])
def test_array_that_is_not_batch_is_rejected(wrong):
    with pytest.raises(ImageDecodeError, match="is not a batch"):
        Preprocessor().batch(wrong)


@pytest.mark.parametrize("wrong", ["image.png", b"content"])
def test_single_image_is_not_batch(wrong):
    with pytest.raises(TypeError, match="into a list"):
        Preprocessor().batch(wrong)


# -- the stored definition -----------------------------------------------------------

CASES = [
    Preprocessor(),
    Preprocessor("RGB", 224, 200, "crop", 256, "bicubic", (0.485, 0.456, 0.406), (0.2, 0.3, 0.4)),
    Preprocessor("L", 1, 3, mean=0.1307, std=0.3081, filter="nearest"),
]


@pytest.mark.parametrize("preprocessor", CASES)
def test_definition_survives_json(preprocessor):
    stored = json.loads(json.dumps(preprocessor.to_dict()))
    assert Preprocessor.from_dict(stored) == preprocessor
    assert len({preprocessor, Preprocessor.from_dict(stored)}) == 1


def test_definition_holds_exactly_documented_fields():
    fields = {"mode", "height", "width", "resize", "short_side", "filter", "mean", "std"}
    assert set(Preprocessor(max_pixels=5).to_dict()) == fields


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"invert": True}, "unknown fields: \\['invert'\\]"),
        ({"mode": "CMYK"}, "unknown mode 'CMYK'"),
        ({"filter": "mitchell"}, "unknown filter 'mitchell'"),
        ({"resize": "pad"}, "unknown resize 'pad'"),
        ({"height": 0}, "height=0"),
        ({"width": 10**9}, "width=1000000000"),
        ({"height": 28.0}, "height=28.0"),
        ({"width": True}, "width=True"),
        ({"mean": [0, 0, 0]}, "1 finite"),
        ({"mean": ["0"]}, "1 finite"),
        ({"mean": None}, "not usable"),
        ({"std": [0.0]}, "std=\\(0.0,\\) must be positive"),
        ({"std": [float("nan")]}, "1 finite"),
        ({"short_side": 40}, "is only valid with resize='crop'"),
        ({"resize": "crop"}, "short_side=None"),
        ({"resize": "crop", "short_side": 27}, "choose at least 28"),
        ({"mode": []}, "unknown mode"),
    ],
)
def test_definition_of_another_version_is_rejected(change, message):
    with pytest.raises(ModelFormatError, match=message):
        Preprocessor.from_dict(Preprocessor().to_dict() | change)


def test_definition_with_missing_field_or_of_another_type_is_rejected():
    stored = Preprocessor().to_dict()
    del stored["filter"]
    with pytest.raises(ModelFormatError, match="lacks the fields \\['filter'\\]"):
        Preprocessor.from_dict(stored)
    with pytest.raises(ModelFormatError, match="not an object"):
        Preprocessor.from_dict([1])
