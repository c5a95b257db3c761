"""How long fit and score take on a large table, and how much memory: 1,000,000 rows of 30 columns by default.

Run: python benchmarks/table_size.py [--rows 1000000] [--queries 100000]

The rows are made: 26 columns of numbers from ten clusters, skewed and heavy-tailed ones among them, three columns of
categories and one of dates, with 2 % missing.  Each command is a process of its own, timed whole.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import Report, begin, run_dn2

CLUSTERS = 10
NUMBERS = 26
CATEGORIES = (["red", "green", "blue"], [f"city {number}" for number in range(40)], ["yes", "no"])
AT_ONCE = 10_000


@dataclass(frozen=True)
class Sizes:
    """How many rows are fitted and scored."""

    rows: int = 1_000_000
    queries: int = 100_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Print time and memory of each command."""
    run = begin(__doc__, arguments, Sizes(), Sizes(rows=300, queries=20))
    options, report, here = run.sizes, run.report("table_size"), run.smallest
    with tempfile.TemporaryDirectory() as folder:
        reference, queries = Path(folder, "reference.csv"), Path(folder, "queries.csv")
        write_table(reference, options.rows, seed=1)
        write_table(queries, options.queries, seed=2)
        report.say(f"{options.rows:,} rows of {NUMBERS + len(CATEGORIES) + 1} columns, {size(reference)} of CSV")
        model, results = str(Path(folder, "model.dn2")), str(Path(folder, "results.csv"))
        fit, score = ["fit", str(reference), "-o", model], ["score", model, str(queries), "-o", results]
        total = say_cost(report, f"fit {options.rows:,} rows", fit, here=here)
        total += say_cost(report, f"score {options.queries:,} rows", score, here=here)
        report.say(f"{'in all':<24}{total:8.1f} s")
        report.say(f"the model: {size(Path(model))}; results: {size(Path(results))}")
    report.save()


def write_table(path: Path, rows: int, seed: int) -> None:
    """Write a table of made rows as CSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([f"number {column}" for column in range(NUMBERS)] + ["color", "city", "paid", "born"])
        writer.writerows(made(rows, seed))


def made(rows: int, seed: int) -> Iterator[list[str]]:
    """Make rows, of the same clusters for any seed."""
    shape = np.random.default_rng(0)
    centres = 3 * shape.normal(size=(CLUSTERS, NUMBERS))
    mixing = shape.normal(size=(CLUSTERS, 8, NUMBERS))
    kinds = [shape.integers(len(names), size=CLUSTERS) for names in CATEGORIES]
    rng = np.random.default_rng(seed)
    for start in range(0, rows, AT_ONCE):
        n = min(AT_ONCE, rows - start)
        cluster = rng.integers(CLUSTERS, size=n)
        numbers = centres[cluster] + np.einsum("ni,nij->nj", rng.normal(size=(n, 8)), mixing[cluster])
        numbers += 0.3 * rng.normal(size=numbers.shape)
        numbers[:, ::5] = np.exp(numbers[:, ::5] / 2)
        texts = np.char.mod("%.5g", numbers).astype(object)
        texts[rng.random(texts.shape) < 0.02] = ""
        usual = rng.random((n, len(CATEGORIES))) < 0.8
        named = [
            np.array(names)[np.where(usual[:, place], kinds[place][cluster], rng.integers(len(names), size=n))]
            for place, names in enumerate(CATEGORIES)
        ]
        born = np.datetime_as_string(np.datetime64("1950-01-01") + rng.integers(0, 20_000, n))
        yield from np.column_stack([texts, *named, born]).tolist()


def say_cost(report: Report, what: str, words: list[str], *, here: bool) -> float:
    """Run a command of dn2, print how long it took and its peak memory, and return the seconds."""
    seconds, memory = run_dn2(words, here=here)
    report.say(f"{what:<24}{seconds:8.1f} s{memory:8.2f} GiB")
    return seconds


def size(path: Path) -> str:
    """Say how large a file or a folder is."""
    files = path.iterdir() if path.is_dir() else [path]
    return f"{sum(file.stat().st_size for file in files) / 2**20:,.0f} MiB"


if __name__ == "__main__":
    main()
