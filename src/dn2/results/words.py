"""Words for rates and results, the same on pages, in notebooks and in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence


def rate_in_words(rate: float) -> str:
    """Write a rate as a ratio: 0.01 is `1 in 100`, 0.03 is `3 in 100`, 1/3 is `1 in 3`."""
    count, base = _so_many_in(rate)
    return f"{count} in {base}"


def decided_in_words(
    false_alarm_rate: float | None, false_discovery_rate: float | None, among_themselves: bool = False
) -> str:
    """Say how items were decided, to follow the number of anomalies.

    among_themselves : whether they are ranked among themselves, so that a rate marks that share of them."""
    if false_alarm_rate is not None:
        count, base = _so_many_in(false_alarm_rate)
        if among_themselves:
            return f": the highest {count} in {base}, whatever they are"
        return f" at {count} false alarm{'' if count == '1' else 's'} in {base}"
    if false_discovery_rate is not None:
        return f" at a false-discovery rate of {100 * false_discovery_rate:.3g} %"
    return ", as the results file has it"


def warned_in_words(count: int, warn_rate: float | None) -> str:
    """Say how many items are warned of, to follow the number of anomalies; None where the rate is unknown."""
    rate = "" if warn_rate is None else f" at {rate_in_words(warn_rate)}"
    return f", {count_in_words(count, 'warning', 'warnings')}{rate}"


def about_in_words(count: float) -> str:
    """Round an expected number to a whole one, or below 1 to one digit."""
    return f"{math.floor(count + 0.5):,}" if count >= 1 else f"{count:.1g}"


def count_in_words(count: int, noun: str, plural: str) -> str:
    """Write a number of items; noun, plural : the words for one item, and for several."""
    return f"{count:,} {noun if count == 1 else plural}"


def join_words(words: Sequence[str]) -> str:
    """List words: a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def number_in_words(value: float, digits: int = 4) -> str:
    """Write a number with so many digits: 24,720 and not 2.472e+04."""
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if 10 ** (digits - 1) <= abs(rounded) < 1e15 else f"{rounded:.{digits}g}"


def lost_in_words(count: int) -> str:
    """Say how many could not be read, at the end of a sentence."""
    return f"; {count:,} could not be read" if count else ""


def _so_many_in(rate: float) -> tuple[str, str]:
    times = 1 / rate
    if math.isclose(times, round(times)):
        return "1", f"{round(times):,}"
    base = 100
    while rate * base < 1:
        base *= 10
    return f"{rate * base:.3g}", f"{base:,}"
