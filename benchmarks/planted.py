"""Whether the column that was made wrong is named first: held-out normal rows of ADBench, one value of each planted.

Run: python benchmarks/planted.py

A value is planted beyond the reference values of its column, above the largest or below the smallest by the share of
their range that is printed; columns and sides are drawn at random, columns that dn2 leaves out are not.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import dn2
from common import begin

BEYOND = (0.5, 1.0, 3.0)
MOST_REFERENCE = 5_000


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    planted: int = 500


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how often the planted column comes first."""
    run = begin(__doc__, arguments, Sizes(), Sizes(planted=10))
    report = run.report("planted")
    report.say("share of planted rows whose planted column has the largest share of the score, in %")
    report.say(f"  {'set':<22}{'columns':>8}" + "".join(f"{f'{beyond:g} x range':>14}" for beyond in BEYOND))
    found = []
    with open(run.need("tabular_adbench/list.csv"), newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    for name in names:
        with np.load(run.need(f"tabular_adbench/{name}")) as arrays:
            normal = arrays["X"][arrays["y"] == 0].astype(np.float64)
        rng = np.random.default_rng(0)
        normal = normal[rng.permutation(len(normal))]
        reference, held_out = np.split(normal, [min(len(normal) // 2, MOST_REFERENCE)])
        model = dn2.fit(columns(reference))
        first = [named_first(model, reference, held_out[: run.sizes.planted], beyond, rng) for beyond in BEYOND]
        found.append(first)
        shares = "".join(f"{100 * share:14.1f}" for share in first)
        report.say(f"  {name.removesuffix('.npz'):<22}{normal.shape[1]:>8}{shares}")
    report.say(f"  {'mean':<30}" + "".join(f"{100 * share:14.1f}" for share in np.mean(found, axis=0)))
    report.save()


def columns(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Name the columns of rows, (n, d)."""
    return {f"column {number}": column for number, column in enumerate(rows.T)}


def named_first(
    model: dn2.Model, reference: np.ndarray, rows: np.ndarray, beyond: float, rng: np.random.Generator
) -> float:
    """Plant a value in each row and return the share of them that the first column named explains."""
    compared = [int(column.name.split()[1]) for column in model.embedder.columns]
    places = rng.choice(compared, len(rows))
    low, high = reference.min(axis=0), reference.max(axis=0)
    above, below = high + beyond * (high - low), low - beyond * (high - low)
    planted = rows.copy()
    planted[np.arange(len(rows)), places] = np.where(rng.random(len(rows)) < 0.5, above[places], below[places])
    named = [row.columns[0].column for row in model.score(columns(planted))]
    return float(np.mean([name == f"column {place}" for name, place in zip(named, places, strict=True)]))


if __name__ == "__main__":
    main()
