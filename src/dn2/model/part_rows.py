"""One decision a part: its largest score, ranked among the largest scores of the parts that calibrate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dn2.arrays import Scores
from dn2.kinds.scoring import chances_of
from dn2.model.state import State
from dn2.neighbors.calibration import Calibration
from dn2.neighbors.membership import keys_of_texts
from dn2.results.rows import Row


def rows_of_parts(now: State, rows: Sequence[Row]) -> list[Row]:
    """Give a row for each part of some scored rows, in the order of their first items: that of its strangest item,
    with the part's own p-value, not yet decided."""
    by_part: dict[tuple[str, str | None], list[Row]] = {}
    for row in rows:
        if row.part is not None and row.anomaly_score is not None:
            by_part.setdefault((row.part, row.per), []).append(row)
    names = [part if per is None else f"{part} ({per})" for part, per in by_part]
    largest = [max(of_part, key=lambda row: row.anomaly_score or 0.0) for of_part in by_part.values()]
    parts = [
        replace(row, item=name, p_value=None, items=len(of_part))
        for row, name, of_part in zip(largest, names, by_part.values(), strict=True)
    ]
    p_values = p_values_of(now, of_parts(now.calibration), parts).tolist()
    return [
        row if np.isnan(p_value) else replace(row, p_value=p_value)
        for row, p_value in zip(parts, p_values, strict=True)
    ]


def p_values_of(now: State, calibration: Calibration, rows: Sequence[Row]) -> Scores:
    """Return the p-values of scored rows, (n,), by their scores, names and strata; NaN where there is none."""
    scored = [row for row in rows if row.error is None]
    scores = np.array([row.anomaly_score for row in scored], np.float64)
    strata = None if not calibration.strata else keys_of_texts([row.per or "" for row in scored])
    return calibration.p_value(scores, strata, chances_of(now.detector, [row.item for row in scored]))


def of_parts(calibration: Calibration) -> Calibration:
    """Return what calibrates whole parts, by stratum where there are any."""
    assert calibration.of_parts is not None
    if calibration.strata is None:
        return calibration.of_parts
    strata = calibration.strata.items()
    by_stratum = {key: stratum.of_parts for key, stratum in strata if stratum.of_parts is not None}
    return replace(calibration.of_parts, strata=by_stratum)
