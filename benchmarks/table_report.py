"""How large the page of very many scored rows of a table is, how long it takes to write, and how long until it answers.

Run: python benchmarks/table_report.py  (needs Playwright and Debian's Chromium: `make test-browser`)

A table made up: six columns of skewed numbers, three of categories and one of dates; its rows have names of 10 letters.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas

import dn2
from common import begin, seconds
from dn2.report import shortening
from report import a_browser, claim_small, weigh


@dataclass(frozen=True)
class Sizes:
    """How much is measured: rows, reference rows, and how often a page is opened."""

    rows: tuple[int, ...] = (1_000, 10_000, 100_000)
    references: int = 10_000
    opened: int = 5


SMALLEST = Sizes(rows=(20,), references=60, opened=1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print size and times for each number of rows, and for the largest also as if every row were explained."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("table_report")
    report.say(f"10 columns, {sizes.references:,} reference rows, 2 neighbours")
    report.say(f"  rows       explained      file      written in   page answers, median of {sizes.opened}")
    model = dn2.fit(made_up(sizes.references, 0), id_column="name")
    most = shortening.MOST_EXPLAINED
    with tempfile.TemporaryDirectory() as target, a_browser() as browser:
        page = Path(target, "page.html")
        for count in sizes.rows:
            results = model.score(made_up(count, sizes.references))
            for explained in sorted({min(count, most), count if count == sizes.rows[-1] else min(count, most)}):
                shortening.MOST_EXPLAINED = explained
                written = seconds(partial(results.to_html, page))
                size, answers = weigh(browser, page, sizes.opened)
                report.say(f"  {count:<10,} {explained:<10,} {size:8.1f} MB {written:10.1f} s   {answers:10.2f} s")
                if explained <= most:
                    claim_small(report, size, answers)
    shortening.MOST_EXPLAINED = most
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
