"""Very large pictures, compared patch by patch in tiles: what they cost, what is found in them, and whether tiles show.

Run: python benchmarks/patch_large.py [--only memory found tiles] [--folder FOLDER]

The pictures are made up: brushed metal, with light and noise of its own in each, JPEGs of quality 95 with sides as 4 to
3.  A scratch is 12 px long and 2 px wide, whatever the size of the picture.  Fits and scores run in processes of their
own, without a cache.  Of their peak memory that of one small picture is taken off, which is what dn2 takes by itself.
Seconds are those of the processors, all together: other programs hardly change them.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import dn2
from common import Report, Run, apart, begin, peak_memory
from dn2.arrays import Pixels
from dn2.kinds.image.patches import finding
from dn2.kinds.image.patches.embedder import PatchEmbedder
from dn2.networks import maps

PARTS_OF_RUN = ("tiles", "found", "memory")
LENGTH, WIDTH = 12, 2  # of a scratch, in pixels
BRIGHTER = 65  # grey values of a scratch above the metal
QUALITY = 95
SMALL = 256  # pixels: width of the picture whose peak memory is taken off
MOST_PIXELS = 100_000_000  # of many pictures that are scored together

Box = tuple[int, int, int, int]  # left, top, right and bottom; the last two are the first pixels behind it


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    only : parts of the benchmark; fitted : widths of pictures that are fitted, the last of which are scored, too.
    reference : pictures of a fit; planted : defects that are drawn there to see how small a one is found, at least.
    widths : of pictures whose cost is measured; many : of these, beside one alone, at most so many together.
    searched : width of pictures that scratches are looked for in, by the last model; scratched : how many, and as many
    without; clean : pictures without, of the size that was fitted.
    untiled : width of the picture that passes in one piece."""

    only: tuple[str, ...] = PARTS_OF_RUN
    fitted: tuple[int, ...] = (1_000, 2_000, 4_000)
    reference: int = 40
    planted: int = finding.LEAST_PLANTED
    widths: tuple[int, ...] = (1_000, 2_000, 4_000, 8_000)
    many: int = 6
    searched: int = 4_000
    scratched: int = 6
    clean: int = 20
    untiled: int = 2_048


SMALLEST = Sizes(
    fitted=(96,),
    reference=12,
    planted=1,
    widths=(96,),
    many=2,
    scratched=1,
    clean=1,
    untiled=64,
    only=("tiles", "memory"),
)


def height_of(width: int) -> int:
    """Return the height of a picture."""
    return 3 * width // 4


def named(width: int) -> str:
    """Name the size of a picture."""
    return f"{width:,} x {height_of(width):,}"


def metal(width: int, seed: int) -> Image.Image:
    """Make up a photo of brushed metal."""
    rng, height = np.random.default_rng(seed), height_of(width)
    lines = rng.normal(0, 7, (height, 1)) + rng.standard_normal((height, width), np.float32) * np.float32(4)
    light = 140 + np.linspace(-15, 15, width, dtype=np.float32) * rng.uniform(0.7, 1.3) + rng.uniform(-8, 8)
    pixels = (lines + light).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(0.7)).convert("RGB")


def write(folder: Path, width: int, seeds: Sequence[int]) -> list[Path]:
    """Write photos of metal, those that are not there yet."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{seed:05d}.jpg" for seed in seeds]
    for path, seed in zip(paths, seeds, strict=True):
        if not path.exists():
            metal(width, seed).save(path, quality=QUALITY)
    return paths


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of all processors that a call takes, and the peak memory of this process in MiB."""
    start = time.process_time()
    work()
    return time.process_time() - start, peak_memory()


# Fits


def fit(folder: Path, model: Path, rate: float, planted: int) -> tuple[float, float]:
    """Fit and save a model; see `measured`."""

    def work() -> None:
        fitted = dn2.fit(folder, patches=True, resolution="full", false_alarm_rate=rate, cache=False)
        fitted.save(model, overwrite=True)

    few = {} if planted >= finding.LEAST_PLANTED else {"MOST_PIXELS": 0, "LEAST_PLANTED": planted}
    with patch.multiple(finding, **few) if few else nullcontext():
        return measured(work)


def measure_fits(run: Run[Sizes], report: Report, folder: Path) -> Path:
    """Fit pictures of several sizes; return the model of the last."""
    sizes, rate = run.sizes, 0.5 if run.smallest else 0.05
    report.say(f"\nfits of {sizes.reference} pictures, with {sizes.planted} defects or more drawn into some:")
    for width in sizes.fitted:
        normal, model, figures = folder / f"normal-{width}", folder / f"{width}.dn2", folder / f"{width}.json"
        write(normal, width, range(sizes.reference))
        if not figures.exists():
            figures.write_text(json.dumps(apart(fit, normal, model, rate, sizes.planted, here=run.smallest)))
        taken, memory = json.loads(figures.read_text())
        per_megapixel = taken / (sizes.reference * width * height_of(width) / 1e6)
        report.say(f"  {named(width):>13}{taken:>8.0f} s{per_megapixel:>8.2f} s/megapixel{memory:>8.0f} MiB")
        report.save()
    return folder / f"{sizes.fitted[-1]}.dn2"


# Costs


def embed(paths: Sequence[Path]) -> tuple[float, float]:
    """Embed pictures; see `measured`."""
    embedder = PatchEmbedder(resolution=None, cache=False)
    assert embedder.networks
    return measured(lambda: sum(one.vector is not None for one in embedder.embed(paths)))


def score(model: Path, paths: Sequence[Path], maps_to: Path | None = None) -> tuple[float, float]:
    """Score pictures by a saved model, and perhaps write their maps; see `measured`."""
    opened = dn2.load(model, cache=False)
    return measured(lambda: opened.score(paths, maps=maps_to))


def show(model: Path, paths: Sequence[Path], page: Path) -> tuple[float, float]:
    """Score pictures, and write a page of them; see `measured`."""
    opened = dn2.load(model, cache=False)
    return measured(lambda: opened.score(paths).to_html(page))


def bytes_of_maps(width: int) -> float:
    """Return the bytes of the maps of a picture."""
    (network,) = PatchEmbedder(resolution=None, cache=False).networks
    places = [width * height_of(width) / stride**2 for stride in network.strides]
    return float(2 * np.dot(places, network.dimensions))


def measure_memory(run: Run[Sizes], report: Report, model: Path, folder: Path) -> None:
    """Embed and score pictures of all sizes, one of each and several together."""
    works: dict[str, Callable[..., tuple[float, float]]] = {
        "embed": embed,
        "score": partial(score, model),
        "score --maps": partial(score, model, maps_to=folder / "maps"),
        "score --report": partial(show, model, page=folder / "page.html"),
    }
    small = write(folder / f"{SMALL}", SMALL, [1])
    beside = {name: apart(work, small, here=run.smallest)[1] for name, work in works.items()}
    report.say(f"\ncosts; of one small picture: {', '.join(f'{name} {most:.0f} MiB' for name, most in beside.items())}")
    report.say(f"  {'pixels':>13}{'decoded':>9}{'maps':>6}  {'work':<15}{'s/megapixel':>12}{'MiB, one':>10}   together")
    for width in run.sizes.widths:
        pixels = width * height_of(width)
        count = max(2, min(run.sizes.many, MOST_PIXELS // pixels))
        paths = write(folder / f"{width}", width, range(1_000, 1_000 + count))
        for name, work in works.items():
            _, one = apart(work, paths[:1], here=run.smallest)
            taken, several = apart(work, paths, here=run.smallest)
            report.say(
                f"  {named(width):>13}{3 * pixels / 2**20:>9.0f}{bytes_of_maps(width) / 2**20:>6.0f}  {name:<15}"
                f"{taken / (count * pixels / 1e6):>12.2f}{one - beside[name]:>10.0f}"
                f"{several - beside[name]:>8.0f} of {count}"
            )
        report.save()


# What is found


def draw(picture: Image.Image, middle: tuple[float, float], turned: float) -> Box:
    """Draw a scratch into a picture; return its box."""
    mask, reach = Image.new("L", picture.size), LENGTH / 2 * np.array([math.cos(turned), math.sin(turned)])
    ImageDraw.Draw(mask).line([*(middle - reach), *(middle + reach)], 255, WIDTH)
    box = mask.getbbox()
    assert box is not None
    picture.paste(picture.crop(box).point(lambda value: min(255, value + BRIGHTER)), box, mask.crop(box))
    return box


def scratched(width: int, number: int) -> tuple[Image.Image, dict[str, Box]]:
    """Make up a photo with scratches: the box of each, by where it lies."""
    rng, picture = np.random.default_rng(number), metal(width, 5_000 + number)
    seen = 32 * round(height_of(width) / 32) / height_of(width)  # by which the network's picture is higher
    columns = maps.TILE * (1 + rng.permutation(width // maps.TILE))
    row = maps.TILE * int(rng.integers(1, height_of(width) // maps.TILE)) / seen
    half = maps.TILE / 2
    places = {
        "within a tile": (columns[0] - half, row - half),
        "across a border": (columns[1], row + half),
        "at a corner of four tiles": (columns[2], row),
        "at the picture's edge": (LENGTH, row - half),
    }
    return picture, {name: draw(picture, at, rng.uniform(0, math.pi)) for name, at in places.items()}


def find(model: Path, paths: Sequence[Path]) -> list[tuple[bool, list[Box]]]:
    """Score pictures: whether each is flagged, and the boxes of its regions."""
    rows = dn2.load(model, cache=False).score(paths)
    return [(bool(row.is_anomaly), [region.box for region in row.regions or ()]) for row in rows]


def measure_found(run: Run[Sizes], report: Report, model: Path, folder: Path) -> None:
    """Look for scratches in new pictures, and for regions in clean ones."""
    width, truths = run.sizes.searched, []  # type: int, list[dict[str, Box]]
    paths = [folder / f"scratched-{width}-{number}.jpg" for number in range(run.sizes.scratched)]
    for number, path in enumerate(paths):
        picture, boxes = scratched(width, number)
        picture.save(path, quality=QUALITY)
        truths.append(boxes)
    with_scratches = apart(find, model, paths, here=run.smallest)
    report.say(
        f"\nscratches of {LENGTH} x {WIDTH} px in {len(paths)} pictures of {named(width)} px, by the model of "
        f"{named(run.sizes.fitted[-1])} px at the rate 0.05:"
    )
    report.say(f"  {'where':<28}{'found':>10}{'within the box':>16}{'box, median':>16}")
    for name in truths[0]:
        hits = [
            (truth[name], max(near, key=partial(overlap, truth[name])))
            for truth, (_, boxes) in zip(truths, with_scratches, strict=True)
            if (near := [box for box in boxes if overlap(box, truth[name])])
        ]
        held = sum(overlap(box, truth) == area(truth) for truth, box in hits)
        across, down = np.median([(box[2] - box[0], box[3] - box[1]) for _, box in hits] or [(0, 0)], axis=0)
        report.say(
            f"  {name:<28}{f'{len(hits)} of {len(paths)}':>10}{f'{held} of {len(hits)}':>16}"
            f"{f'{across:.0f} x {down:.0f} px':>16}"
        )
    others = sum(
        not any(overlap(box, one) for one in truth.values())
        for truth, (_, boxes) in zip(truths, with_scratches, strict=True)
        for box in boxes
    )
    flagged = sum(is_anomaly for is_anomaly, _ in with_scratches)
    report.say(f"  flagged {flagged} of {len(paths)} of these pictures; other regions in them: {others}")
    for side, count in ((run.sizes.fitted[-1], run.sizes.clean), (width, len(paths))):
        without = apart(find, model, write(folder / f"{side}", side, range(1_000, 1_000 + count)), here=run.smallest)
        flagged, regions = sum(is_anomaly for is_anomaly, _ in without), [len(boxes) for _, boxes in without]
        report.say(
            f"  without a scratch, {named(side)} px: {flagged} of {count} flagged, {sum(map(bool, regions))} with a "
            f"region, {sum(regions)} regions"
        )


def area(box: Box) -> int:
    """Return the pixels of a box."""
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def overlap(one: Box, other: Box) -> int:
    """Return the pixels that two boxes share."""
    return area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))


# Tiles


def compare_tiles(model: Path, pixels: Pixels) -> list[tuple[str, float, float, float]]:
    """Compare the anomaly map of a picture in tiles with that in one piece: the arithmetic, the largest difference, the
    mean one, and the deviation of the map itself."""
    learnt, found = dn2.load(model, cache=False).kind.patches, []
    for precision in ("f32", "auto"):
        (network,) = PatchEmbedder(resolution=None, cache=False, precision=precision).networks
        in_tiles = learnt.anomaly_map(learnt.compare(network.embed([pixels])))
        with patch.object(maps, "_cut", lambda side, tile, margin: [(0, side)]):
            whole = learnt.anomaly_map(learnt.compare(network.embed([pixels])))
        apart_by = np.abs(in_tiles - whole)
        found.append((network.precision, float(apart_by.max()), float(apart_by.mean()), float(whole.std())))
    return found


def measure_tiles(run: Run[Sizes], report: Report, model: Path) -> None:
    """Compare the map of a large picture with that of the same in one piece."""
    width = run.sizes.untiled
    pixels = np.asarray(metal(width, 1).convert("RGB"))
    report.say(
        f"\nanomaly maps of {named(width)} px in tiles of {maps.TILE} px and {maps.MARGIN} px around, and in one:"
    )
    for name, largest, mean, deviation in apart(compare_tiles, model, pixels, here=run.smallest):
        report.say(
            f"  {name:<6}differ by {largest:.4f} at most, {mean:.4f} in the mean; deviation of the map {deviation:.3f}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all parts, and keep the result after each."""
    words = "where pictures and models are written, and those that are there used; by default nowhere"
    run = begin(__doc__, arguments, Sizes(), SMALLEST, {"--folder": {"type": Path, "help": words}})
    report, given = run.report("patch_large"), run.options.folder
    with tempfile.TemporaryDirectory() if given is None else nullcontext(given) as folder:
        where = Path(folder)
        where.mkdir(exist_ok=True)
        model = measure_fits(run, report, where)
        parts = {
            "tiles": partial(measure_tiles, run, report, model),
            "found": partial(measure_found, run, report, model, where),
            "memory": partial(measure_memory, run, report, model, where),
        }
        for name in parts:
            if name in run.sizes.only:
                parts[name]()
                report.save()


if __name__ == "__main__":
    main()
