"""How large the page of very many scored items is, how long it takes to write, and how long until it answers.

Run: python benchmarks/report.py  (needs Playwright and Debian's Chromium: `make test-browser`)

Real pictures of CIFAR-10, enlarged to photographs of 640 x 480; the scores and neighbours of the items are drawn at
random, and their names are as long as those of real files.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from common import CIFAR10, Missing, Report, begin, seconds
from dn2 import Neighbor, Results, Row
from dn2.kinds.image.page import Section
from dn2.neighbors.calibration import Calibration
from dn2.networks.pixels import THUMBNAIL_SIZE, read_small
from dn2.report.around import Map, PageContext
from dn2.report.results_page import write_results_page
from dn2.system.processes import cpu_count

if TYPE_CHECKING:
    from playwright.sync_api import Browser

K = 2
ON_MAP = 2_500  # items, and as many reference items, as dn2 draws at most
LIMIT_MB, LIMIT_SECONDS, LARGEST_CLAIMED = 30, 2.0, 100_000


@dataclass(frozen=True)
class Sizes:
    """How much is measured: items, reference items, photographs, and how often a page is opened."""

    items: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    references: int = 10_000
    photographs: int = 400
    opened: int = 5


SMALLEST = Sizes(items=(20,), references=30, photographs=4, opened=1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print size and times for each number of items."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("report")
    report.say(f"{K} neighbours each among {sizes.references:,} reference items; pictures of {THUMBNAIL_SIZE} pixels")
    report.say(f"  items      file      written in   data parsed and page answers, median of {sizes.opened}")
    with run.unpacked(CIFAR10) as folder, tempfile.TemporaryDirectory() as target, a_browser() as browser:
        paths = sorted((folder / "test").rglob("*.png"))
        photographs = enlarged(paths[:: len(paths) // sizes.photographs], Path(target))
        for count in sizes.items:
            page = Path(target, "page.html")
            results, around = made_up(count, sizes.references, photographs)
            written = seconds(partial(write_results_page, page, results, around))
            size, answers = weigh(browser, page, sizes.opened)
            report.say(f"  {count:<10,} {size:5.1f} MB {written:10.1f} s   {answers:10.2f} s")
            if count <= LARGEST_CLAIMED:
                claim_small(report, size, answers)
    report.save()


@contextlib.contextmanager
def a_browser() -> Iterator[Browser]:
    """Start Chromium.  Raises Missing."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        raise Missing("Chromium is not installed; run: make test-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def weigh(browser: Browser, page: Path, opened: int) -> tuple[float, float]:
    """Return the size of a page in MB, and the median of the seconds until it answers."""
    return page.stat().st_size / 1e6, statistics.median(seconds_to_answer(browser, page) for _ in range(opened))


def claim_small(report: Report, size: float, answers: float) -> None:
    """Raise AssertionError if a page is too large or too slow."""
    report.claim(size < LIMIT_MB, "the file is too large")
    report.claim(answers < LIMIT_SECONDS, "the page answers too late")


def enlarged(paths: list[Path], folder: Path) -> list[Path]:
    """Write pictures as JPEGs of 640 x 480 with a little noise, which no compression swallows."""
    rng = np.random.default_rng(0)
    written = []
    for number, path in enumerate(paths):
        pixels = np.asarray(Image.open(path).convert("RGB").resize((640, 480), Image.Resampling.BICUBIC), float)
        noisy = np.clip(pixels + rng.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)
        written.append(folder / f"{number}.jpg")
        Image.fromarray(noisy).save(written[-1], quality=90)
    return written


class Photographs:
    """Takes one photograph after the other for any names; see `dn2.kinds.exchange.Pictures`."""

    def __init__(self, photographs: list[Path]) -> None:
        self.photographs = photographs

    def of_items(self, names: Sequence[str]) -> dict[str, bytes]:
        """Read a picture for each name."""
        chosen = [self.photographs[place % len(self.photographs)] for place in range(len(names))]
        with ThreadPoolExecutor(cpu_count()) as pool:
            read = pool.map(lambda path: read_small(path) or b"", chosen)
            return dict(zip(names, read, strict=True))

    of_reference = of_items

    def large_of_items(self, names: Sequence[str]) -> dict[str, bytes]:
        """Give each photograph whole."""
        chosen = [self.photographs[place % len(self.photographs)] for place in range(len(names))]
        return {name: path.read_bytes() for name, path in zip(names, chosen, strict=True)}

    large_of_reference = large_of_items


def made_up(count: int, references: int, photographs: list[Path]) -> tuple[Results, PageContext]:
    """Make results of so many items."""
    rng = np.random.default_rng(0)
    reference = np.sort(rng.gamma(4, size=references))
    scores = rng.gamma(4.4, size=count)
    p_values = (1 + references - np.searchsorted(reference, scores)) / (references + 1)
    near = rng.integers(references, size=(count, K))
    rows = [
        Row(
            f"line-3/2026-11-{number % 30 + 1:02}/camera-2/IMG_{number:08}.jpg",
            float(scores[number]),
            float(p_values[number]),
            bool(p_values[number] <= 0.01),
            tuple(
                Neighbor(f"good/2026-10/IMG_{place:08}.jpg", float(scores[number] + n)) for n, place in enumerate(ids)
            ),
        )
        for number, ids in enumerate(near.tolist())
    ]

    shown = min(count, ON_MAP)
    drawn = Map(rng.normal(size=(ON_MAP, 2)), rng.normal(size=(shown, 2)), range(shown))
    section = partial(Section, pictures=Photographs(photographs))
    calibration = Calibration(reference, references)
    paths = [f"/data/incoming/{row.item}" for row in rows]
    around = PageContext(reference, calibration, [("made up", "yes")], [], section=section, map=drawn, paths=paths)
    return Results(rows, 0.01, references, nouns=("image", "images")), around


def seconds_to_answer(browser: Browser, path: Path) -> float:
    """Open a page in a fresh window and return when its script has set everything up and the browser has drawn it."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(path.as_uri())
    seconds: float = page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now() / 1000))))"
    )
    page.close()
    return seconds


if __name__ == "__main__":
    main()
