"""Accept, warn or reject: decisions at a false-alarm rate, and at a laxer one to warn at."""

from __future__ import annotations

import math
from dataclasses import replace
from numbers import Real
from typing import TYPE_CHECKING

from dn2.errors import InputError
from dn2.neighbors.rates import last_rank
from dn2.system.interface import option

if TYPE_CHECKING:
    from dn2.results.rows import Row

ACCEPT, WARN, REJECT = "accept", "warn", "reject"
DECISIONS = (ACCEPT, WARN, REJECT)
ERROR, UNDECIDED = "error", "undecided"  # in place of a decision


def check_warn_rate(warn_rate: float | None, rate: float, steps: int | None, confidence: float | None = None) -> None:
    """Check a rate to warn at, None for none.

    rate : the attainable rate to reject at; steps : number m of calibrating items, where p-values go in steps of
    1 / (m + 1); confidence : that bounds the rate to reject at.
    Raises InputError unless it is laxer, by so much that there are p-values in between."""
    if warn_rate is None:
        return
    name = option("warn_rate")
    if confidence is not None:
        raise InputError(f"{option('confidence')} bounds one rate, {rate:g}, and no other: leave out {name}")
    if not isinstance(warn_rate, Real) or not rate < warn_rate < 1:
        got = f"{warn_rate:g}" if isinstance(warn_rate, Real) else repr(warn_rate)
        raise InputError(
            f"{name} must lie between the rate to reject at, {rate:g}, and 1, got {got}; ask for a laxer one"
        )
    if steps is None:
        return
    rank = last_rank(rate, steps)
    least = math.ceil(1e4 * (rank + 1) / (steps + 1)) / 1e4
    if last_rank(warn_rate, steps) == rank:
        raise InputError(
            f"{name} {warn_rate:g} warns of nothing that {rate:g} does not reject, since {steps:,} calibrating "
            f"items give p-values in steps of 1 / {steps + 1:,}; ask for {least:g}"
        )


def check_fixed(rate: float, fixed: float | None, confidence: float | None) -> None:
    """Raise InputError for another rate than the one that was fixed at fit, where a confidence bounds that one.

    fixed : None before any decision."""
    if confidence is not None and fixed is not None and rate != fixed:
        raise InputError(
            f"{option('confidence')} bounds one rate, {fixed:g}, which was fixed before any item was scored: fit with "
            f"{option('false_alarm_rate', f'{rate:g}')} for another"
        )


def decision_of(row: Row) -> str:
    """Return `accept`, `warn` or `reject`; `error` of an item that cannot be read, `undecided` without a p-value."""
    if row.error is not None:
        return ERROR
    if row.is_anomaly is None:
        return UNDECIDED
    return row.decision or (REJECT if row.is_anomaly else ACCEPT)


def decide(row: Row, rate: float, warn_rate: float | None = None) -> Row:
    """Decide on a row by its p-value, if it has one; without a rate to warn at there is no `decision`."""
    if row.p_value is None:
        return row
    flagged = row.p_value <= rate
    decision = None
    if warn_rate is not None:
        decision = REJECT if flagged else WARN if row.p_value <= warn_rate else ACCEPT
    return replace(row, is_anomaly=flagged, decision=decision)
