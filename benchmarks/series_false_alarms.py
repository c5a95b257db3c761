"""False alarms asked and got on series: the share of intervals of normal series that are flagged.

Run: python benchmarks/series_false_alarms.py

Made series are stationary: a beat with autocorrelated noise, 200 draws of a reference and of a new series.  Real ones
are the parts without a labelled anomaly of NAB's series that have at least 1,600 points in a row, and SKAB's series
without anomalies: the first half is the reference, the second is new.  Windows are 50 points, so that there are enough
intervals; a reference that is cut into m of them flags nothing at a rate below 1 / (m + 1).  Intervals of one series
are not independent, and series differ much: what is printed is the mean over series, and its standard error.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import lfilter

import dn2
from common import Report, begin
from series_planted import normal_part

WINDOW = 50
RATES = (0.05, 0.1, 0.2)

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Sizes:
    """How much is measured: made series and their points, parts of SKAB, and the points that a part must have."""

    draws: int = 200
    points: int = 4_000
    parts: int = 8
    least: int = 1_600


SMALLEST = Sizes(draws=2, points=800, parts=2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rates got, and the excess over what was asked."""
    logging.getLogger("dn2").setLevel(logging.ERROR)
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("series_false_alarms")
    report.say(f"windows of {WINDOW} points; the mean share of intervals flagged, its standard error, the excess")
    report.say(f"  {'':<30}{'intervals':>10}  " + "".join(f"{f'asked {rate}':<30}" for rate in RATES))
    points, parts = sizes.points, sizes.parts
    pairs = [(made(points, 2 * n), made(points, 2 * n + 1)) for n in range(sizes.draws)]
    say(report, f"{sizes.draws} made series of {points:,}", pairs)
    with np.load(run.need("nab/nab.npz")) as arrays:
        names = [name.removesuffix("/v") for name in arrays.files if name.startswith("real") and name.endswith("/v")]
        normal = [normal_part(arrays[f"{name}/v"], arrays[f"{name}/window"]) for name in names]
    real = [halves(part) for part in normal if len(part) >= sizes.least]
    say(report, f"{len(real)} real series of NAB", real)
    with np.load(run.need("skab/skab.npz")) as arrays:
        rows = arrays["anomaly-free/anomaly-free/X"].astype(np.float64)
    say(report, f"{parts} parts of SKAB, 8 sensors", [halves(one) for one in np.array_split(rows, parts)])
    report.save()


def made(points: int, seed: int) -> Values:
    """Make a stationary series."""
    rng = np.random.default_rng(seed)
    beat = np.sin(2 * np.pi * (np.arange(points) + rng.integers(40)) / 40)
    noise: Values = lfilter([1], [1, -0.9], 0.2 * rng.normal(size=points))
    return beat + noise


def halves(values: Values) -> tuple[Values, Values]:
    """Cut a series in the middle."""
    return values[: len(values) // 2], values[len(values) // 2 :]


def say(report: Report, name: str, pairs: list[tuple[Values, Values]]) -> None:
    """Print what comes out on average over pairs of a reference and a new series."""
    shares, count = [], 0
    for reference, new in pairs:
        results = dn2.fit(reference, kind="series", window=WINDOW).score(new)
        p_values = np.array([row.p_value for row in results])
        count += len(p_values)
        shares.append([(p_values <= rate).mean() for rate in RATES])
    got = np.array(shares)
    errors = got.std(axis=0, ddof=1) / math.sqrt(len(got))
    words = [f"{m:.3f} +- {e:.3f}, {m - rate:+.3f}" for m, e, rate in zip(got.mean(axis=0), errors, RATES, strict=True)]
    report.say(f"  {name:<30}{count:>10,}  " + "".join(f"{one:<30}" for one in words))


if __name__ == "__main__":
    main()
