"""How large the page of very many scored items is, how long it takes to write, and how long until it answers.

Run: python benchmarks/report.py  (needs Playwright and Debian's Chromium: `make test-browser`)

Real pictures of CIFAR-10, enlarged to photographs of 640 x 480; the scores and neighbours of the items are drawn at
random, and their names are as long as those of real files.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from common import Report, unpacked
from dn2.embed.images import read_small
from dn2.embed.network import cpu_count
from dn2.evidence import MOST_ON_MAP, PICTURE_SIZE
from dn2.report.results_page import Map, Surroundings, write_results_page
from dn2.store.results import Results
from dn2.store.rows import Neighbor, Row

SIZES = (1_000, 10_000, 100_000)
REFERENCES = 10_000
K = 2
PHOTOGRAPHS = 400
OPENED = 5
LIMIT_MB, LIMIT_SECONDS = 30, 2.0


def main() -> None:
    """Print size and times for each number of items."""
    report = Report("report")
    report.say(f"{K} neighbours each among {REFERENCES:,} reference items; pictures of {PICTURE_SIZE} pixels")
    report.say("  items      file      written in   data parsed and page answers, median of 5")
    with unpacked("cifar10/cifar10_png_35k.zip") as folder, tempfile.TemporaryDirectory() as target:
        photographs = enlarged(sorted((folder / "test").rglob("*.png"))[:: 10_000 // PHOTOGRAPHS], Path(target))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for count in SIZES:
                page = Path(target, "page.html")
                results, around = made_up(count, photographs)
                start = time.perf_counter()
                write_results_page(page, results, around)
                written = time.perf_counter() - start
                size = page.stat().st_size / 1e6
                answers = statistics.median(seconds_to_answer(browser, page) for _ in range(OPENED))
                report.say(f"  {count:<10,} {size:5.1f} MB {written:10.1f} s   {answers:10.2f} s")
                assert size < LIMIT_MB, "the file is too large"
                assert answers < LIMIT_SECONDS, "the page answers too late"
            browser.close()
    report.save()


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


def made_up(count: int, photographs: list[Path]) -> tuple[Results, Surroundings]:
    """Make results of so many items."""
    rng = np.random.default_rng(0)
    reference = np.sort(rng.gamma(4, size=REFERENCES))
    scores = rng.gamma(4.4, size=count)
    p_values = (1 + REFERENCES - np.searchsorted(reference, scores)) / (REFERENCES + 1)
    near = rng.integers(REFERENCES, size=(count, K))
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

    def pictures(names: list[str]) -> dict[str, bytes]:
        chosen = [photographs[place % len(photographs)] for place in range(len(names))]
        with ThreadPoolExecutor(cpu_count()) as pool:
            read = pool.map(lambda path: read_small(path, PICTURE_SIZE) or b"", chosen)
            return dict(zip(names, read, strict=True))

    shown = min(count, MOST_ON_MAP)
    drawn = Map(rng.normal(size=(MOST_ON_MAP, 2)), rng.normal(size=(shown, 2)), range(shown))
    around = Surroundings(reference, [("made up", "yes")], [], pictures, pictures, map=drawn)
    return Results(rows, 0.01, REFERENCES), around


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
