"""How large the page of very many scored rows of a table is, how long it takes to write, and how long until it answers.

Run: python benchmarks/table_report.py  (needs Playwright and Debian's Chromium: `make test-browser`)

A table made up: six columns of skewed numbers, three of categories and one of dates; its rows have names of 10 letters.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas
from playwright.sync_api import sync_playwright

import dn2
from common import Report
from dn2.report import contributions
from report import LIMIT_MB, LIMIT_SECONDS, seconds_to_answer

SIZES = (1_000, 10_000, 100_000)
REFERENCES = 10_000
OPENED = 5


def main() -> None:
    """Print size and times for each number of rows, and for the largest also as if every row were explained."""
    report = Report("table_report")
    report.say(f"10 columns, {REFERENCES:,} reference rows, 2 neighbours")
    report.say("  rows       explained      file      written in   page answers, median of 5")
    model = dn2.fit(made_up(REFERENCES, 0), id_column="name")
    most = contributions.MOST_EXPLAINED
    with tempfile.TemporaryDirectory() as target, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = Path(target, "page.html")
        for count in SIZES:
            results = model.score(made_up(count, REFERENCES))
            for explained in sorted({min(count, most), count if count == SIZES[-1] else min(count, most)}):
                contributions.MOST_EXPLAINED = explained
                start = time.perf_counter()
                results.to_html(page)
                written = time.perf_counter() - start
                size = page.stat().st_size / 1e6
                answers = statistics.median(seconds_to_answer(browser, page) for _ in range(OPENED))
                report.say(f"  {count:<10,} {explained:<10,} {size:8.1f} MB {written:10.1f} s   {answers:10.2f} s")
                if explained <= most:
                    assert size < LIMIT_MB, "the file is too large"
                    assert answers < LIMIT_SECONDS, "the page answers too late"
        browser.close()
    report.save()


def made_up(count: int, first: int) -> pandas.DataFrame:
    """Make so many rows, numbered from the first on."""
    rng = np.random.default_rng(first)
    names = [f"row-{number:06d}" for number in range(first, first + count)]
    numbers = {f"measure {n}": rng.lognormal(2, 1, count).round(3) for n in range(6)}
    places = {f"category {n}": rng.choice(["north", "south", "east", "west"], count) for n in range(3)}
    when = pandas.Timestamp("2025-01-01") + pandas.to_timedelta(rng.integers(0, 10**7, count), unit="s")
    return pandas.DataFrame({"name": names, **numbers, **places, "when": when})


if __name__ == "__main__":
    main()
