"""JPEG 2000 and AVIF: read like other pictures, and no file of them takes the memory or the time of a run."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, features

from dn2.errors import UnreadableItem
from dn2.networks import boxes
from dn2.networks.decoding import open_decoded
from dn2.networks.opaque import SEEN, Seen

pytestmark = pytest.mark.skipif(
    not (features.check("jpg_2000") and features.check("avif")), reason="this Pillow decodes neither"
)

NOISE = np.random.default_rng(5).integers(0, 256, (60, 90, 3), np.uint8)
SMOOTH = Image.fromarray(NOISE[::20, ::30]).resize((90, 60), Image.Resampling.BICUBIC)


def encoded(image, fmt, **options):
    buffer = io.BytesIO()
    image.copy().save(buffer, fmt, **options)
    return buffer.getvalue()


def read(data):
    with open_decoded(data) as image:
        return np.asarray(image)


def refusal(data):
    with pytest.raises(UnreadableItem) as error:
        read(data)
    return str(error.value)


JPEG_2000 = [{}, {"no_jp2": True}, {"tile_size": (32, 32)}, {"precinct_size": (64, 64)}, {"num_resolutions": 1}]


@pytest.mark.parametrize("options", JPEG_2000)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_lossless_jpeg_2000_is_read_as_it_was_written(options, mode):
    picture = Image.fromarray(NOISE).convert(mode)
    expected = picture.convert("RGB") if mode == "RGBA" else picture
    assert np.array_equal(read(encoded(picture, "JPEG2000", **options)), np.asarray(expected))


def test_a_jpeg_2000_of_16_bits_is_scaled_to_8():
    grey = NOISE[:, :, 0].astype(np.uint16) * 257
    assert np.array_equal(read(encoded(Image.fromarray(grey), "JPEG2000")), NOISE[:, :, 0])


def test_a_jpeg_2000_of_12_bits_says_what_is_white():
    data = encoded(Image.fromarray(NOISE[:, :, 0].astype(np.uint16) * 257), "JPEG2000", no_jp2=True)
    assert data[42] == 15  # the bits of a number, less one
    with open_decoded(data[:42] + b"\x0b" + data[43:], white=255) as image:
        assert image.info[SEEN] == Seen(4095 << 4, 4095 << 4, is_said=True)


def test_an_avif_is_read_nearly_as_it_was_written_and_turned_by_its_boxes_alone():
    assert np.abs(read(encoded(SMOOTH, "AVIF", quality=95)).astype(int) - np.asarray(SMOOTH)).mean() < 3
    exif = Image.Exif()
    exif[0x112] = 6
    turned = encoded(SMOOTH, "AVIF", exif=exif)
    assert read(turned).shape == (90, 60, 3)
    assert np.array_equal(read(turned.replace(b"II*\0", b"bad!")), read(turned))


def test_frames_of_an_avif_after_the_first_are_counted():
    with open_decoded(encoded(SMOOTH, "AVIF", save_all=True, append_images=[SMOOTH.rotate(90)] * 2)) as image:
        assert image.info[SEEN].further_pages == 2


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("options", [None, *JPEG_2000[:3]])
def test_a_boxed_picture_that_ends_early_is_unreadable(share, options):
    data = encoded(SMOOTH, "AVIF") if options is None else encoded(SMOOTH, "JPEG2000", **options)
    assert refusal(data[: int(len(data) * share)])


def test_a_jpeg_2000_of_which_a_tile_is_missing_is_unreadable():
    data = encoded(SMOOTH, "JPEG2000", no_jp2=True, tile_size=(32, 32))
    second = data.index(b"\xff\x90", data.index(b"\xff\x90") + 2)
    assert refusal(data[:second] + b"\xff\xd9") == "damaged picture: it ends early, after 1 of 6 tiles"


def stream(*, size=(90, 60), tile=None, layers=1, levels=5, block=(4, 4), precincts=b"", bands=3, in_tile=b"", parts=1):
    """Write the headers of a JPEG 2000 by hand, with tiles of nothing."""
    wide, high = tile or size
    siz = struct.pack(">H8IH", 0, *size, 0, 0, wide, high, 0, 0, bands) + b"\7\1\1" * bands
    cod = struct.pack(">BBHBBBBBB", bool(precincts), 0, layers, 0, levels, *block, 0, 1) + precincts
    segment = lambda marker, body: struct.pack(">HH", marker, len(body) + 2) + body  # noqa: E731
    head = b"\xff\x4f" + segment(0xFF51, siz) + segment(0xFF52, cod) + segment(0xFF5C, b"\x40" + b"\x40" * 97)
    tiles = -(-size[0] // wide) * -(-size[1] // high)
    part = lambda n: struct.pack(">HHHIBB", 0xFF90, 10, n, 14 + len(in_tile), 0, 1) + in_tile + b"\xff\x93"  # noqa: E731
    return head + b"".join(part(n % tiles) for n in range(tiles * parts)) + b"\xff\xd9"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": (20_000, 20_000)}, "20000 x 20000 pixels exceed the limit of 178,956,970"),
        ({"size": (9_000, 9_000)}, "at most 44,739,242 pixels, got 9000 x 9000; save it as PNG or TIFF"),
        ({"size": (2_000, 2_000), "tile": (10, 10)}, "at most 4,096 tiles, got 40,000"),
        ({"size": (6_000, 6_000), "block": (0, 0)}, "at most about 1,048,576 code blocks"),
        ({"size": (2_000, 2_000), "precincts": b"\x11" * 6}, "at most about 262,144 precincts"),
        ({"layers": 65_535, "precincts": b"\x44" * 6, "size": (900, 900)}, "at most about 16,777,216 packets"),
        ({"in_tile": b"\xff\x52\0\x12\1\0\xff\xff\0\5\4\4\0\1\x44\x44\x44\x44\x44\x44", "size": (900, 900)}, "packets"),
        ({"in_tile": b"\xff\x53\0\x10\0\1\5\4\4\0\1\0\0\0\0\0\0\0", "size": (2_000, 2_000)}, "precincts"),
        ({"levels": 40}, "whose coding cannot be read"),
        ({"bands": 9}, "a JPEG 2000 of 9 bands; dn2 reads 1 to 4"),
        ({"parts": 70_000}, "at most 65,536 segments"),
    ],
)
def test_a_jpeg_2000_that_would_take_far_more_than_its_pixels_is_refused(promptly, options, words):
    assert words in promptly(lambda: refusal(stream(**options)), seconds=5)


def test_a_header_of_a_jp2_of_many_boxes_is_refused(promptly, monkeypatch):
    data = encoded(SMOOTH, "JPEG2000")
    at = data.index(b"jp2h")

    def with_boxes(more):
        size = int.from_bytes(data[at - 4 : at], "big") + len(more)
        end = at - 4 + int.from_bytes(data[at - 4 : at], "big")
        return data[: at - 4] + struct.pack(">I", size) + data[at:end] + more + data[end:]

    assert read(with_boxes(b"\0\0\0\x08free" * 100)).shape == (60, 90, 3)
    assert promptly(lambda: refusal(with_boxes(b"\0\0\0\x08free" * 2_000_000))) == (
        "a picture must be stored in at most 1,024 boxes"
    )
    palette = b"\0\0\0\x0epclr\0\1\3\7\7\7"
    assert "at most one palette" in refusal(with_boxes(palette * 2))
    monkeypatch.setattr(boxes, "MAX_HEADER_BYTES", 1_000)
    assert refusal(with_boxes(struct.pack(">I", 2_008) + b"free" + bytes(2_000))) == (
        "the header of a JP2 must have at most 1,000 bytes"
    )


def test_an_avif_of_too_many_pixels_is_refused_before_it_is_decoded(promptly, monkeypatch):
    monkeypatch.setattr(boxes, "MAX_BOXED_PIXELS", 5_000)
    assert "must have at most 5,000 pixels, got 90 x 60" in promptly(lambda: refusal(encoded(SMOOTH, "AVIF")))
