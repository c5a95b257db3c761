"""A model of series, and the basis of its p-values, in words that an inspector understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dn2.kinds.series.stamps import NUMBERS, UNITS, step_in_words
from dn2.neighbors.calibration import Calibration

AMONG_THEMSELVES = [
    "The series are compared with themselves, each window with those that do not overlap it.",
    "A p-value is the share of all intervals that score as high. A rate therefore flags that share of them, whatever "
    "they are: it ranks intervals, and does not say that any is an anomaly.",
]


def say(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name what the model is made of; about : what `Model.describe` returns."""
    columns = about["embedder"]["columns"]
    identifier = "" if about["id_column"] is None else f", named by {about['id_column']}"
    return [
        ("kind", f"windows of series{identifier}"),
        ("reference items", f"{about['calibration']['n_reference']:,}"),
        ("window", window(about)),
        ("values", ", ".join(columns[:10]) + (f" and {len(columns) - 10:,} more" if len(columns) > 10 else "")),
    ]


def window(about: Mapping[str, Any]) -> str:
    """Say how long windows are, and how far apart their points; about : as `describe` of the kind gives it."""
    embedder = about["embedder"]
    stamps = "one a row"
    if about["stamps"] is not None:
        apart = step_in_words(embedder["step"], in_seconds=about["stamps"] != NUMBERS)
        counted = f" ({about['stamps']} since 1970)" if about["stamps"] in UNITS else ""
        stamps = f"by {about['time'] or 'their index'}{counted}, {apart} apart"
    return f"{embedder['window']:,} points, {stamps}"


def assumptions(calibration: Calibration) -> list[str]:
    """Say which assumptions the false-alarm rate of intervals makes."""
    words = [
        "The rate is the share of intervals of normal series that are flagged, not of points or windows.",
        "It is measured, not guaranteed, which would take intervals that are exchangeable: a series that drifts, or has"
        " seasons longer than the reference, gives more alarms.",
        f"An interval is compared with the {calibration.sample_size:,} that the reference series are cut into, about"
        f" {calibration.window:,} points long or longer; their windows are compared with those that do not overlap"
        " them.",
    ]
    if calibration.measured is None:
        return [*words, "The series are too short to measure how many more alarms there are."]
    n, flagged, rate, windows = calibration.measured
    which = "windows" if windows >= calibration.n_reference - 1 else f"{windows:,} first windows"
    words.append(
        f"Measured: with the first half of the {which} as reference, {flagged:,} of {n:,} intervals of the second"
        f" half are flagged at a rate of {rate:.2g}; {n * rate:.2g} are to be expected."
    )
    return words
