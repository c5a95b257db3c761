"""Reading pictures: every format and mode, the whole of every picture, and what no file may do to a run."""

import io
import json
import os
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

from dn2.errors import UnreadableItem
from dn2.networks import decoding
from dn2.networks import pixels as images
from dn2.networks.decoding import file_bytes
from dn2.networks.looking import write_region
from dn2.networks.pixels import (
    EVEN_MEAN,
    EVEN_SPREAD,
    Preprocessing,
    decode,
    is_thumbnail,
    light_of,
    read_pixels,
    to_pixels,
    to_thumbnail,
)
from dn2.networks.semaphore import WeightedSemaphore
from dn2.system.processes import PerProcess

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (30, 44, 3), np.uint8)
GREY = RNG.integers(0, 256, (30, 44), np.uint8)
DEEP = np.append(RNG.integers(0, 65536, 1000), [0, 128, 129, 257, 385, 386, 32896, 65406, 65407, 65535] * 2)
DEEP = DEEP.astype(np.uint16).reshape(30, 34)
SMALL = Preprocessing(32, 64)


def read_bytes(path):
    """Read a file, and keep its bytes."""
    with file_bytes(path) as data:
        return data


def array(data, size=None):
    """Decode to an array."""
    return np.asarray(decode(data, size))


def over_white(color, alpha):
    """Lay 8-bit colours over white, in floating point."""
    share = np.asarray(alpha, float)[..., None] / 255
    return np.asarray(color, float) * share + 255 * (1 - share)


def png(width, height, depth, color_type, rows, *chunks):
    """Write a PNG by hand.  rows : the pixels' bytes in big-endian order, chunks : (name, data) before them."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    line = len(rows) // height
    body = b"".join(b"\0" + rows[start : start + line] for start in range(0, len(rows), line)) if rows else b""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    extra = b"".join(chunk(name, data) for name, data in chunks)
    end = chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + end


def tiff(pixels, order, sample_format=1, orientation=1):
    """Write an uncompressed TIFF of (height, width) or (height, width, 3) by hand, in byte order `<` or `>`."""
    height, width, *rest = pixels.shape
    bands = rest[0] if rest else 1
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    tags = [(256, 4, [width]), (257, 4, [height]), (258, 3, [8 * pixels.itemsize] * bands), (259, 3, [1])]
    tags += [(262, 3, [2 if bands == 3 else 1]), (273, 4, [8]), (274, 3, [orientation]), (277, 3, [bands])]
    tags += [(278, 4, [height]), (279, 4, [len(data)]), (339, 3, [sample_format] * bands)]
    data += b"\0" * (len(data) % 2)
    entries, beyond = b"", b""
    for tag, kind, values in tags:
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            beyond += packed
            packed = struct.pack(f"{order}I", 8 + len(data) + 2 + 12 * len(tags) + 4 + len(beyond) - len(packed))
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(data))
    return head + data + struct.pack(f"{order}H", len(tags)) + entries + b"\0\0\0\0" + beyond


# Formats and modes


@pytest.mark.parametrize(
    ("fmt", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_a_lossless_color_picture_is_read_as_it_was_written(encode, fmt, options):
    assert np.array_equal(array(encode(RGB, fmt, **options)), RGB)


@pytest.mark.parametrize("fmt", ["PNG", "BMP", "TIFF", "GIF"])
def test_a_lossless_grey_picture_is_read_as_it_was_written(encode, fmt):
    read = decode(encode(GREY, fmt))
    assert np.array_equal(np.asarray(read.convert("L")), GREY)
    assert np.array_equal(to_pixels(read, Preprocessing(30, 44)), np.stack([GREY] * 3, axis=2))


@pytest.mark.parametrize(("fmt", "options"), [("JPEG", {"quality": 95}), ("WEBP", {"quality": 95})])
@pytest.mark.parametrize("grey", [False, True])
def test_a_lossy_picture_is_read_nearly_as_it_was_written(encode, photos, fmt, options, grey):
    photo = photos[0][:, :, 1] if grey else photos[0]
    read = array(encode(photo, fmt, **options))
    if read.ndim > photo.ndim:  # WebP knows no grey
        assert np.ptp(read.astype(int), axis=2).max() <= 2
        read = read[:, :, 0]
    assert read.shape == photo.shape
    assert np.abs(read.astype(int) - photo).mean() < 4


@pytest.mark.parametrize(("fmt", "options"), [("GIF", {}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_of_several_frames_the_first_is_read(encode, fmt, options):
    frames = [Image.fromarray(np.full((12, 20), value, np.uint8)) for value in (200, 40, 90)]
    data = encode(frames[0], fmt, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert np.array_equal(np.asarray(decode(data).convert("L")), np.asarray(frames[0]))


def test_of_a_stereo_photograph_the_first_picture_is_read(encode, photos):
    other = Image.fromarray(photos[1])
    data = encode(photos[0], "MPO", save_all=True, append_images=[other], quality=95)
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert np.abs(array(data).astype(int) - photos[0]).mean() < 4
    assert array(data, (32, 32)).shape == (427 // 4 + 1, 160, 3)  # read at a quarter, as any other JPEG


@pytest.mark.parametrize("fmt", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_to_eight_and_rounded(encode, fmt):
    expected = (2 * DEEP.astype(int) + 257) // 514
    read = decode(encode(DEEP, fmt))
    assert read.mode == "L"
    assert np.array_equal(np.asarray(read), expected)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiff_is_read_in_either_byte_order(order):
    assert np.array_equal(array(tiff(DEEP, order)), (2 * DEEP.astype(int) + 257) // 514)


@pytest.mark.parametrize("kind", ["png", "<tiff", ">tiff"])
def test_sixteen_bit_color_keeps_its_upper_eight_bits(kind):
    deep = DEEP[:, :33].reshape(30, 11, 3)
    data = png(11, 30, 16, 2, deep.astype(">u2").tobytes()) if kind == "png" else tiff(deep, kind[0])
    assert np.array_equal(array(data), deep >> 8)


def test_sixteen_bit_color_with_alpha_is_laid_over_white():
    deep = DEEP[:, :32].reshape(30, 8, 4)
    expected = over_white(deep[:, :, :3] / 257, deep[:, :, 3] / 257)
    assert np.abs(array(png(8, 30, 16, 6, deep.astype(">u2").tobytes())) - expected).max() <= 2


@pytest.mark.parametrize("order", ["<", ">"])
def test_thirty_two_bit_whole_numbers_are_read_as_sixteen_bit_ones(order):
    assert np.array_equal(array(tiff(DEEP.astype(np.int32), order, 2)), (2 * DEEP.astype(int) + 257) // 514)


@pytest.mark.parametrize("value", [-1, 65536, 2**31 - 1])
def test_whole_numbers_outside_of_sixteen_bits_are_refused(value):
    with pytest.raises(UnreadableItem, match="from 0 to 65,535; save it in 16 or 8 bits"):
        decode(tiff(np.array([[5, value]], np.int32), "<", 2))


@pytest.mark.parametrize("order", ["<", ">"])
def test_floating_point_from_0_to_1_is_scaled_to_eight_bits(order):
    values = np.array([[0, 0.25, 0.5], [1, 0.1, 254.4 / 255]], np.float32)
    assert array(tiff(values, order, 3)).tolist() == [[0, 64, 128], [255, 26, 254]]


@pytest.mark.parametrize("value", [-0.001, 1.001, 255, np.nan, np.inf])
def test_floating_point_outside_of_0_to_1_is_refused(value):
    with pytest.raises(UnreadableItem, match="must hold values from 0 to 1"):
        decode(tiff(np.array([[0.5, value]], np.float32), "<", 3))


@pytest.mark.parametrize("fmt", ["PNG", "BMP", "TIFF", "GIF"])
def test_a_palette_gives_its_colors(encode, fmt):
    colors = RNG.integers(0, 256, (16, 3), np.uint8)
    places = RNG.integers(0, 16, (9, 14), np.uint8)
    picture = Image.fromarray(places)
    picture.putpalette(colors.tobytes())
    data = encode(picture, fmt)
    assert Image.open(io.BytesIO(data)).mode == "P"
    assert np.array_equal(array(data), colors[places])


def test_a_palette_with_transparency_is_laid_over_white(encode):
    colors = RNG.integers(0, 256, (16, 3), np.uint8)
    alphas = np.array([0, 255, 128, 1, 254, 64] + [255] * 10)
    places = RNG.integers(0, 16, (9, 14), np.uint8)
    picture = Image.fromarray(places)
    picture.putpalette(colors.tobytes())
    read = array(encode(picture, "PNG", transparency=bytes(alphas.tolist())))
    assert np.abs(read - over_white(colors[places], alphas[places])).max() <= 1


def test_a_transparent_gif_is_laid_over_white(encode):
    picture = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8))
    picture.putpalette([250, 0, 0, 0, 250, 0, 0, 0, 250])
    read = array(encode(picture, "GIF", transparency=0))
    assert read.tolist() == [[[255] * 3, [0, 250, 0]], [[0, 0, 250], [255] * 3]]


@pytest.mark.parametrize(("fmt", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_color_with_alpha_is_laid_over_white(encode, fmt, options):
    picture = RNG.integers(0, 256, (30, 44, 4), np.uint8)
    picture[0, :, 3], picture[1, :, 3] = 0, 255
    read = array(encode(picture, fmt, **options))
    assert np.abs(read - over_white(picture[:, :, :3], picture[:, :, 3])).max() <= 1
    assert (read[0] == 255).all()
    assert np.array_equal(read[1], picture[1, :, :3])


@pytest.mark.parametrize("fmt", ["PNG", "TIFF"])
def test_grey_with_alpha_is_laid_over_white(encode, fmt):
    grey, alpha = GREY, GREY[::-1].copy()
    picture = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    read = array(encode(picture, fmt))
    assert np.abs(read - over_white(np.stack([grey] * 3, axis=2), alpha)).max() <= 1


def test_a_transparent_color_of_an_opaque_mode_turns_white(encode):
    color = np.array([[[10, 20, 30], [10, 20, 31]]], np.uint8)
    assert array(encode(color, "PNG", transparency=(10, 20, 30))).tolist() == [[[255] * 3, [10, 20, 31]]]
    grey = np.array([[7, 8]], np.uint8)
    assert array(encode(grey, "PNG", transparency=7)).tolist() == [[[255] * 3, [8] * 3]]


@pytest.mark.parametrize("fmt", ["PNG", "BMP", "TIFF", "GIF"])
def test_one_bit_is_black_and_white(encode, fmt):
    bits = GREY > 127
    read = decode(encode(Image.fromarray(bits), fmt))
    assert np.array_equal(np.asarray(read.convert("L")), np.where(bits, 255, 0))


def test_a_cmyk_jpeg_gives_the_colors_of_its_inks(encode):
    inks = np.zeros((32, 64, 4), np.uint8)
    inks[:, :16], inks[:, 16:32], inks[:, 32:48], inks[:, 48:] = (
        (0, 0, 0, 0),
        (255, 0, 0, 0),
        (0, 128, 255, 51),
        (0, 0, 0, 255),
    )
    data = encode(Image.frombytes("CMYK", (64, 32), inks.tobytes()), "JPEG", quality=100)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    light = 1 - inks[16, 8::16] / 255
    expected = 255 * light[:, :3] * light[:, 3:]
    assert np.abs(array(data)[16, 8::16] - expected).max() <= 4


# Upright


def stored(upright, orientation):
    """Turn an upright picture into the one that a camera stores with this EXIF orientation.

    Source: EXIF 2.32, 4.6.4.A: which sides of the scene the first stored row and column show."""
    turned = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[:, ::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[::-1].swapaxes(0, 1),
    }
    return np.ascontiguousarray(turned[orientation](upright))


def exif(orientation):
    return b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)


def test_the_orientations_are_those_of_the_standard():
    scene = np.array([["top left", "top right"], ["bottom left", "bottom right"]])
    assert stored(scene, 6)[0].tolist() == ["top right", "bottom right"]  # first row: right side
    assert stored(scene, 6)[:, 0].tolist() == ["top right", "top left"]  # first column: top
    assert stored(scene, 8)[0].tolist() == ["bottom left", "top left"]  # first row: left side
    assert stored(scene, 8)[:, 0].tolist() == ["bottom left", "bottom right"]  # first column: bottom


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("fmt", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", None)])
def test_a_turned_picture_is_read_upright(encode, orientation, fmt, options):
    turned = stored(RGB, orientation)
    if fmt == "TIFF":
        data = tiff(turned, "<", orientation=orientation)
    else:
        data = encode(turned, fmt, exif=exif(orientation), **options)
    assert np.array_equal(array(data), RGB)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_is_read_upright_also_when_shrunk_on_load(encode, photos, orientation):
    data = encode(stored(photos[0], orientation), "JPEG", quality=95, exif=exif(orientation))
    assert np.abs(array(data).astype(int) - photos[0]).mean() < 4
    shrunk = array(data, (100, 100))
    assert shrunk.shape == (214, 320, 3)
    expected = np.asarray(Image.fromarray(photos[0]).resize((320, 214), Image.Resampling.BOX), int)
    assert np.abs(shrunk - expected).mean() < 8  # the other ones of this shape differ by more than 80


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_a_turned_compressed_tiff_is_read_upright(encode, compression):
    data = encode(stored(RGB, 6), "TIFF", compression=compression, tiffinfo={274: 6})
    assert np.array_equal(array(data), RGB)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "damage",
    [
        b"garbage!!!!",
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\x7f",
        b"II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0\x01\0\0\0",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abcd\0\0\0\0",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\x06\0\0\0\0\0\0\0",
    ],
)
def test_a_jpeg_with_damaged_exif_is_read_as_it_lies(encode, damage):
    plain = encode(RGB, "JPEG")
    segment = b"Exif\0\0" + damage
    data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]
    assert np.array_equal(array(data), np.asarray(Image.open(io.BytesIO(plain))))


@pytest.mark.parametrize(
    "chunk",
    [
        (b"eXIf", b"garbage"),
        (b"eXIf", b"II*\0\xff\xff\xff\x7f"),
        (b"tEXt", b"Raw profile type exif\0\nexif\n 4\nno digits"),
        (b"zTXt", b"Raw profile type exif\0\1garbage"),
        (b"zTXt", b"key\0\0" + zlib.compress(bytes(2 << 20))),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x/>" * 400_000)),
        (b"iCCP", b"name\0\0" + zlib.compress(bytes(3 << 20))),
        (b"iCCP", b"name"),
        (b"gAMA", b""),
        (b"cHRM", b"short"),
        (b"sRGB", b""),
        (b"acTL", b""),
        (b"fcTL", bytes(26)),
    ],
)
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_png_is_read_whatever_its_metadata_is(chunk, is_whole):
    data = png(2, 1, 8, 0, b"\7\200", chunk)
    if not is_whole:
        at = data.index(chunk[0]) + 4 + len(chunk[1])
        data = data[:at] + b"sums" + data[at + 4 :]
    assert array(data).tolist() == [[7, 128]]


def test_a_png_whose_transparency_is_damaged_says_so():
    data = png(2, 1, 8, 0, b"\0\0", (b"tRNS", b"\0\0"))
    at = data.index(b"tRNS") + 6
    with pytest.raises(
        UnreadableItem,
        match=r"damaged picture: the header of this PNG .* \(broken PNG file \(bad header checksum in b'tRNS",
    ):
        decode(data[:at] + b"sums" + data[at + 4 :])


# JPEG shrunk on load


def test_a_large_jpeg_shrunk_on_load_has_nearly_the_same_embedding(encode, photos, lite0):
    """Measured over 24 crops in L2 of root-unit embeddings: mean 0.018, at most 0.024 (lite2: 0.020 and 0.032)."""
    rng = np.random.default_rng(0)
    preprocessing = lite0.backbone.preprocessing
    small, whole = [], []
    for number in range(8):
        photo = Image.fromarray(photos[number % 2])
        width = int(rng.integers(320, 640))
        height = width * 9 // 16
        x, y = int(rng.integers(0, 640 - width)), int(rng.integers(0, 427 - height))
        large = photo.crop((x, y, x + width, y + height)).resize((1920, 1080), Image.Resampling.BICUBIC)
        data = encode(large, "JPEG", quality=90)
        shrunk = decode(data, (224, 224))
        assert shrunk.size == (960, 540)
        small.append(to_pixels(shrunk, preprocessing))
        whole.append(to_pixels(decode(data), preprocessing))
    roots = [np.sqrt(lite0.embed(pixels)) for pixels in (small, whole)]
    units = [root / np.linalg.norm(root, axis=1, keepdims=True) for root in roots]
    differences = np.linalg.norm(units[0] - units[1], axis=1)
    assert 0 < differences.mean() <= 0.03
    assert differences.max() <= 0.04


@pytest.mark.parametrize("size", [(640, 427), (447, 447), (300, 2000), (895, 1500)])
def test_a_jpeg_under_four_times_the_input_is_read_bit_for_bit(encode, photos, size):
    data = encode(Image.fromarray(photos[1]).resize(size), "JPEG")
    assert np.array_equal(array(data, (224, 224)), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize(
    ("size", "needed", "expected"),
    [
        ((896, 896), (224, 224), (448, 448)),
        ((1791, 1800), (224, 224), (896, 900)),
        ((3584, 4000), (224, 224), (448, 500)),
        ((2400, 2400), (300, 100), (600, 600)),
        ((2400, 2400), (100, 300), (600, 600)),
    ],
)
def test_a_jpeg_is_shrunk_on_load_to_no_less_than_twice_the_input(encode, size, needed, expected):
    assert decode(encode(Image.new("RGB", size), "JPEG"), needed).size == expected


# The whole picture


@pytest.mark.parametrize("shape", ["squash", "pad"])
@pytest.mark.parametrize("size", [(600, 200), (200, 600), (300, 300)])
@pytest.mark.parametrize("place", [(0, 0), (0, 0.5), (0, 1), (0.5, 0), (0.5, 1), (1, 0), (1, 0.5), (1, 1)])
def test_a_defect_at_any_edge_or_corner_shows_where_it_is(shape, size, place):
    width, height = size
    preprocessing = Preprocessing(224, 224, shape)
    clean = np.full((height, width, 3), 230, np.uint8)
    marked = clean.copy()
    y, x = round(place[0] * (height - 8)), round(place[1] * (width - 8))
    marked[y : y + 8, x : x + 8] = 20
    before, after = (to_pixels(Image.fromarray(one), preprocessing).astype(int) for one in (clean, marked))
    changed = np.abs(after - before).sum(axis=2)
    scale = (224 / height, 224 / width) if shape == "squash" else (224 / max(size),) * 2
    margin = (0, 0) if shape == "squash" else ((224 - height * scale[0]) / 2, (224 - width * scale[1]) / 2)
    found = np.argwhere(changed > changed.max() / 2).mean(axis=0) + 0.5
    assert np.abs(found - [margin[0] + (y + 4) * scale[0], margin[1] + (x + 4) * scale[1]]).max() < 1.5


def test_squash_fills_the_input_whatever_the_aspect():
    assert (to_pixels(Image.new("RGB", (100, 50), (9, 80, 200)), SMALL) == (9, 80, 200)).all()


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((128, 32), (8, 24), (0, 64)),
        ((10, 20), (0, 32), (24, 40)),
        ((64, 32), (0, 32), (0, 64)),
        ((1, 1), (0, 32), (16, 48)),
        ((30000, 20), (15, 16), (0, 64)),
        ((20, 30000), (0, 32), (31, 32)),
    ],
)
def test_pad_keeps_the_aspect_and_fills_with_grey(mode, size, rows, columns):
    color = (200, 90, 10) if mode == "RGB" else 200
    pixels = to_pixels(Image.new(mode, size, color), Preprocessing(32, 64, "pad"))
    expected = np.full((32, 64, 3), 127)
    expected[slice(*rows), slice(*columns)] = color
    assert np.array_equal(pixels, expected)


def test_a_picture_of_the_inputs_size_is_the_input():
    assert np.array_equal(to_pixels(Image.fromarray(RGB), Preprocessing(30, 44)), RGB)


# Cut for networks that were trained on crops


def test_a_crop_is_the_middle_of_the_scaled_picture():
    """Of 80 x 40 scaled to 20 x 10, a share of 0.8 leaves 8 x 8: columns 6 to 14, rows 1 to 9."""
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, :40] = 200
    picture[:4] = 90  # scaled to one row, which is cut off
    pixels = to_pixels(Image.fromarray(picture), Preprocessing(8, 8, "crop", 0.8, "box"))
    assert pixels.shape == (8, 8, 3)
    assert (pixels[:, :4] == 200).all()
    assert (pixels[:, 4:] == 0).all()


def test_a_squashed_crop_scales_each_side_by_itself():
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 8:72] = 200
    picture[:4] = picture[36:] = 90
    pixels = to_pixels(Image.fromarray(picture), Preprocessing(8, 8, "squash", 0.8, "box"))
    assert (pixels == 200).all()


def test_the_sides_of_an_input_that_is_not_square_are_both_covered():
    assert (
        to_pixels(Image.new("RGB", (99, 17), (9, 80, 200)), Preprocessing(32, 64, "crop", 0.9)) == (9, 80, 200)
    ).all()
    assert (to_pixels(Image.new("L", (17, 99), 80), Preprocessing(32, 64, "crop", 0.9)) == 80).all()


@pytest.mark.parametrize("size", [(30_000, 20), (20, 30_000), (3_000_000, 1)])
def test_the_middle_of_a_very_long_picture_is_cut_out_without_scaling_the_rest(promptly, size):
    picture = Image.new("L", size, 200)
    picture.paste(10, (0, 0, *(side // 2 if side > 20 else side for side in size)))  # the first half is dark
    pixels = promptly(lambda: to_pixels(picture, Preprocessing(64, 64, "crop", 0.875)), seconds=5).astype(int)
    profile = pixels[:, :, 0].mean(axis=int(size[0] <= size[1]))
    assert profile.shape == (64,)
    assert profile[0] < 30 or size[1] == 1
    assert profile[-1] > 180 or size[1] == 1


@pytest.mark.parametrize("size", [(700, 33), (33, 700), (1500, 70)])
def test_a_long_picture_looks_the_same_however_its_middle_is_cut_out(photos, monkeypatch, size):
    picture = Image.fromarray(photos[0]).resize(size, Image.Resampling.BICUBIC)
    preprocessing = Preprocessing(64, 64, "crop", 0.875)
    whole = to_pixels(picture, preprocessing).astype(int)
    monkeypatch.setattr(images, "LARGEST_SCALED", 0)
    assert np.abs(to_pixels(picture, preprocessing) - whole).max() <= 4


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("size", [(200, 320), (203, 317)])
@pytest.mark.parametrize("even_light", [False, True])
def test_a_picture_that_is_scaled_in_bands_looks_as_if_it_were_scaled_at_once(monkeypatch, mode, size, even_light):
    noise = Image.fromarray(RNG.integers(0, 256, (*size[::-1], 3), np.uint8)).convert(mode)
    full = Preprocessing(4096, 4096, "full", multiple=8, even_light=even_light)
    whole = to_pixels(noise, full)
    monkeypatch.setattr(images, "BAND_PIXELS", 7 * whole.shape[1])
    in_bands = to_pixels(noise, full)
    assert in_bands.shape == whole.shape
    off = np.abs(in_bands.astype(int) - whole)
    assert off.max() <= (1 if even_light or noise.size != whole.shape[1::-1] else 0)
    assert off.mean() < 0.01


def test_a_jpeg_to_be_cut_is_shrunk_on_load_to_no_less_than_twice_what_it_is_scaled_to(tmp_path, encode, photos):
    """Scaled to 256 x 256, so 1000 x 1000 is decoded whole; for 224 x 224 without a cut, 500 x 500 is enough."""
    path = write(tmp_path / "a.jpg", encode(Image.fromarray(photos[0]).resize((1000, 1000)), "JPEG"))
    cut, plain = Preprocessing(224, 224, "crop", 0.875), Preprocessing(224, 224, "crop")
    whole = decode(path.read_bytes())
    assert np.array_equal(read_pixels(path, cut), to_pixels(whole, cut))
    assert not np.array_equal(read_pixels(path, plain), to_pixels(whole, plain))


@pytest.mark.parametrize("shape", ["squash", "pad"])
def test_what_is_recorded_of_the_first_shapes_is_what_it_always_was(shape):
    recorded = '{"height": 32, "width": 64, "shape": "%s", "reading": 2}' % shape  # noqa: UP031
    assert json.dumps(Preprocessing(32, 64, shape).as_dict()) == recorded


def test_what_was_added_is_recorded_where_it_matters():
    assert Preprocessing(8, 8, "crop", 0.875, "bilinear").as_dict() == {
        "height": 8,
        "width": 8,
        "shape": "crop",
        "crop_share": 0.875,
        "interpolation": "bilinear",
        "reading": 2,
    }
    assert "interpolation" not in Preprocessing(8, 8, "crop", 0.875).as_dict()


# Files that are no pictures


def write(path, data):
    path.write_bytes(data)
    return path


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    with pytest.raises(UnreadableItem, match="empty"):
        read_pixels(write(tmp_path / "a.png", b""), SMALL)


def test_a_text_file_with_a_pictures_name_is_no_picture(tmp_path):
    with pytest.raises(UnreadableItem, match=r"not a picture in a format that dn2 reads \(JPEG, PNG"):
        read_pixels(write(tmp_path / "a.jpg", b"Dear all, please find attached the picture.\n" * 20), SMALL)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(40), "^a HEIC picture, which dn2 does not read; save it as PNG or JPEG$"),
        (b"8BPS" + bytes(40), "a Photoshop file"),
        (bytes(128) + b"DICM" + bytes(40), "a DICOM file"),
        (b"%PDF-1.4" + bytes(40), "a PDF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "^damaged picture: the header of this PNG cannot be read"),
        (b"II*\0" + bytes(40), "^damaged picture: a TIFF whose first directory cannot be read"),
    ],
)
def test_what_dn2_does_not_read_is_called_by_its_name(data, words):
    with pytest.raises(UnreadableItem, match=words):
        decode(data)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"])
def test_a_truncated_picture_is_unreadable(encode, crops, promptly, fmt, share):
    data = encode(crops[0], fmt)
    with pytest.raises(UnreadableItem, match=r"damaged picture: .|not a picture"):
        promptly(lambda: decode(data[: int(len(data) * share)], (32, 32)))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"])
def test_damaged_bytes_end_in_a_picture_or_in_unreadable_item(encode, promptly, fmt):
    data = encode(RGB, fmt)
    rng = np.random.default_rng(3)
    outcomes = set()
    for _ in range(60):
        damaged = bytearray(data)
        for place in rng.integers(0, min(len(data), 200), 4):
            damaged[place] = rng.integers(0, 256)
        try:
            outcomes.add(promptly(lambda: to_pixels(decode(bytes(damaged), (32, 32)), SMALL)).shape)  # noqa: B023
        except UnreadableItem:
            outcomes.add("unreadable")
    assert outcomes <= {(32, 64, 3), "unreadable"}
    assert "unreadable" in outcomes


def test_a_missing_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableItem, match="cannot be read: No such file"):
        read_bytes(tmp_path / "none.png")


def test_a_file_without_permission_is_unreadable(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path / "a.png", b"x")
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnreadableItem, match="cannot be read: Permission denied"):
        read_bytes(path)


def test_a_folder_with_a_pictures_name_is_unreadable(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UnreadableItem, match=r"cannot be read: .|not a regular file"):
        read_bytes(tmp_path / "a.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path, promptly):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UnreadableItem, match="not a regular file"):
        promptly(lambda: read_bytes(tmp_path / "a.png"), seconds=5)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="this system has no /dev/zero")
def test_an_endless_device_is_refused(promptly):
    with pytest.raises(UnreadableItem, match="not a regular file"):
        promptly(lambda: read_bytes("/dev/zero"), seconds=5)


def test_a_link_to_itself_is_unreadable(tmp_path):
    (tmp_path / "a.png").symlink_to("a.png")
    with pytest.raises(UnreadableItem, match="cannot be read"):
        read_bytes(tmp_path / "a.png")


def test_a_file_over_the_limit_is_refused_and_one_at_the_limit_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_FILE_BYTES", 1000)
    assert read_bytes(write(tmp_path / "a", b"x" * 1000)) == b"x" * 1000
    with pytest.raises(UnreadableItem, match="1,001 bytes, more than the limit of 1,000"):
        read_bytes(write(tmp_path / "b", b"x" * 1001))


# Sizes


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (13_378, 13_377), (2**31 - 1, 1)])
def test_a_png_that_claims_too_many_pixels_is_refused_before_it_is_decoded(promptly, width, height):
    with pytest.raises(UnreadableItem, match="limit of 178,956,970"):
        promptly(lambda: decode(png(width, height, 8, 2, b"")), seconds=5)


@pytest.mark.parametrize("size", [None, (224, 224)])
def test_a_jpeg_that_claims_too_many_pixels_is_refused_before_it_is_decoded(encode, promptly, size):
    data = encode(Image.new("L", (8, 8)), "JPEG")
    start = data.index(b"\xff\xc0") + 5
    data = data[:start] + struct.pack(">HH", 65500, 65500) + data[start + 4 :]
    with pytest.raises(UnreadableItem, match="limit of 178,956,970"):
        promptly(lambda: decode(data, size), seconds=5)


def test_a_tiff_that_claims_too_many_pixels_is_refused_before_it_is_decoded(promptly):
    data = tiff(np.zeros((1, 2), np.uint8), "<")
    data = data.replace(struct.pack("<HHII", 256, 4, 1, 2), struct.pack("<HHII", 256, 4, 1, 2**30))
    with pytest.raises(UnreadableItem, match="limit of 178,956,970"):
        promptly(lambda: decode(data), seconds=5)


def test_the_limit_of_pixels_holds_where_pillows_own_is_switched_off(promptly, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(UnreadableItem, match="13378 x 13378 pixels exceed the limit of 178,956,970"):
        promptly(lambda: decode(png(13_378, 13_378, 8, 2, b"")), seconds=5)


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP", b"iTXt"])
@pytest.mark.parametrize("key", [b"key", b"Raw profile type exif", b"XML:com.adobe.xmp"])
def test_a_compressed_chunk_that_would_fill_the_memory_is_left_out(promptly, name, key):
    head = {b"zTXt": b"\0\0", b"iCCP": b"\0\0", b"iTXt": b"\0\1\0\0\0"}[name]
    data = png(2, 1, 8, 0, b"\7\200", (name, key + head + zlib.compress(bytes(100 << 20), 9)))
    assert promptly(lambda: array(data), seconds=5).tolist() == [[7, 128]]


@pytest.mark.parametrize("shape", ["squash", "pad"])
def test_a_picture_of_one_pixel_is_read(encode, shape):
    pixels = to_pixels(decode(encode(np.full((1, 1, 3), 9, np.uint8), "PNG")), Preprocessing(8, 8, shape))
    assert (pixels == 9).all()


@pytest.mark.parametrize("fmt", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(30_000, 20), (20, 30_000)])
def test_a_very_long_picture_is_read_whole(encode, promptly, fmt, size):
    picture = Image.new("L", size, 200)
    end = (size[0] - min(size[0], 2000), size[1] - min(size[1], 2000))
    picture.paste(10, (*end, *size))  # the last fifteenth is dark
    data = encode(picture, fmt)
    pixels = promptly(lambda: to_pixels(decode(data, (64, 64)), Preprocessing(64, 64))).astype(int)
    profile = pixels[:, :, 0].mean(axis=int(size[0] > size[1]) - 1)
    assert np.abs(profile[:58] - 200).max() <= 2
    assert np.abs(profile[-3:] - 10).max() <= 2


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("fmt", ["PNG", "JPEG"])
def test_a_line_scan_of_ninety_million_pixels_is_read(encode, promptly, fmt):
    data = encode(Image.new("L", (30_000, 3_000), 77), fmt, **({"compress_level": 1} if fmt == "PNG" else {}))
    assert (promptly(lambda: to_pixels(decode(data, (224, 224)), SMALL)) == 77).all()


def test_a_line_scan_is_read_in_silence_even_where_warnings_are_errors(tmp_path, encode):
    path = write(tmp_path / "a.png", encode(Image.new("1", (30_000, 3_000)), "PNG"))
    code = f"""
from dn2.networks.decoding import open_decoded, file_bytes
with file_bytes({str(path)!r}) as data, open_decoded(data) as image:
    print(image.size)"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("(30000, 3000)", "")


def test_threads_decode_together_no_more_pixels_than_one_picture_may_have():
    memory = WeightedSemaphore(100)
    taken, most, lock = [0], [0], threading.Lock()

    def work(pixels):
        for _ in range(20):
            with memory.taken(pixels):
                with lock:
                    taken[0] += pixels
                    most[0] = max(most[0], taken[0])
                time.sleep(0.0005)
                with lock:
                    taken[0] -= pixels

    threads = [threading.Thread(target=work, args=(pixels,)) for pixels in (100, 60, 40, 40, 30, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert 60 < most[0] <= 100


def test_a_damaged_picture_gives_its_share_of_the_memory_back(encode, promptly, monkeypatch):
    semaphore = WeightedSemaphore(8 * RGB.shape[0] * RGB.shape[1])
    monkeypatch.setattr(decoding, "_of_pixels", PerProcess(lambda: semaphore))
    data = encode(RGB, "PNG")
    for _ in range(3):
        with pytest.raises(UnreadableItem):
            promptly(lambda: decode(data[:-500]), seconds=5)
    assert promptly(lambda: decode(data), seconds=5).size == (44, 30)


# Thumbnails


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (1, 1)),
        ((192, 192), (192, 192)),
        ((40, 90), (40, 90)),
        ((193, 10), (192, 10)),
        ((640, 427), (192, 128)),
        ((427, 640), (128, 192)),
        ((30_000, 20), (192, 1)),
        ((20, 30_000), (1, 192)),
    ],
)
def test_a_thumbnail_is_a_jpeg_of_at_most_192_pixels_and_the_same_aspect(mode, size, expected):
    picture = Image.new(mode, size, (200, 90, 10) if mode == "RGB" else 200)
    small = Image.open(io.BytesIO(to_thumbnail(picture)), formats=["JPEG"])
    small.load()
    assert (small.size, small.mode) == (expected, mode)
    assert np.abs(np.asarray(small, int) - np.asarray(picture)[0, 0]).max() <= 4
    assert picture.size == size


def test_a_thumbnail_shows_the_picture(photos):
    small = np.asarray(Image.open(io.BytesIO(to_thumbnail(Image.fromarray(photos[0])))), int)
    expected = np.asarray(Image.fromarray(photos[0]).resize((192, 128), Image.Resampling.BOX), int)
    assert np.abs(small - expected).mean() < 8


@pytest.mark.parametrize(("shade", "between"), [(200, 255), (20, 0)])
def test_a_contact_sheet_of_dark_pictures_is_black_between_them(shade: int, between: int) -> None:
    flat = to_thumbnail(Image.new("L", (192, 40), shade))
    sheet = np.asarray(Image.open(io.BytesIO(images.to_contact_sheet([flat] * 4))), int)
    assert abs(sheet[48, 48] - shade).max() <= 3
    assert abs(sheet[5, 48] - between).max() <= 3


def test_a_thumbnail_from_elsewhere_is_told_from_what_is_none():
    thumbnail = to_thumbnail(Image.new("RGB", (640, 427)))
    assert is_thumbnail(thumbnail)
    assert is_thumbnail(memoryview(thumbnail))
    large, png = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (193, 10)).save(large, "JPEG")
    Image.new("RGB", (10, 10)).save(png, "PNG")
    for other in (b"", b"<script>", thumbnail[:8], large.getvalue(), png.getvalue(), thumbnail + bytes(1 << 16)):
        assert not is_thumbnail(other)


# Real data


def test_real_grey_jpegs_are_read_as_they_are():
    import zipfile

    path = Path(os.environ.get("DN2_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = path / "magnetic_tile" / "magnetic_tile.zip"
    if not path.exists():
        pytest.skip(f"{path} is absent; set DN2_DATA to the folder that holds the data")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][::20]
        files = [archive.read(name) for name in names]
    assert len(files) > 50
    for data in files:
        picture = decode(data, (224, 224))
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("is_masked", [False, True])
def test_light_is_made_even_by_the_values_that_are_looked_at(is_masked: bool) -> None:
    rng = np.random.default_rng(5)
    pixels = rng.normal(90, 12, (40, 56, 3)).clip(0, 255).astype(np.uint8)
    mask = np.full((40, 56), 255, np.uint8)
    mask[:, 30:] = 0
    region = write_region(mask > 0) if is_masked else None
    inside = mask > 0 if is_masked else np.ones((40, 56), bool)
    asked = Preprocessing(64, 64, "full", multiple=8, even_light=True, region=region)
    seen = pixels[inside]
    values = (pixels - seen.mean()) * EVEN_SPREAD / seen.std() + EVEN_MEAN
    even = np.where(inside[..., None], values.round().clip(0, 255), EVEN_MEAN).astype(np.uint8)
    assert np.array_equal(to_pixels(Image.fromarray(pixels), asked), even)
    assert light_of(pixels) == pytest.approx((pixels.mean(), pixels.std()), rel=1e-12)
