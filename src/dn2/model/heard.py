"""What came of feedback, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from dn2.inputs.verdicts import DEFECT, NORMAL
from dn2.model.feedback import Heard, p_values_of_defects
from dn2.model.state import State
from dn2.model.told import Share
from dn2.results.rows import Row
from dn2.results.words import count_in_words, join_words, number_in_words, rate_in_words

MOST_LISTED = 5  # defects that are missed, in words


class Missed(NamedTuple):
    """A defect that is not flagged: its item, its kind if that was said, and its p-value, which is the least
    false-alarm rate that flags it; None where nothing is decided of it."""

    item: str
    kind: str
    p_value: float | None


@dataclass(frozen=True)
class Feedback:
    """What came of verdicts.

    Parameters
    ----------
    neighbors : list of str
        Items told to be normal, which are neighbours now and never calibrate.
    audited : list of str
        Normal items that were drawn to be audited, which calibrate now.
    defects : list of str
        Items told to be defects, which are a test and no neighbours.
    unsure, known, lost : list of str
        Items of which nothing is known, of which the same was said before, and that were not found.
    unreadable : list of Row
        Rows with the errors of items that could not be read.
    false_alarm_rate : float
        The rate that the model decides at now.
    has_turned : bool
        Whether the model has turned to calibrating items that are no neighbours.
    caught_before, caught, tests : int
        Of all defects told so far, how many were flagged before, how many are now, and how many there are.
    by_kind : dict of str to (int, int)
        The same by kind of defect: how many are flagged now, of how many.
    missed : list of Missed
        The defects that are not flagged now, the nearest to it first.
    alarms, right : int
        Of all items judged so far, how many were flagged, and how many of these are defects.
    false_alarms, detections : Share
        Of audited items alone, which measure without bias: the share of the normal ones that was flagged, and that of
        the defects.

    Examples
    --------
    >>> import dn2, numpy
    >>> rng = numpy.random.default_rng(0)
    >>> model = dn2.fit(rng.normal(size=(300, 4)))
    >>> results = model.score([[0, 0, 0, 9], [9, 9, 9, 9]], names=["usual here", "broken"])
    >>> verdicts = {"usual here": "normal", "broken": "defect"}
    >>> model.feedback(verdicts, [[0, 0, 0, 9], [9, 9, 9, 9]], names=["usual here", "broken"])
    <Feedback: 1 neighbour, 0 that calibrate, 1 defect; 1 of 1 defects flagged>
    """

    neighbors: Sequence[str]
    audited: Sequence[str]
    defects: Sequence[str]
    unsure: Sequence[str]
    known: Sequence[str]
    lost: Sequence[str]
    unreadable: Sequence[Row]
    false_alarm_rate: float
    has_turned: bool
    caught_before: int
    caught: int
    tests: int
    by_kind: dict[str, tuple[int, int]]
    missed: Sequence[Missed]
    alarms: int
    right: int
    false_alarms: Share
    detections: Share

    def __repr__(self) -> str:
        joined = count_in_words(len(self.neighbors), "neighbour", "neighbours")
        tests = count_in_words(len(self.defects), "defect", "defects")
        return (
            f"<Feedback: {joined}, {len(self.audited):,} that calibrate, {tests}; {self.caught:,} of {self.tests:,} "
            "defects flagged>"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, rows by item and error, shares with their intervals."""
        shares = {
            name: {"hits": share.hits, "of": share.of, "interval": list(share.interval)}
            for name, share in (("false_alarms", self.false_alarms), ("detections", self.detections))
        }
        return {
            **{name: value for name, value in asdict(self).items() if name not in shares},
            "unreadable": [{"item": row.item, "error": row.error} for row in self.unreadable],
            "missed": [one._asdict() for one in self.missed],
            **shares,
        }

    def words(self) -> list[str]:
        """Say what came of it, in sentences."""
        rate, words = rate_in_words(self.false_alarm_rate), []
        if self.neighbors:
            one, many = "item is a neighbour now and never calibrates", "items are neighbours now and never calibrate"
            alike = "it" if len(self.neighbors) == 1 else "them"
            few = count_in_words(len(self.neighbors), one, many)
            words.append(f"{few}: what looks like {alike} is no alarm any more")
        if self.audited:
            words.append(
                f"{count_in_words(len(self.audited), 'audited item calibrates', 'audited items calibrate')} now"
            )
        if self.has_turned:
            words.append(
                "the items that calibrate are no neighbours any more, for else alarms would sink to nothing; the rate "
                f"is {rate} from now on, measured and not proven (docs/feedback.md)"
            )
        if self.tests:
            found = Caught(self.caught, self.tests, self.by_kind, list(self.missed))
            words.append(caught_in_words(found, self.false_alarm_rate, self.caught_before))
        if self.alarms:
            words.append(f"of {self.alarms:,} judged items that were flagged, {self.right:,} were defects")
        if self.false_alarms.of or self.detections.of:
            words.append(f"audits: {self._audited()}")
        return words

    def _audited(self) -> str:
        words = []
        for share, what in ((self.false_alarms, "normal items"), (self.detections, "defects")):
            if share.of:
                low, high = share.interval
                words.append(
                    f"{number_in_words(share.hits, 3)} of {share.of:,} {what} were flagged ({100 * low:.2g} to "
                    f"{100 * high:.2g} % with a confidence of 95 %)"
                )
        return ", and ".join(words)


class Caught(NamedTuple):
    """What a model says of the defects that it was told of.

    caught, n : how many are flagged, and how many there are; by_kind : the same by kind; missed : the others, the
    nearest to being flagged first."""

    caught: int
    n: int
    by_kind: dict[str, tuple[int, int]]
    missed: list[Missed]


def caught_of(now: State) -> Caught:
    """Score the defects that a model was told of."""
    rate, defects = now.false_alarm_rate, now.told.defects
    by_kind: dict[str, tuple[int, int]] = {}
    missed = []
    for one, p_value in zip(defects, p_values_of_defects(now), strict=True):
        flag = p_value is not None and p_value <= rate
        caught, n = by_kind.get(one.kind, (0, 0))
        by_kind[one.kind] = (caught + flag, n + 1)
        missed += [] if flag else [Missed(one.item, one.kind, p_value)]
    missed.sort(key=lambda one: 2.0 if one.p_value is None else one.p_value)
    return Caught(len(defects) - len(missed), len(defects), dict(sorted(by_kind.items())), missed)


def caught_in_words(found: Caught, rate: float, before: int | None = None) -> str:
    """Say how many defects are flagged, and what would flag the others; before : how many were, where that changed."""
    than = "" if before is None or before == found.caught else f", {before:,} before"
    words = f"{found.caught:,} of {found.n:,} defects are flagged at {rate_in_words(rate)}{than}"
    if len(found.by_kind) > 1:
        kinds = (f"{kind or 'no kind'} {caught:,} of {n:,}" for kind, (caught, n) in found.by_kind.items())
        words += f" ({', '.join(kinds)})"
    known = [one for one in found.missed if one.p_value is not None][:MOST_LISTED]
    rates = [f"{one.item} at {rate_in_words(one.p_value)}" for one in known if one.p_value is not None]
    return words + (f"; missed are {join_words(rates)}, the least rates that would flag them" if rates else "")


def feedback_of(before: State, heard: Heard) -> Feedback:
    """Measure what came of verdicts; before : the model without them."""
    now = heard.state
    told, found = now.told, caught_of(now)
    flagged = [one for one in told.judged if one.is_anomaly and one.verdict in (NORMAL, DEFECT)]
    return Feedback(
        *heard[1:],
        false_alarm_rate=now.false_alarm_rate,
        has_turned=now.detector.steps.holds_out and not before.detector.steps.holds_out,
        caught_before=caught_of(replace(before, told=told)).caught,
        caught=found.caught,
        tests=found.n,
        by_kind=found.by_kind,
        missed=found.missed,
        alarms=len(flagged),
        right=sum(one.verdict == DEFECT for one in flagged),
        false_alarms=told.audited(NORMAL),
        detections=told.audited(DEFECT),
    )
