"""Which columns of a table are sensors, and how sensors of different rates are brought together."""

from __future__ import annotations

import re

import numpy as np

from dn2.arrays import Numbers

# Names of columns that name or label rows, if these are whole numbers.
NAMES_ROWS = re.compile(r"(^|[^a-z])(id|uuid|guid|index|key|label|target|class|anomaly|outlier)$", re.IGNORECASE)
SLOWER = 1.5  # how many times the usual step of the stamps apart the values of a slow sensor are, at least
REGULAR = 0.8  # of a slow sensor's steps, so many are the same
FEWEST = 3  # values by which a rate is told


def why_no_sensor(name: str, numbers: Numbers) -> str | None:
    """Say why a column of numbers, (n,), is no sensor unless it is asked for; None for a sensor."""
    present = numbers[np.isfinite(numbers)]
    if not len(present):
        return "no value"
    if not (present == np.rint(present)).all():
        return None
    if len(present) == len(numbers) > FEWEST and (np.diff(present) == 1).all():
        return "it counts the rows"
    return "it names or labels rows" if NAMES_ROWS.search(name) and len(np.unique(present)) < len(present) / 2 else None


def hold_slow_sensors(times: Numbers, values: Numbers) -> tuple[Numbers, list[int]]:
    """Let the last value of a sensor hold until its next where it reports regularly and less often than there are rows.

    times : (n,) ascending; values : (n, c), NaN where a sensor does not report.
    Returns the values, and the places of the sensors that are slow."""
    held, slow = values, []
    times = times / 2  # of which differences do not overflow
    usual = np.median(np.diff(times)) if len(times) > 1 else 0.0
    for place, column in enumerate(values.T):
        there = np.flatnonzero(np.isfinite(column))
        steps = np.diff(times[there])
        if len(there) < FEWEST or len(there) == len(times):
            continue
        own = float(np.median(steps))
        if own < SLOWER * usual or np.mean(np.abs(steps - own) < usual / 2) < REGULAR:
            continue
        last = there[np.maximum(np.searchsorted(there, np.arange(len(times)), side="right") - 1, 0)]
        age = times - times[last]
        held = held.copy() if held is values else held
        held[:, place] = np.where((age >= 0) & (age < own), column[last], np.nan)
        slow.append(place)
    return held, slow
