"""The p-values of a calibration as a table, which needs no dn2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dn2.errors import InputError
from dn2.kinds.exchange import ReferenceItem
from dn2.neighbors.calibration import Calibration
from dn2.neighbors.membership import keys_of_texts

HOW = (
    "The p-value of a score is p_values[i], where i counts the scores here that are smaller: of m calibrating items it "
    "is (1 + the number of scores as large) / (m + 1), and what parts or a confidence make of that is in the table.",
    "An item is an anomaly if its p-value is at most the false_alarm_rate.",
)
HOW_PARTS = (
    "It is that of an item of a new part: of an item of a part that is in the reference set dn2 leaves this part out, "
    "which these files do not."
)
HOW_STRATA = "Each product, line or camera has a table of its own, by name; an item of any other is not decided."


def as_table(calibration: Calibration, rate: float, items: Sequence[ReferenceItem]) -> dict[str, Any]:
    """Return what turns a score into a p-value and a decision.  Raises InputError for ties broken by chance."""
    if calibration.is_smoothed:
        raise InputError(
            "ties that are broken by chance (smooth) are drawn by the names of items, which exported files do not see; "
            "fit without it"
        )
    about: dict[str, Any] = {
        "method": calibration.method,
        "false_alarm_rate": rate,
        "confidence": calibration.confidence,
        "n_reference": calibration.n_reference,
        "n_parts": calibration.n_parts,
        "how": [*HOW, *([HOW_PARTS] if calibration.n_parts else []), *([HOW_STRATA] if calibration.strata else [])],
    }
    if not calibration.strata:
        return about | _steps(calibration, rate)
    names = sorted({item.per for item in items if item.per})
    keys = dict(zip(names, keys_of_texts(names).tolist(), strict=True))
    return about | {"per": {name: _steps(calibration.strata[key], rate) for name, key in keys.items()}}


def _steps(calibration: Calibration, rate: float) -> dict[str, Any]:
    """Return scores, ascending, each once, and p-values, one more: of a score up to the first, ..., above the last."""
    scores = np.unique(calibration.scores)
    return {
        "sample_size": calibration.sample_size,
        "threshold": calibration.threshold(rate),
        "scores": scores.tolist(),
        "p_values": calibration.p_value(np.append(scores, np.inf)).tolist(),
    }
