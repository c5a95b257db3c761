"""Dates as people write them: ISO 8601, `31.12.2024 14:05`, `12/31/24 2:05 PM`, `31-Dec-2024`."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from dn2.inputs.numbers import MOST, Undecided

FIRST_YEAR_OF_TWO_DIGITS = 1969  # as POSIX has it

# In English, German, French, Spanish, Italian, Portuguese and Dutch; or their beginnings of three letters and more.
MONTHS = (
    "january januar janner janvier enero gennaio janeiro januari",
    "february februar fevrier febrero febbraio fevereiro februari",
    "march marz mrz mars marzo marco maart",
    "april avril abril aprile",
    "may mai mayo maggio maio mei",
    "june juni juin junio giugno junho",
    "july juli juillet julio luglio julho",
    "august aout agosto augustus",
    "september sept septembre septiembre settembre setembro",
    "october oktober octobre octubre ottobre outubro",
    "november novembre noviembre novembro",
    "december dezember decembre diciembre dicembre dezembro",
)
WORD = r"(?P<word>[^\W\d_]{3,})\.?"
DAY, YEAR = r"(?P<day>[0-9]{1,2})", r"(?P<year>[0-9]{4}|[0-9]{2})"
FORMS = (
    r"(?P<year>[0-9]{4})(?P<mark>[-/.])(?P<month>[0-9]{1,2})(?P=mark)(?P<day>[0-9]{1,2})",
    rf"(?P<first>[0-9]{{1,2}})(?P<mark>[-/.])(?P<second>[0-9]{{1,2}})(?P=mark){YEAR}",
    rf"{DAY}(?:[-/ ]|\. ?| de ){WORD}(?:[-/ ,]{{1,2}}| de ){YEAR}",
    rf"{WORD} {DAY}(?:st|nd|rd|th)?,? {YEAR}",
    rf"(?P<year>[0-9]{{4}})[-/ ]{WORD}[-/ ]{DAY}",
)
TIME = (
    r"(?:(?:T|,? |:)(?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{2})"
    r"(?:[:.](?P<second_>[0-9]{2})(?:[.,](?P<part>[0-9]{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?(?: ?(?:(?P<utc>Z|UTC|GMT)|(?P<zone>[+-][0-9]{2}:?[0-9]{2})(?: \([A-Z]+\))?))?)?"
)
WEEKDAY = r"(?:[^\W\d_]{2,10}\.?,? )?"
PATTERNS = [re.compile(rf"{WEEKDAY}{form}{TIME}") for form in FORMS]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class DateOrder:
    """How the dates of a column are written.

    day_first : whether the day stands before the month where both are numbers; None where no date has it so."""

    day_first: bool | None = None

    def read(self, text: str) -> float:
        """Return the moment that a text writes, in microseconds since 1970 in UTC; NaN for any other text."""
        by_order = moments(text)
        if len(by_order) == 2 and self.day_first is not None:
            return by_order[not self.day_first]
        return by_order[0] if len(set(by_order)) == 1 else math.nan


def find_order(texts: Iterable[str], day_first: bool | None = None) -> DateOrder | Undecided | None:
    """Find how the dates of a column are written, by all of them.

    day_first : the order, where a person has said it.
    Returns None for a column that does not hold dates."""
    counts = Counter(texts)
    present = counts.total()
    in_any_order, by_order, doubtful = 0, {True: 0, False: 0}, ""
    for text, count in counts.items():
        found = moments(text)
        valid = [order for order, moment in zip((True, False), found, strict=False) if not math.isnan(moment)]
        if len(found) == 1 or len({*found}) == 1:
            in_any_order += count * bool(valid)
            continue
        for order in valid:
            by_order[order] += count
        doubtful = doubtful or text * (len(valid) == 2)
    fits = {order: in_any_order + count for order, count in by_order.items() if day_first in (None, order)}
    if present and max(fits.values()) >= MOST * present:
        best = [order for order in fits if fits[order] == max(fits.values())]
        if len(best) == 2 and doubtful:
            return Undecided(f"dates that can be read in two ways, such as {doubtful!r}")
        return DateOrder(best[0] if len(best) == 1 else None)
    if present and day_first is None and in_any_order + sum(by_order.values()) >= MOST * present:
        return Undecided("dates written with the day first and with the month first")
    return None


@lru_cache(1 << 16)
def moments(text: str) -> tuple[float, ...]:
    """Return what moments a text may write: one, or by the day first and by the month first; NaN for none."""
    text = text.strip()
    try:
        return (_since(datetime.fromisoformat(text)),)
    except ValueError:
        pass
    for pattern in PATTERNS:
        if found := pattern.fullmatch(text):
            return _read(found.groupdict())
    return (math.nan,)


def _read(parts: dict[str, str | None]) -> tuple[float, ...]:
    year = int(parts["year"] or 0)
    if len(parts["year"] or "") == 2:
        year += 1900 if year + 1900 >= FIRST_YEAR_OF_TWO_DIGITS else 2000
    if "first" in parts:
        one, two = int(parts["first"] or 0), int(parts["second"] or 0)
        if parts["mark"] == ".":
            return (_moment(year, two, one, parts),)
        return _moment(year, two, one, parts), _moment(year, one, two, parts)
    month = _month(parts["word"] or "") if "word" in parts else int(parts["month"] or 0)
    return (_moment(year, month, int(parts["day"] or 0), parts),)


def _moment(year: int, month: int, day: int, parts: dict[str, str | None]) -> float:
    hour = int(parts["hour"] or 0)
    if half := parts["half"]:
        if not 1 <= hour <= 12:
            return math.nan
        hour = hour % 12 + 12 * (half in "pP")
    microsecond = int((parts["part"] or "").ljust(6, "0")[:6])
    try:
        moment = datetime(year, month, day, hour, int(parts["minute"] or 0), int(parts["second_"] or 0), microsecond)
    except ValueError:
        return math.nan
    zone = timedelta(0)
    if written := (parts["zone"] or "").replace(":", ""):
        zone = timedelta(hours=int(written[1:3]), minutes=int(written[3:])) * (-1 if written[0] == "-" else 1)
    return _since(moment) - zone / timedelta(microseconds=1)


def _since(moment: datetime) -> float:
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH
    return float(since // timedelta(microseconds=1))  # exact, as total_seconds is not


def _month(word: str) -> int:
    plain = "".join(c for c in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(c))
    found = {number for number, names in enumerate(MONTHS, 1) for name in names.split() if name.startswith(plain)}
    return found.pop() if len(found) == 1 else 0
