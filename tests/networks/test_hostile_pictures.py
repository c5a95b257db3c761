"""Files made to cost: what a picture may take of time, memory and the terminal, whatever it says of itself."""

import io
import os
import struct
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

from dn2.errors import UnreadableItem
from dn2.networks import decoding, libtiff, limits, opaque
from dn2.networks.decoding import open_decoded, picture_size
from dn2.networks.pixels import Preprocessing, read_small, to_pixels, to_thumbnail
from dn2.networks.semaphore import WeightedSemaphore
from dn2.networks.tiff import Depth
from dn2.system.processes import PerProcess

SMALL = Preprocessing(8, 8)
NOISE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (60, 90, 3), np.uint8))


def whole_way(data):
    """Decode, scale, and make the thumbnail, as a file is in a run; returns the thumbnail's size."""
    with open_decoded(data, SMALL.scaled) as image:
        assert to_pixels(image, SMALL).shape == (8, 8, 3)
        return Image.open(io.BytesIO(to_thumbnail(image))).size


def refusal(data):
    """Return why a file is refused."""
    with pytest.raises(UnreadableItem) as error:
        whole_way(data)
    return str(error.value)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, *before, after=(), depth=1):
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (width * depth + 7) // 8) * height), 9)
    chunks = [chunk(b"IHDR", header), *before, chunk(b"IDAT", rows), *after, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff(width, height, tags=(), data=b"\0" * 100, offsets=(8,), bits=8):
    """Write a TIFF by hand, its pixels at 8.  tags : (number, type, count, bytes) beside or instead of the usual."""
    longs = lambda *values: struct.pack(f"<{len(values)}I", *values)  # noqa: E731
    usual = [(256, 4, 1, longs(width)), (257, 4, 1, longs(height)), (258, 3, 1, longs(bits)), (262, 3, 1, longs(1))]
    usual += [(273, 4, len(offsets), longs(*offsets)), (278, 4, 1, longs(height)), (279, 4, 1, longs(len(data)))]
    entries = sorted(({tag[0]: tag for tag in usual} | {tag[0]: tag for tag in tags}).values())
    start = 8 + len(data) + len(data) % 2
    head, beyond = b"", b""
    for number, kind, count, value in entries:
        if len(value) > 4:
            at = start + 6 + 12 * len(entries) + len(beyond)
            beyond, value = beyond + value + b"\0" * (len(value) % 2), longs(at)
        head += struct.pack("<HHI4s", number, kind, count, value.ljust(4, b"\0"))
    body = b"II*\0" + longs(start) + data.ljust(start - 8, b"\0")
    return body + struct.pack("<H", len(entries)) + head + longs(0) + beyond


# Sides and pixels


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(262_145, 1), (1, 262_145), (40_000_000, 1), (178_000_000, 1)])
def test_a_picture_that_is_too_long_is_refused_before_it_takes_memory(promptly, size):
    words = promptly(lambda: refusal(png(*size)), seconds=20)
    assert words == f"{size[0]} x {size[1]} pixels exceed the limit of 262,144 a side"


@pytest.mark.parametrize("size", [(262_144, 1), (100_000, 2), (2, 100_000), (1, 1)])
def test_a_picture_as_long_as_can_be_is_read_and_has_a_thumbnail(promptly, size, tmp_path):
    expected = tuple(min(192, side) if side > 2 else 1 for side in size)
    assert promptly(lambda: whole_way(png(*size)), seconds=20) == expected
    (tmp_path / "a.png").write_bytes(png(*size))
    assert max(Image.open(io.BytesIO(read_small(tmp_path / "a.png"))).size) == min(192, max(size))


def test_the_size_of_a_picture_is_known_without_decoding_it():
    assert picture_size(png(3000, 20)[:60]) == (3000, 20)
    with pytest.raises(UnreadableItem, match="not a picture"):
        picture_size(b"text")


# Memory


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16", "I", "F", "P", "1", "CMYK", "PA"])
def test_a_picture_brought_to_rgb_some_rows_at_a_time_has_the_same_pixels(monkeypatch, mode):
    picture = NOISE.convert("P" if mode == "PA" else "L" if mode in ("I;16", "F") else mode if mode != "LA" else "L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    elif mode == "F":
        picture = Image.fromarray(np.asarray(picture).astype(np.float32) / 255)
    elif mode in ("LA", "RGBA", "PA"):
        picture = picture.convert(mode)
        picture.putalpha(NOISE.getchannel(1))
    whole = opaque.make_opaque(picture, Depth(), None)
    for pixels in (1, 90, 250):
        monkeypatch.setattr(opaque, "BAND_PIXELS", pixels)
        banded = opaque.make_opaque(picture, Depth(), None)
        assert (banded.mode, banded.tobytes(), banded.info) == (whole.mode, whole.tobytes(), whole.info)


def test_what_is_made_of_a_picture_is_made_while_its_memory_is_accounted_for(monkeypatch):
    memory = WeightedSemaphore(1000)
    monkeypatch.setattr(decoding, "_of_pixels", PerProcess(lambda: memory))
    with open_decoded(png(10, 4)):
        assert memory._free == 1000 - 8 * 40
    with open_decoded(png(100, 100)):  # which takes more than there is, and is alone then
        assert memory._free == 0
    assert memory._free == 1000
    refusal(png(10, 4)[:-30])
    assert memory._free == 1000


def test_files_held_together_are_accounted_for(tmp_path, monkeypatch):
    memory = WeightedSemaphore(1000)
    monkeypatch.setattr(decoding, "_of_files", PerProcess(lambda: memory))
    (tmp_path / "a").write_bytes(bytes(300))
    with decoding.file_bytes(tmp_path / "a"):
        assert memory._free == 700
    assert memory._free == 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_made_while_a_picture_takes_all_memory_does_not_wait_for_it():
    fax = io.BytesIO()
    NOISE.convert("1").save(fax, "TIFF", compression="group4")
    with (
        decoding._of_pixels.get().taken(decoding.BYTES_PER_PIXEL * decoding.MAX_PIXELS),
        libtiff._decoding.get().taken(1),
    ):
        child = os.fork()
        if not child:
            threading.Timer(20, os._exit, [1]).start()
            with open_decoded(png(10, 4)), open_decoded(fax.getvalue()):
                os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# Time: pieces


def long_header(kind, count):
    """Return a small picture with many parts that Pillow takes one by one, which are legal or are passed over."""
    encoded = io.BytesIO()
    NOISE.convert("L").save(encoded, "GIF" if kind.startswith("gif") else "JPEG")
    data = encoded.getvalue()
    place = 13 + 3 * (2 << (data[10] & 7)) if kind.startswith("gif") else 20  # behind the palette, or the first segment
    parts = {
        "png": lambda: png(9, 9, chunk(b"teSt", b"") * count),
        "png after": lambda: png(9, 9, after=[chunk(b"teSt", b"") * count]),
        "png empty data": lambda: png(9, 9, chunk(b"IDAT", b"") * count),
        "jpeg zeros": lambda: data[:place] + bytes(count * 4) + data[place:],
        "jpeg fill": lambda: data[:place] + b"\xff" * count * 4 + data[place:],
        "jpeg segments": lambda: data[:place] + b"\xff\xe5\0\2" * count + data[place:],
        "gif blocks": lambda: data[:place] + b"!\xfe\0" * count + data[place:],
        "gif comment": lambda: data[:place] + b"!\xfe" + b"\1A" * count + b"\0" + data[place:],
        "bmp": lambda: run_lengths(200, 20, (b"\1\7" * 200 + b"\0\0") * 20),
    }
    return parts[kind]()


def run_lengths(width, height, runs):
    palette = NOISE.tobytes()[:1024]
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(runs), 0, 0, 54 + 1024) + head + palette + runs


HEADERS = ["png", "png after", "png empty data", "jpeg zeros", "jpeg fill", "jpeg segments"]


@pytest.mark.parametrize("kind", [*HEADERS, "gif blocks", "gif comment", "bmp"])
def test_a_picture_in_more_pieces_than_any_has_is_refused(monkeypatch, kind):
    assert whole_way(long_header(kind, 2000))
    monkeypatch.setattr(limits, "MAX_PIECES", 2000)
    assert refusal(long_header(kind, 2000)) == "a picture must be stored in at most 2,000 pieces"


# Time: metadata


def test_the_color_profiles_of_a_png_are_not_unpacked(promptly):
    profile = chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(1 << 20), 9))
    assert promptly(lambda: whole_way(png(9, 9, profile * 10_000, after=[profile * 10_000]))) == (9, 9)


def jpeg(mode="RGB", **options):
    encoded = io.BytesIO()
    NOISE.convert(mode).save(encoded, "JPEG", **options)
    return encoded.getvalue()


def exif_of_rationals(count):
    entry = struct.pack("<HHII", 0x112, 5, count, 8 + 18)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + b"\0\0\0\0" + struct.pack("<II", 1, 3) * count


@pytest.mark.filterwarnings("ignore:Metadata Warning", "ignore:Tag data larger")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "PNG text", "WEBP"])
def test_exif_of_a_million_numbers_is_passed_over(promptly, kind):
    def encoded(count):
        exif = exif_of_rationals(count)
        if kind == "JPEG":
            parts = [b"Exif\0\0" + exif[start : start + 65_000] for start in range(0, len(exif), 65_000)]
            segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
            return jpeg()[:2] + segments + jpeg()[2:]
        if kind == "PNG":
            return png(9, 9, chunk(b"eXIf", exif))
        if kind == "PNG text":
            words = b"Raw profile type exif\0\nexif\n  16\n" + (b"Exif\0\0" + exif).hex().encode()
            return png(9, 9, chunk(b"tEXt", words))
        buffer = io.BytesIO()
        NOISE.save(buffer, "WEBP", exif=b"Exif\0\0" + exif)
        return buffer.getvalue()

    assert promptly(lambda: whole_way(encoded(1_000_000))) == promptly(lambda: whole_way(encoded(100)))


def test_a_jpeg_of_many_tables_before_its_first_scan_is_refused(monkeypatch):
    table = b"\xff\xdb" + struct.pack(">H", 2 + 65) + b"\0" + b"\1" * 64
    data = jpeg()[:2] + table * 100 + jpeg()[2:]
    assert whole_way(data)
    monkeypatch.setattr(limits, "MAX_JPEG_HEADER_BYTES", 6000)
    assert refusal(data) == "a JPEG must have at most 6,000 bytes before its first scan"


@pytest.mark.parametrize("fmt", ["GIF", "JPEG"])
def test_a_comment_longer_than_a_jpeg_can_hold_does_not_follow_into_the_thumbnail(fmt):
    encoded = io.BytesIO()
    NOISE.convert("P" if fmt == "GIF" else "RGB").save(encoded, fmt, comment=b"A" * 60_000)
    data = encoded.getvalue()
    if fmt == "GIF":
        data = data.replace(b"\xffA", b"\xffA" + b"A" * 254 + b"\xffA", 50)
    with open_decoded(data) as image:
        assert len(to_thumbnail(image)) < 10_000


# Time: scans


def many_scans(count, mode="L"):
    data = jpeg(mode, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def test_a_progressive_jpeg_of_thousands_of_scans_is_refused(monkeypatch):
    assert whole_way(many_scans(100))
    assert refusal(many_scans(2000)) == "a JPEG of 5,400 pixels must have at most 1,000 scans"
    monkeypatch.setattr(limits, "MAX_SCANNED_PIXELS", 100 * 5_400)
    assert refusal(many_scans(100)) == "a JPEG of 5,400 pixels must have at most 100 scans"
    assert whole_way(many_scans(90))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_the_scans_of_a_progressive_jpeg_are_those_that_its_encoder_writes(mode):
    assert len(list(limits._scans(jpeg(mode, progressive=True)))) == {"L": 6, "RGB": 10, "CMYK": 18}[mode]
    assert len(list(limits._scans(jpeg(mode)))) == 1


def test_what_looks_like_scans_in_metadata_or_behind_the_picture_is_none():
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 4000) + b"\xff\xda" * 2000
    data = jpeg()[:2] + comment + jpeg()[2:] + b"\xff\xda\0\2" * 2000
    assert whole_way(data)
    assert len(list(limits._scans(data))) == 1


# TIFF


def test_a_tiff_of_more_strips_than_rows_is_refused(promptly):
    offsets = [8] * 300_000
    assert (
        promptly(lambda: refusal(tiff(9, 9, offsets=offsets))) == "a TIFF must have at most 262,144 strips, got 300,000"
    )


@pytest.mark.parametrize(("number", "kind", "size"), [(282, 5, 8), (320, 3, 2), (338, 3, 2)])
def test_a_tiff_with_millions_of_numbers_in_a_tag_is_refused(promptly, number, kind, size):
    data = tiff(9, 9, [(number, kind, 1_100_000, bytes(1_100_000 * size))])
    assert promptly(lambda: refusal(data)) == "the tags of a TIFF must hold at most 1,048,576 numbers"


@pytest.mark.parametrize(("number", "kind", "size"), [(700, 3, 2), (34675, 4, 4), (50838, 12, 8)])
def test_metadata_of_a_tiff_of_millions_of_numbers_is_passed_over(promptly, number, kind, size):
    data = tiff(9, 9, [(number, kind, 1_100_000, bytes(1_100_000 * size))])
    assert promptly(lambda: whole_way(data)) == (9, 9)


@pytest.mark.parametrize("pointers", [1, 2])
def test_numbers_in_a_directory_within_a_tiff_are_passed_over(promptly, pointers):
    inner = struct.pack("<HHHIII", 1, 0x9000, 5, 1_100_000, 8 + 18, 0) + bytes(8 * 1_100_000)
    data = tiff(9, 9, [(34665, 4, pointers, struct.pack(f"<{pointers}I", *[8] * pointers))], inner)
    assert promptly(lambda: whole_way(data)) == (9, 9)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Possibly corrupt EXIF", "ignore:Tag data larger")
@pytest.mark.parametrize("number", [34665, 34853, 40965, 700, 34675, 33723])
@pytest.mark.parametrize("value", [0, 7, 8, 94, 108, 110, 2**31 - 5, 2**32 - 1])
def test_metadata_of_a_tiff_that_leads_anywhere_is_passed_over(number, value):
    pixels = np.random.default_rng(0).bytes(100)
    data = tiff(9, 9, [(number, 4, 1, struct.pack("<I", value))], pixels)
    assert whole_way(data) == (9, 9)


def test_directories_of_a_tiff_that_point_to_each_other_end(promptly):
    start = 8 + 100
    own = [(tag, 4, 1, struct.pack("<I", start)) for tag in (34665, 34853, 40965)]
    assert promptly(lambda: whole_way(tiff(9, 9, own)), seconds=5) == (9, 9)
    assert promptly(lambda: whole_way(tiff(9, 9, own)[:-4] + struct.pack("<I", start)), seconds=5) == (9, 9)


def test_metadata_of_a_tiff_that_stays_bytes_may_be_large():
    assert whole_way(tiff(9, 9, [(37724, 7, 5_000_000, bytes(5_000_000))])) == (9, 9)


@pytest.mark.parametrize(("size", "tile"), [((1, 1), (40_000, 40_000)), ((4000, 1), (16, 1_000_000))])
def test_a_tiff_whose_tiles_are_far_larger_than_it_is_refused(size, tile):
    tags = [(259, 3, 1, b"\x08\0"), (322, 4, 1, struct.pack("<I", tile[0])), (323, 4, 1, struct.pack("<I", tile[1]))]
    assert refusal(tiff(*size, tags)).startswith(
        "the tiles of a TIFF must be at most 262,144 and have at most 357,913,940"
    )


def test_strips_of_a_tiff_that_lie_over_each_other_are_not_read_for_ever():
    sizes = struct.pack("<9I", *[200_000_000] * 9)
    tags = [(259, 3, 1, b"\x08\0"), (279, 4, 9, sizes), (278, 4, 1, b"\1\0\0\0")]
    words = refusal(tiff(9, 9, tags, zlib.compress(bytes(9)), offsets=[8] * 9))
    assert words == "the strips of a TIFF must have at most 1,073,741,824 bytes in all"


def test_a_tiff_that_holds_a_jpeg_of_thousands_of_scans_is_refused():
    def stored(data):
        tags = [(259, 3, 1, b"\x07\0"), (279, 4, 1, struct.pack("<I", len(data)))]
        return tiff(90, 60, tags, data)

    assert whole_way(stored(jpeg("L")))
    assert refusal(stored(many_scans(2000))) == "JPEG data of 5,400 pixels must have at most 1,000 scans, got 2,005"


# BMP


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_large_run_length_encoded_bitmap_is_refused():
    assert "must have at most 16,777,216 pixels, got 13000 x 13000; save it as PNG" in refusal(
        run_lengths(13_000, 13_000, b"\1\1\0\0" * 13_000)
    )


# Messages


def test_what_a_decoder_quotes_of_a_file_is_cut_short(monkeypatch):
    def quoting(*_, **__):
        raise ValueError("x" * 100_000)

    monkeypatch.setattr(decoding.Image, "open", quoting)
    assert refusal(b"...") == "damaged picture: " + "x" * 300


def test_a_run_of_hostile_pictures_scores_the_others_and_says_why(tmp_path):
    """The whole command, in a process of its own: an error row each, nothing raw on stderr."""
    good = tmp_path / "good"
    good.mkdir()
    for number in range(4):
        NOISE.rotate(90 * number).save(good / f"{number}.png")
    (good / "a_thin.png").write_bytes(png(40_000_000, 1))
    (good / "b_cut.png").write_bytes(png(200, 200)[:-40])
    (good / "c_scans.jpg").write_bytes(many_scans(2000))
    (good / "d_samples.tif").write_bytes(tiff(9, 9, [(277, 4, 1, struct.pack("<I", 100_000))]))
    command = [
        sys.executable,
        "-c",
        "from dn2.cli.main import main; main()",
        "embed",
        str(good),
        "-o",
        str(tmp_path / "v.npz"),
        "--no-cache",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 3
    assert np.load(tmp_path / "v.npz")["items"].tolist() == ["0.png", "1.png", "2.png", "3.png"]
    assert "Traceback" not in done.stderr
    written, *others = done.stderr.splitlines()
    assert written.startswith("4 embeddings of 1280 features")
    assert [line[:17] for line in others] == [f"dn2: not read: {one}_" for one in "abcd"]
