"""Grey pictures of more than 8 bits, negatives and pages: what their files say of them, and what is noticed."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dn2.errors import UnreadableItem
from dn2.kinds.image.transformer import ImageEmbedder
from dn2.networks.decoding import from_memory, open_decoded
from dn2.networks.opaque import NOTHING_SEEN, SEEN, Seen

HEIGHT, WIDTH = 35, 45  # rows that end within a byte
GREY = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) / (HEIGHT + WIDTH - 2)  # from 0, black, to 1


def read(data, **options):
    """Return the grey levels of a picture, and what was noticed."""
    with open_decoded(data, **options) as image:
        return np.asarray(image.convert("L")).astype(int), image.info[SEEN]


def packed(numbers, bits):
    """Pack rows of numbers as TIFF does, the obvious way."""
    rows = ["".join(format(int(number), f"0{bits}b") for number in row) for row in numbers]
    return b"".join(int(row.ljust(-(-len(row) // 8) * 8, "0"), 2).to_bytes(-(-len(row) // 8), "big") for row in rows)


def tiff(numbers, bits, *, order="<", photometric=1, tiled=False, squeezed=False, in_16=False, pages=(), tags=()):
    """Write a grey TIFF by hand.  pages : the NewSubfileType of each further page."""

    def stored(part):
        whole = {8: "u1", 16: "u2", 32: "u4"}.get(16 if in_16 else bits)
        data = packed(part, bits) if whole is None else part.astype(order + whole).tobytes()
        return zlib.compress(data) if squeezed else data

    if tiled:
        wide = np.pad(numbers, ((0, -HEIGHT % 16), (0, -WIDTH % 32)))
        chunks = [stored(wide[y : y + 16, x : x + 32]) for y in range(0, len(wide), 16) for x in range(0, 64, 32)]
    else:
        chunks = [stored(numbers[y : y + 16]) for y in range(0, HEIGHT, 16)]
    offsets = [8 + sum(map(len, chunks[:place])) for place in range(len(chunks))]
    sizes = list(map(len, chunks))
    values = {256: [WIDTH], 257: [HEIGHT], 258: [bits], 259: [8 if squeezed else 1], 262: [photometric], 277: [1]}
    values |= {322: [32], 323: [16], 324: offsets, 325: sizes} if tiled else {273: offsets, 278: [16], 279: sizes}
    body = b"".join(chunks) + b"\0" * (sum(sizes) % 2)
    start = 8 + len(body)
    for page, kind in enumerate((0, *pages)):
        entries, beyond = b"", b""
        directory = sorted((values | dict(tags) | {254: [kind]}).items())
        for tag, several in directory:
            value = struct.pack(f"{order}{len(several)}I", *several)
            if len(several) > 1:
                place = start + 6 + 12 * len(directory) + len(beyond)
                beyond, value = beyond + value, struct.pack(order + "I", place)
            entries += struct.pack(order + "HHI", tag, 4, len(several)) + value
        after = start + 6 + len(entries) + len(beyond) if page < len(pages) else 0
        body += struct.pack(order + "H", len(directory)) + entries + struct.pack(order + "I", after) + beyond
        start = 8 + len(body)
    first = start - len(body) - 8 + 8 + sum(sizes) + sum(sizes) % 2
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", first) + body


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 9, 10, 12, 14, 15, 16])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("layout", [{}, {"tiled": True}, {"squeezed": True, "order": ">"}, {"order": ">"}])
def test_a_grey_tiff_of_any_depth_is_read_from_its_black_to_its_white(bits, photometric, layout):
    white = (1 << bits) - 1
    numbers = np.round(GREY * white).astype(int)
    data = tiff(numbers if photometric else white - numbers, bits, photometric=photometric, **layout)
    grey, seen = read(data)
    assert np.abs(grey - numbers / white * 255).max() <= 0.51
    assert seen == (NOTHING_SEEN if bits <= 8 else Seen(white, white, is_said=bits < 16))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_packed_tiff_is_turned_as_one_of_8_bits_is(orientation):
    lying = [
        read(tiff(np.round(GREY * white).astype(int), bits, tags=[(274, [orientation])]))[0]
        for bits, white in ((8, 255), (12, 4095))
    ]
    assert lying[0].shape == lying[1].shape == ((HEIGHT, WIDTH) if orientation < 5 else (WIDTH, HEIGHT))
    assert np.abs(lying[0] - lying[1]).max() <= 1


@pytest.mark.parametrize(
    ("bits", "options"),
    [
        (12, {"in_16": True}),
        (16, {"tags": [(281, [4095])]}),
        (16, {"tags": [(341, [4095])], "order": ">"}),
        (32, {"tags": [(281, [4095])]}),
    ],
)
def test_a_tiff_that_says_its_largest_number_is_read_to_that(bits, options):
    numbers = np.round(GREY * 4095).astype(int)
    grey, seen = read(tiff(numbers, bits, **options), white=255)  # what the file says goes first
    assert np.abs(grey - GREY * 255).max() <= 1
    assert seen == Seen(4095, 4095, is_said=True)


def test_a_largest_number_that_is_no_cameras_makes_no_dark_picture_bright():
    dark = np.round(GREY * 3000).astype(int)
    assert read(tiff(dark, 16, tags=[(281, [3000])]))[0].max() == 12


def as_png(numbers):
    buffer = io.BytesIO()
    Image.fromarray(numbers.astype(np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def as_pgm(numbers):
    return b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + numbers.astype(">u2").tobytes()


@pytest.mark.parametrize("encode", [as_png, as_pgm, lambda numbers: tiff(numbers, 16)])
def test_where_a_file_does_not_say_its_white_the_caller_may(encode):
    numbers = np.round(GREY * 1023).astype(int)
    assert read(encode(numbers))[1] == Seen(1023)
    assert read(encode(numbers))[0].max() == 4
    grey, seen = read(encode(numbers), white=1023)
    assert np.abs(grey - GREY * 255).max() <= 1
    assert seen == Seen(1023, 1023, is_said=True)
    assert read(encode(numbers // 2), white=1023)[0].max() == 127  # a dark picture stays dark
    grey, seen = read(encode(numbers), white=511)
    assert np.abs(grey - np.minimum(numbers / 511, 1) * 255).max() <= 1
    assert seen == Seen(1023, 511, is_said=True)


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 1), (HEIGHT, WIDTH, 3)])
def test_arrays_of_16_bits_are_read_where_white_is_said(shape):
    numbers = np.round(GREY * 4095).astype(np.uint16).repeat((*shape, 1)[2]).reshape(shape)
    with from_memory(numbers, 4095) as image:
        assert np.abs(np.asarray(image.convert("L")) - GREY * 255).max() <= 1
        assert image.info[SEEN] == Seen(4095, 4095, is_said=True)
    with pytest.raises(UnreadableItem, match="or fit with white= and the camera's white"), from_memory(numbers):
        pass


def test_arrays_of_16_bits_may_be_of_either_byte_order_and_white_of_any_whole_number():
    numbers = np.round(GREY * 4095).astype(">u2")
    with from_memory(numbers, 4095) as image, from_memory(numbers.astype("<u2"), 4095) as other:
        assert np.array_equal(np.asarray(image), np.asarray(other))
    vectors = ImageEmbedder("lite0@32", white=numbers.max(), cache=False).transform([numbers])
    assert np.array_equal(vectors, ImageEmbedder("lite0@32", white=4095, cache=False).transform([numbers]))


def test_the_transparent_grey_of_a_png_is_laid_over_white_at_any_depth():
    for numbers in (np.array([[0, 9], [9, 200]], np.uint8), np.array([[0, 9], [9, 200]], np.uint16) * 257):
        file = io.BytesIO()
        Image.fromarray(numbers).save(file, "PNG", transparency=int(numbers[0, 1]))
        assert read(file.getvalue())[0].tolist() == [[0, 255], [255, 200]]


def test_a_picture_of_pillow_of_16_bits_is_read_as_its_file():
    numbers = np.round(GREY * 1023).astype(np.uint16)
    for white in (None, 1023):
        with from_memory(Image.fromarray(numbers), white) as image:
            expected, seen = read(as_png(numbers), white=white)
            assert np.array_equal(np.asarray(image), expected)
            assert image.info[SEEN] == seen


def test_colors_of_16_bits_keep_their_upper_8_and_no_white_can_be_said_of_them():
    buffer = io.BytesIO()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 9, np.uint8)).save(buffer, "PNG")
    rows = b"".join(b"\0" + bytes([1, 255]) * 3 * WIDTH for _ in range(HEIGHT))
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0), b"IDAT" + zlib.compress(rows), b"IEND")
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )
    grey, seen = read(data)
    assert set(grey.ravel()) == {1}
    assert seen == Seen(511)
    with pytest.raises(UnreadableItem, match="of colours of 16 bits the upper 8 are read, and white='511' needs"):
        read(data, white=511)


# PBM, PGM, PPM


@pytest.mark.parametrize("white", [1, 100, 255, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", [2, 3, 5, 6])
def test_a_pgm_or_ppm_is_read_from_0_to_its_white(white, kind):
    bands = 3 if kind in (3, 6) else 1
    numbers = np.round(GREY * white).astype(int).repeat(bands, axis=1)
    head = b"P%d # a comment\n%d\t%d # another\n %d\n" % (kind, WIDTH, HEIGHT, white)
    written = b"# in between\n" + " ".join(map(str, numbers.ravel())).encode()
    stored = numbers.astype("u1" if white < 256 else ">u2").tobytes()
    with open_decoded(head + (written if kind <= 3 else stored)) as image:
        assert image.mode == ("RGB" if bands == 3 else "L")
        got = np.asarray(image).reshape(HEIGHT, WIDTH * bands)
        assert np.abs(got - numbers / white * 255).max() <= 0.51
        assert image.info[SEEN] == (NOTHING_SEEN if white < 256 else Seen(white, white, is_said=white < 65535))


def test_a_pbm_is_black_where_it_is_1():
    bits = GREY > 0.3
    written = b"P1 %d %d\n" % (WIDTH, HEIGHT) + b"".join(b"1" if bit else b"0 " for bit in bits.ravel())
    stored = b"P4 %d %d\n" % (WIDTH, HEIGHT) + np.packbits(bits, axis=1).tobytes()
    for data in (written, stored):
        assert np.array_equal(read(data)[0], np.where(bits, 0, 255))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"P5 9", "the header must give its width, its height and its white in digits"),
        (b"P5 " + b" " * 5000 + b"x", "the header must give"),
        (b"P5 " + b"#\n" * 40_000 + b"3 3 255\n" + bytes(9), "in at most 65,536 bytes"),
        (b"P2 3 1 100 " + b"#\n" * 2_000 + b"1 2 3", "must have at most 1,000 comments"),
        (b"P5 3 3 0\n" + bytes(9), r"white must lie in 1 ... 65,535, got 0"),
        (b"P5 3 3 70000\n" + bytes(99), r"white must lie in 1 ... 65,535, got 70,000"),
        (b"P5 3 3 255\n" + bytes(8), "it ends early, after 8 of 9 bytes"),
        (b"P4 9 3\n" + bytes(5), "it ends early, after 5 of 6 bytes"),
        (b"P6 0 3 255\n", "at least one pixel, got 0 x 3"),
        (b"P5 999999 999999 255\n", "exceed the limit of 178,956,970"),
        (b"P5 9999999999 1 255\n", "exceed the limit"),
        (b"P2 5000 5000 255\n", "written in digits must have at most 4,194,304 pixels"),
        (b"P2 3 3 255\n1 2 3 4 5 6 7 8 -9", "must be written in digits"),
        (b"P2 3 3 255\n1 2 3 4 5 6 7 8 256", "must be at most 255, got 256"),
        (b"P2 3 3 255\n1 2 3 4 5 6 7 8 " + b"9" * 5000, "must be at most 255"),
        (b"P2 3 3 255\n1 2 3", "damaged picture"),
        (b"P1 2 2\n0120", "must hold only 0 and 1"),
        (b"P1 2 2\n011", "ends early, after 3 of 4 numbers"),
        (b"P3 1 1 255\n", "damaged picture"),
        (b"P7\nWIDTH 3\n", "a PAM or PFM picture, which dn2 does not read"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else "",
)
def test_a_pgm_that_is_damaged_or_too_large_says_so(promptly, data, words):
    with pytest.raises(UnreadableItem, match=words):
        promptly(lambda: read(data), seconds=5)


# Pages and frames


@pytest.mark.parametrize(("pages", "count"), [((), 0), ((0, 2), 2), ((1,), 0), ((4, 1, 0), 1)])
def test_pages_of_a_tiff_are_counted_without_its_thumbnails_and_masks(pages, count):
    assert read(tiff(np.round(GREY * 255).astype(int), 8, pages=pages))[1].further_pages == count


@pytest.mark.parametrize("fmt", ["GIF", "WEBP", "PNG", "TIFF"])
def test_frames_after_the_first_are_counted(fmt):
    frames = [Image.fromarray(np.round(GREY * level).astype(np.uint8)) for level in (250, 150, 50)]
    buffer = io.BytesIO()
    frames[0].save(buffer, fmt, save_all=True, append_images=frames[1:])
    assert read(buffer.getvalue())[1].further_pages == 2
    buffer = io.BytesIO()
    frames[0].save(buffer, fmt)
    assert read(buffer.getvalue())[1] == NOTHING_SEEN


def test_pages_that_point_to_each_other_are_counted_once(promptly):
    data = tiff(np.round(GREY * 255).astype(int), 8, pages=(0,))
    first = struct.unpack("<I", data[4:8])[0]
    assert promptly(lambda: read(data[:-4] + struct.pack("<I", first)), seconds=5)[1].further_pages == 1


# What is not seen


def test_a_picture_of_which_nothing_is_visible_is_noticed():
    clear = Image.new("RGBA", (5, 4), (10, 20, 30, 0))
    for pixel, expected in ((0, True), (1, False)):
        clear.putpixel((2, 2), (10, 20, 30, pixel))
        buffer = io.BytesIO()
        clear.save(buffer, "PNG")
        assert read(buffer.getvalue())[1] == Seen(is_transparent=expected)


# What is not read


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ([(277, [5]), (258, [8] * 5)], "a TIFF of 5 bands of numbers of 8 bits each; dn2 reads 1 band"),
        ([(277, [2]), (258, [16] * 2)], "a TIFF of 2 bands of numbers of 16 bits each"),
        ([(258, [64]), (339, [3])], "a TIFF of 1 band of floating-point numbers of 64 bits; "),
        ([(258, [16]), (339, [3])], "a TIFF of 1 band of floating-point numbers of 16 bits; "),
        ([(258, [64])], "a TIFF of 1 band of numbers of 64 bits; "),
        ([(258, [11]), (317, [2])], "a TIFF of 1 band of numbers of 11 bits; "),
    ],
)
def test_a_tiff_that_is_not_read_says_what_it_holds(tags, words):
    with pytest.raises(UnreadableItem, match=words):
        read(tiff(np.round(GREY * 255).astype(int), 8, tags=tags))
