"""False alarms asked and got on tables: random draws of reference and held-out normal rows of ten ADBench sets.

Run: python benchmarks/table_false_alarms.py

Of n reference rows half calibrate, m = n / 2, and the rule should give floor(a (m + 1)) / (m + 1) on average, and never
more than a beyond chance; less, where many rows are equal.  The sets are the first ten of the list with enough normal
rows.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import dn2
from common import Report, begin

RATES = (0.01, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Sizes:
    """How much is measured: sets, draws, and in each the reference rows and the held-out normal ones."""

    sets: int = 10
    draws: int = 200
    reference: int = 398
    tested: int = 500


SMALLEST = Sizes(sets=1, draws=2, reference=40, tested=20)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rates got for each set, and over all, with standard errors over draws."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("table_false_alarms")
    each = sizes.reference + sizes.tested
    with open(run.need("tabular_adbench/list.csv"), newline="") as file:
        listed = [row for row in csv.DictReader(file) if int(row["n"]) - int(row["anomalies"]) >= each]
    report.say(
        f"{sizes.draws} draws of {sizes.reference} reference rows, {sizes.tested} held-out normal rows each, dn2's "
        "defaults"
    )
    report.say(f"  {'set':<22}" + "".join(f"{f'asked {rate}':<20}" for rate in RATES))
    of_sets = []
    for row in listed[: sizes.sets]:
        with np.load(run.need(f"tabular_adbench/{row['file']}")) as arrays:
            normal = arrays["X"][arrays["y"] == 0].astype(np.float64)
        rng = np.random.default_rng(0)
        chosen = [rng.permutation(len(normal))[:each] for _ in range(sizes.draws)]
        got = np.array([draw(normal[places], sizes.reference) for places in chosen])
        of_sets.append(got)
        say(report, row["file"].removesuffix(".npz"), got)
        for rate, values in zip(RATES, got.T, strict=True):
            most = rate + 3 * values.std(ddof=1) / math.sqrt(sizes.draws)
            report.claim(values.mean() <= most, "more alarms than asked for")
    say(report, "all", np.mean(of_sets, axis=0))
    m = sizes.reference // 2
    expected = [math.floor(rate * (m + 1) + 1e-9) / (m + 1) for rate in RATES]
    report.say(f"  {'expected without ties':<22}" + "".join(f"{rate:<20.4f}" for rate in expected))
    report.say("None is more than three standard errors above what was asked.")
    report.save()


def draw(rows: np.ndarray, n: int) -> list[float]:
    """Fit on the first rows and return the share of the others flagged at each rate."""
    columns = {f"column {number}": column for number, column in enumerate(rows.T)}
    model = dn2.fit({name: column[:n] for name, column in columns.items()})
    results = model.score({name: column[n:] for name, column in columns.items()})
    p_values = np.array([row.p_value for row in results])
    return [float((p_values <= rate).mean()) for rate in RATES]


def say(report: Report, name: str, got: np.ndarray) -> None:
    """Print means and standard errors over draws, (draws, rates)."""
    errors = got.std(axis=0, ddof=1) / math.sqrt(len(got))
    words = "".join(f"{f'{m:.4f} +- {e:.4f}':<20}" for m, e in zip(got.mean(axis=0), errors, strict=True))
    report.say(f"  {name:<22}{words}")


if __name__ == "__main__":
    main()
