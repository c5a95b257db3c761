"""What mutated pictures do to a run: each must be read or be unreadable, soon and within bounds.

    python benchmarks/fuzz_pictures.py [--count 20000] [--seed 0] [--keep FOLDER]

Pictures of every format and layout are mutated, byte by byte and by their structure: sizes, lengths, counts, offsets,
kinds of chunks, segments and tags, parts that are doubled, dropped or moved.  PNG checksums are made to fit in 70 % of
the cases.  Each is then embedded, thumbnail and all, by the pipeline that `dn2 score` uses, with a network that costs
nothing, in child processes of bounded memory.  Case i of a seed is the same in every run.

Prints what became of them, what none may do (which includes that a library writes to stderr), and the worst time (of
the processor) and memory (resident, beyond what the child began with)."""

from __future__ import annotations

import contextlib
import io
import logging
import multiprocessing
import os
import random
import resource
import struct
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from common import begin
from dn2.kinds.image.pipeline import ImagePipeline
from dn2.networks.pixels import Preprocessing

SECONDS = 5.0
MEGABYTES = 3_000
ADDRESS_SPACE = 8 << 30
PATIENCE = 60  # seconds without an answer after which a child hangs

EXTREMES = (
    0,
    1,
    2,
    7,
    8,
    127,
    128,
    255,
    256,
    13_000,
    32_767,
    32_768,
    65_535,
    262_144,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
PNG_CHUNKS = (
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB tEXt zTXt iTXt bKGD hIST pHYs sPLT eXIf tIME acTL fcTL fdAT "
    b"teSt"
).split()

Mutation = Callable[[bytearray, random.Random], None]


# Pictures to begin with


def originals() -> dict[str, bytes]:
    """Draw one picture and encode it in every way that dn2 reads."""
    rng = np.random.default_rng(1)
    slope = np.add.outer(np.arange(90), np.arange(120))[..., None]
    color = Image.fromarray((slope + rng.integers(0, 60, (90, 120, 3))).clip(0, 255).astype(np.uint8))
    grey, bits, palette = color.convert("L"), color.convert("1"), color.quantize(16)
    deep = np.asarray(grey).astype(np.uint16) * 257
    others = [color.rotate(9), color.rotate(40)]
    exif = Image.Exif()
    exif[0x112], exif[0x10E], exif[0x11A] = 6, "a picture", 72.0
    exif.get_ifd(0x8769)[0x829A] = 0.01
    files: dict[str, bytes] = {}

    def add(name: str, image: Image.Image, **options: Any) -> None:
        if "append_images" in options:  # copies, since Pillow leaves the settings of an encoder on what it encodes
            options["append_images"] = [other.copy() for other in options["append_images"]]
        buffer = io.BytesIO()
        image.copy().save(buffer, name.split()[0], **options)
        files[name] = buffer.getvalue()

    add("JPEG", color, exif=exif, comment=b"a comment")
    add("JPEG progressive", color, progressive=True)
    add("JPEG grey", grey, icc_profile=bytes(200))
    add("JPEG inks", color.convert("CMYK"), progressive=True)
    add("JPEG restarts", color, restart_marker_blocks=3)
    add("MPO", color, save_all=True, append_images=others)
    add("PNG", color, exif=exif, icc_profile=bytes(100))
    add("PNG grey 16", Image.fromarray(deep))
    add("PNG palette", palette, transparency=3)
    add("PNG alpha", color.convert("RGBA"))
    add("PNG 1 bit", bits)
    add("PNG animated", color, save_all=True, append_images=others)
    add("TIFF", color, exif=exif)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd", "lzma"):
        add(f"TIFF {compression}", color, compression=compression)
    for compression in ("group3", "group4", "tiff_ccitt"):
        add(f"TIFF {compression}", bits, compression=compression)
    add("TIFF grey 16", Image.fromarray(deep), compression="tiff_lzw")
    add("TIFF float", Image.fromarray(np.asarray(grey).astype(np.float32) / 255))
    add("TIFF int32", Image.fromarray(np.asarray(grey).astype(np.int32)))
    add("TIFF palette", palette)
    add("TIFF strips", color, strip_size=4096, compression="tiff_lzw")
    add("TIFF pages", color, save_all=True, append_images=others)
    add("TIFF big", grey, big_tiff=True)
    add("WEBP", color, exif=exif)
    add("WEBP lossless", color.convert("RGBA"), lossless=True)
    add("WEBP animated", color, save_all=True, append_images=others)
    add("BMP", color)
    add("BMP palette", palette)
    add("BMP 1 bit", bits)
    files["BMP run lengths"] = run_length_bmp(np.asarray(palette))
    add("JPEG2000", color)
    add("JPEG2000 bare", color, no_jp2=True)
    add("JPEG2000 tiles", color.convert("RGBA"), tile_size=(64, 64), precinct_size=(32, 32), quality_layers=[9, 3])
    add("JPEG2000 grey 16", Image.fromarray(deep))
    if features.check("avif"):
        add("AVIF", color, exif=exif)
        add("AVIF alpha", color.convert("RGBA"))
        add("AVIF animated", color, save_all=True, append_images=others)
    add("PPM", color)
    add("PPM grey 16", Image.fromarray(deep))
    add("PPM 1 bit", bits)
    files["PPM 12 bits"] = b"P5 120 90 4095\n" + (deep // 16).astype(">u2").tobytes()
    files["PPM digits"] = b"P3 # in digits\n120 90 255\n" + " ".join(map(str, np.asarray(color).ravel())).encode()
    files["PPM 1 bit digits"] = b"P1 120 90\n" + (48 + np.asarray(bits).astype(np.uint8)).tobytes()
    files["TIFF 12 bits"] = packed_tiff(deep >> 4)
    add("TIFF negative", Image.fromarray(deep), tiffinfo={262: 0})
    add("GIF", palette)
    add("GIF animated", palette, save_all=True, append_images=[other.quantize(30) for other in others], disposal=2)
    return files


def packed_tiff(numbers: np.ndarray) -> bytes:
    """Encode numbers of 12 bits, (height, width), two in three bytes, which Pillow does not write."""
    first, second = numbers[:, ::2].astype(int), numbers[:, 1::2].astype(int)
    rows = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1).astype(np.uint8).tobytes()
    height, width = numbers.shape
    tags = (
        (256, width),
        (257, height),
        (258, 12),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, len(rows)),
    )
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(rows)) + rows + struct.pack("<H", len(tags)) + entries + bytes(4)


def run_length_bmp(places: np.ndarray) -> bytes:
    """Encode places in a palette, (height, width), in run lengths, which Pillow does not write."""
    rows = b"".join(b"".join(b"\1" + bytes([place]) for place in row) + b"\0\0" for row in places[::-1]) + b"\0\1"
    height, width = places.shape
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(rows), 0, 0, 1078) + head + bytes(range(256)) * 4 + rows


# Where sizes, lengths, counts and offsets lie: (start, bytes)


def fields(data: bytes) -> list[tuple[int, int]]:
    """Find the numbers that say how a file hangs together."""
    if data.startswith(b"\x89PNG"):
        return [place for start in png_chunks(data) for place in ((start, 4), (start + 8, 4), (start + 12, 4))]
    if data.startswith(b"\xff\xd8"):
        return [place for start in jpeg_segments(data) for place in ((start + 2, 2), (start + 5, 2), (start + 7, 2))]
    if data[:2] in (b"II", b"MM"):
        return tiff_fields(data)
    if data.startswith(b"RIFF"):
        return [
            (4, 4),
            *(place for start in riff_chunks(data) for place in ((start + 4, 4), (start + 8, 4), (start + 12, 3))),
        ]
    if (stream := data.find(b"\xff\x4f\xff\x51")) >= 0:
        places = [(at, 2) for start in stream_segments(data, stream + 2) for at in range(start, start + 50, 2)]
        return [(at, 4) for at in range(0, stream, 2)] + places
    if data[4:8] == b"ftyp":
        return [(at, 4) for at in range(0, min(len(data), 400), 2)]
    if data.startswith(b"P") and data[1:2] in b"123456":
        return [(at, 1) for at in range(1, 16)]
    if data.startswith(b"BM"):
        return [(start, 4) for start in range(2, 54, 4)]
    return [(start, 2) for start in range(6, 10, 2)] + [
        (at + 1, 2) for at in range(len(data)) if data[at : at + 1] == b","
    ]


def png_chunks(data: bytes) -> Iterator[int]:
    """Find where chunks begin."""
    start = 8
    while start + 12 <= len(data):
        yield start
        start += 12 + int.from_bytes(data[start : start + 4], "big")


def jpeg_segments(data: bytes) -> Iterator[int]:
    """Find where segments begin, those of the first picture."""
    start = 2
    while (start := data.find(b"\xff", start)) >= 0 and start + 4 <= len(data):
        if data[start + 1] in (0, 255, *range(0xD0, 0xD8)):
            start += 1
            continue
        yield start
        start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")


def stream_segments(data: bytes, start: int) -> Iterator[int]:
    """Find where the segments of the main header and of the first tile-part of a JPEG 2000 begin."""
    while start + 4 <= len(data) and data[start : start + 2] != b"\xff\x93":
        yield start
        start += 2 + max(2, int.from_bytes(data[start + 2 : start + 4], "big"))


def riff_chunks(data: bytes) -> Iterator[int]:
    """Find where chunks begin."""
    start = 12
    while start + 8 <= len(data):
        yield start
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        start += 8 + size + size % 2


def tiff_fields(data: bytes) -> list[tuple[int, int]]:
    """Find the entries of the first directory: tag, type, count, value."""
    order, big = ("little" if data[:2] == b"II" else "big"), 43 in data[2:4]
    head, count, entry = (8, 8, 20) if big else (4, 2, 12)
    start = int.from_bytes(data[head : 2 * head], order)  # type: ignore[arg-type]
    found = [(head, head), (start, count)]
    for at in range(start + count, min(start + count + 40 * entry, len(data) - entry), entry):
        found += [(at, 2), (at + 2, 2), (at + 4, head), (at + 4 + head, head)]
    return found


# Mutations


def set_field(data: bytearray, rng: random.Random) -> None:
    """Give a number of the structure an extreme value, or one near by."""
    places = [(start, size) for start, size in fields(bytes(data)) if start + size <= len(data)]
    if not places:
        return set_bytes(data, rng)
    start, size = rng.choice(places)
    order = rng.choice(["little", "big"])
    old = int.from_bytes(data[start : start + size], order)  # type: ignore[arg-type]
    new = rng.choice([rng.choice(EXTREMES), old + rng.choice((-1, 1, 7)), old * 2, rng.randrange(1 << 8 * size)])
    data[start : start + size] = (new % (1 << 8 * size)).to_bytes(size, order)  # type: ignore[arg-type]


def move_part(data: bytearray, rng: random.Random) -> None:
    """Double, drop or move a chunk, segment or any stretch."""
    starts = next((list(find(bytes(data))) for magic, find in PARTS if data.startswith(magic)), [])
    if len(starts) > 2 and rng.random() < 0.8:
        first = rng.randrange(len(starts) - 1)
        start, end = starts[first], starts[first + 1]
    else:
        start = rng.randrange(len(data))
        end = min(len(data), start + rng.randrange(1, 200))
    part = bytes(data[start:end])
    what = rng.randrange(4)
    if what < 2:
        data[end:end] = part * rng.choice([1, 2, 30, 300])
    else:
        del data[start:end]
        if what == 3:
            place = rng.choice(starts) if starts else rng.randrange(len(data) + 1)
            data[place:place] = part


PARTS = [(b"\x89PNG", png_chunks), (b"\xff\xd8", jpeg_segments), (b"RIFF", riff_chunks)]


def add_part(data: bytearray, rng: random.Random) -> None:
    """Add a part of any kind, of sense or not."""
    body = rng.choice([rng.randbytes(rng.randrange(60)), zlib.compress(bytes(rng.randrange(1 << 16))), bytes(26)])
    if data.startswith(b"\x89PNG"):
        name = rng.choice(PNG_CHUNKS)
        if name in (b"iCCP", b"zTXt", b"iTXt"):
            body = b"key\0" + rng.choice([b"\0", b"\1\0\0\0"]) + body
        part = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        place = rng.choice(list(png_chunks(bytes(data))) or [8])
    elif data.startswith(b"\xff\xd8"):
        part = bytes([255, rng.randrange(192, 255)]) + struct.pack(">H", (len(body) + 2) % 65536)
        part += (
            rng.choice([b"", b"Exif\0\0II*\0\x08\0\0\0", b"ICC_PROFILE\0", b"Photoshop 3.0\0008BIM", b"MPF\0"]) + body
        )
        place = rng.choice(list(jpeg_segments(bytes(data))) or [2])
    elif data.startswith(b"GIF"):
        part, place = b"!" + bytes([rng.randrange(256), len(body) % 256]) + body + b"\0", rng.randrange(13, len(data))
    else:
        part, place = body, rng.randrange(len(data))
    data[place:place] = part


def set_bytes(data: bytearray, rng: random.Random) -> None:
    """Change some bytes, most of the time near the start."""
    head = min(len(data), rng.choice([40, 120, 400, len(data)]))
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        data[rng.randrange(head)] = rng.randrange(256)


def flip_bits(data: bytearray, rng: random.Random) -> None:
    """Flip some bits anywhere."""
    for _ in range(rng.randrange(1, 40)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut(data: bytearray, rng: random.Random) -> None:
    """Cut the end off."""
    del data[rng.randrange(1, len(data)) :]


MUTATIONS: tuple[Mutation, ...] = (set_field, set_field, set_field, move_part, add_part, set_bytes, flip_bits, cut)


def mutated(files: dict[str, bytes], seed: int, number: int) -> tuple[str, bytes]:
    """Return the name of what case `number` begins with, and its bytes."""
    rng = random.Random(f"{seed} {number}")
    name = sorted(files)[number % len(files)]
    data = bytearray(files[name])
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if len(data) > 20:
            rng.choice(MUTATIONS)(data, rng)
    return name, with_checksums(bytes(data)) if rng.random() < 0.7 else bytes(data)


def with_checksums(data: bytes) -> bytes:
    """Make the checksums of a PNG fit."""
    if not data.startswith(b"\x89PNG"):
        return data
    done = bytearray(data)
    for start in png_chunks(data):
        end = start + 8 + int.from_bytes(data[start : start + 4], "big")
        if end + 4 <= len(data):
            done[end : end + 4] = struct.pack(">I", zlib.crc32(data[start + 4 : end]))
    return bytes(done)


# Reading them, in children


class NoBackbone:
    """What the pipeline asks of a network's description."""

    digest, preprocessing = "none", Preprocessing(224, 224)


class NoNetwork:
    """Embeds a picture as its mean colour."""

    backbone, precision = NoBackbone(), "f32"

    def start(self, pixels: np.ndarray, receive: Callable[[np.ndarray], None]) -> None:
        """Embed at once."""
        receive(pixels.mean(axis=(0, 1)).astype(np.float32))

    def wait(self) -> None:
        """Do nothing: all is done."""


def read(pipe: Connection, files: dict[str, bytes], seed: int, folder: str) -> None:
    """Embed the cases whose numbers come through the pipe, and answer for each what became of it."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    warnings.simplefilter("ignore")
    logging.disable()  # which leaves what libraries write past Python
    pipeline = ImagePipeline([NoNetwork()], thumbnails=True)  # type: ignore[list-item]
    path = Path(folder) / f"case_{os.getpid()}"
    stderr = os.open(path.with_suffix(".err"), os.O_RDWR | os.O_CREAT)
    os.dup2(stderr, 2)
    with contextlib.suppress(EOFError):
        while True:
            number = pipe.recv()
            path.write_bytes(mutated(files, seed, number)[1])
            before, start = peak_megabytes(reset=True), time.process_time()
            try:
                (item,) = pipeline.embed([path])
                outcome, words = ("unreadable", item.error) if item.error else ("read", "")
                assert item.error or (item.vector is not None and item.thumbnail)
            except BaseException:
                outcome, words = "other exceptions", traceback.format_exc()
            seconds, megabytes = time.process_time() - start, peak_megabytes() - before
            pipe.send((outcome, words, seconds, megabytes, os.fstat(stderr).st_size))
            os.ftruncate(stderr, 0)
            os.lseek(stderr, 0, os.SEEK_SET)


def peak_megabytes(*, reset: bool = False) -> float:
    """Return the largest resident memory since it was reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


class Child:
    """A process that reads one case after the other, made anew when it dies or hangs."""

    def __init__(self, files: dict[str, bytes], seed: int, folder: str) -> None:
        self._arguments = files, seed, folder
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=read, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()
        self.number: int | None = None

    def close(self) -> None:
        """End the process."""
        self.pipe.close()
        self._process.kill()
        self._process.join()

    def give(self, number: int) -> None:
        """Give it a case."""
        self.number, self.since = number, time.monotonic()
        self.pipe.send(number)

    def answer(self) -> tuple[str, str, float, float, int] | None:
        """Return what became of its case, None while it is at work."""
        with contextlib.suppress(EOFError, OSError):
            if self.pipe.poll(0.01):
                return self.pipe.recv()  # type: ignore[no-any-return]
            if time.monotonic() - self.since < PATIENCE:
                return None
            self._process.kill()
        self._process.join()
        code = self._process.exitcode
        self.pipe.close()
        self._begin()
        return ("crashes", f"exit {code}", 0.0, 0.0, 0) if code != -9 else ("hangs", "", float(PATIENCE), 0.0, 0)


@dataclass(frozen=True)
class Sizes:
    """How many cases of which seed there are, and how many processes read them."""

    count: int = 20_000
    seed: int = 0
    workers: int = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the cases and print what became of them."""
    flags: dict[str, Any] = {"--keep": {"type": Path, "help": "folder for the files that did what none may do"}}
    run = begin(__doc__, arguments, Sizes(), Sizes(count=40, workers=1), flags)
    sizes, keep, report = run.sizes, run.options.keep, run.report("fuzz_pictures")
    files, outcomes, start = originals(), Counter[str](), time.perf_counter()
    of_format: dict[str, Counter[str]] = {}
    worst = {"time": (0.0, ""), "memory": (0.0, "")}
    with tempfile.TemporaryDirectory() as folder:
        waiting = iter(range(sizes.count))
        children = [Child(files, sizes.seed, folder) for _ in range(sizes.workers)]
        for child in children:
            child.give(next(waiting))
        while any(child.number is not None for child in children):
            for child in children:
                if (number := child.number) is None or (answer := child.answer()) is None:
                    continue
                outcome, words, seconds, megabytes, written = answer
                name, data = mutated(files, sizes.seed, number)
                outcomes[outcome] += 1
                of_format.setdefault(name.split()[0], Counter())[outcome] += 1
                over = [what for what, is_over in limits(seconds, megabytes, written).items() if is_over]
                outcomes.update(over)
                worst["time"] = max(worst["time"], (seconds, f"case {number}, {name}"))
                worst["memory"] = max(worst["memory"], (megabytes, f"case {number}, {name}"))
                if outcome not in ("read", "unreadable") or over:
                    print(
                        f"case {number}, {name}: {outcome} {over} {seconds:.1f} s {megabytes:.0f} MB\n{words[-1500:]}"
                    )
                    if keep:
                        keep.mkdir(exist_ok=True)
                        (keep / f"{sizes.seed}_{number}").write_bytes(data)
                child.number = None
                if (following := next(waiting, None)) is not None:
                    child.give(following)
        for child in children:
            child.close()
    report.say(f"{sizes.count:,} cases of seed {sizes.seed}, from {len(files)} pictures")
    report.say()
    for what in ("read", "unreadable", "other exceptions", "crashes", "hangs", *limits(0, 0, 0)):
        report.say(f"{what:18} {outcomes[what]:8,}")
    report.say()
    for name, counts in of_format.items():
        report.say(f"{name:18} {counts['read']:8,} read {counts['unreadable']:8,} unreadable")
    report.say()
    report.say(f"worst time         {worst['time'][0]:8.2f} s   {worst['time'][1]}")
    report.say(f"worst memory       {worst['memory'][0]:8,.0f} MB  {worst['memory'][1]}")
    print(f"{time.perf_counter() - start:.0f} s")
    report.save()


def limits(seconds: float, megabytes: float, written: int) -> dict[str, bool]:
    """Say which limits a case is over.  written : bytes that libraries wrote to stderr."""
    return {
        f"over {SECONDS:g} s": seconds > SECONDS,
        f"over {MEGABYTES:,} MB": megabytes > MEGABYTES,
        "raw on stderr": written > 0,
    }


if __name__ == "__main__":
    main()
