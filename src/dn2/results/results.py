"""Results of scoring: one row an item, decided anew at any rate without a new search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Self, overload

from dn2.extras import import_above
from dn2.neighbors.rates import attainable_rate
from dn2.results.context import Context, Points
from dn2.results.decisions import check_fixed, check_warn_rate, decide
from dn2.results.rows import AUDIT, BELONGING, COLUMNS, DECISION, Row
from dn2.results.words import count_in_words, decided_in_words, lost_in_words, rate_in_words, warned_in_words
from dn2.results.written import Written

PARTS = "parts"  # as what is counted: the p-values of their items take no even steps


@dataclass(frozen=True, repr=False)
class Results(Written):
    """Rows in the order of the input: a sequence, a slice of which is `Results` with the same decisions.

    Parameters
    ----------
    rows : sequence of Row
        One an item.
    false_alarm_rate : float or None
        The rate at which `is_anomaly` was decided; None where it was decided otherwise, or the rate is unknown.
    sample_size : int
        Number of reference items behind the p-values; 1 / (sample_size + 1) is the smallest rate.
    context : Context or None
        The data of a page beside the rows, None without it.  Copies share it; it is not pickled.
    false_discovery_rate : float or None
        The rate at which all rows were decided together, if they were.
    points : Points or None
        Where rows are intervals of series, the results of every point; None for a slice.
    reference_items : int
        How many of the items are reference items, or copies of reference items; 0 for a slice, where it is unknown.
    n_reference : int or None
        The size of the reference set where the items that do not calibrate were learnt from, else None.
    counted : str
        The calibrating things, in words, where these are not reference items.
    nouns : (str, str)
        The noun for one item, and for several.
    among_themselves : bool
        Whether the items are ranked among themselves, without a model, so that a rate marks that share of them.
    parts : sequence of Row
        One for each part of several items, where these were asked for: its strangest item, with the part's own p-value
        and decision.
    confidence : float or None
        With which the model's own rate is at most the one that was fixed when it was fitted; None for rates that hold
        on average.
    warn_rate : float or None
        The laxer rate at which `decision` is `warn`; None without one, or where the rate is unknown.

    Examples
    --------
    >>> from dn2 import Results, Row
    >>> results = Results([Row("a", 2.0, 0.05), Row("b", 1.0, 0.4), Row("c", error="empty")], None, 19).at(0.05)
    >>> results
    <Results: 2 items, 1 anomalous at 1 in 20; 1 not read>
    >>> results[0], len(results[:2]), [row.item for row in results.anomalies]
    (<Row 'a': anomaly score 2, p-value 0.05, anomalous>, 2, ['a'])"""

    rows: Sequence[Row]
    false_alarm_rate: float | None
    sample_size: int
    context: Context | None = field(default=None, compare=False)
    false_discovery_rate: float | None = None
    points: Points | None = field(default=None, compare=False)
    reference_items: int = field(default=0, compare=False)
    n_reference: int | None = field(default=None, compare=False)
    counted: str = field(default="", compare=False)
    nouns: tuple[str, str] = field(default=("item", "items"), compare=False)
    among_themselves: bool = field(default=False, compare=False)
    parts: Sequence[Row] = ()
    confidence: float | None = field(default=None, compare=False)
    warn_rate: float | None = None

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "context": None}

    def __copy__(self) -> Self:
        return replace(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return replace(self, rows=deepcopy(self.rows, memo), points=deepcopy(self.points, memo))

    def __repr__(self) -> str:
        scored = count_in_words(len(self.rows) - len(self.errors), *self.nouns)
        rate = "" if self.false_alarm_rate is None else f" at {rate_in_words(self.false_alarm_rate)}"
        warned = warned_in_words(len(self.warnings), self.warn_rate) if self.has_warnings else ""
        lost = f"; {len(self.unreadable):,} not read" if self.unreadable else ""
        return f"<Results: {scored}, {len(self.anomalies):,} anomalous{rate}{warned}{lost}>"

    def _repr_html_(self) -> str:
        html: str = import_above("dn2.report.notebook").results_html(self)
        return html

    def summary(self) -> str:
        """Say in one sentence how many items were scored, and how many are anomalous."""
        scored = count_in_words(len(self.rows) - len(self.errors), *self.nouns)
        decided = decided_in_words(self.false_alarm_rate, self.false_discovery_rate, self.among_themselves)
        warned = warned_in_words(len(self.warnings), self.warn_rate) if self.has_warnings else ""
        lost = lost_in_words(len(self.unreadable))
        strangers = f"; {len(self.undecided):,} of no known group, not decided" if self.undecided else ""
        parts = ""
        if self.parts:
            flagged = sum(bool(row.is_anomaly) for row in self.parts)
            parts = f"; {count_in_words(len(self.parts), 'part', 'parts')}, {flagged:,} anomalous"
        return f"{scored}, {len(self.anomalies):,} anomalous{decided}{warned}{parts}{strangers}{lost}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the results file: those of all kinds of data, then what the evidence of this one adds."""
        evidence = [row.evidence for row in self.rows if row.evidence is not None]
        names = evidence[0].file_columns if evidence else ()
        written = (*self.rows, *self.parts)
        belonging = (name for name in BELONGING if any(getattr(row, name) is not None for row in written))
        added = (name for name in names if any(getattr(record, name) is not None for record in evidence))
        has_audits = any(row.audit is not None for row in self.rows)
        return (*COLUMNS, *belonging, *added, *[DECISION] * self.has_warnings, *[AUDIT] * has_audits)

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> Self: ...

    def __getitem__(self, place: int | slice) -> Row | Self:
        if not isinstance(place, slice):
            return self.rows[place]
        context = None if self.context is None else self.context.only(range(len(self.rows))[place])
        return replace(self, rows=self.rows[place], context=context, points=None, reference_items=0, parts=())

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def anomalies(self) -> list[Row]:
        """The rows decided to be anomalous, most anomalous first."""
        return sorted((row for row in self.rows if row.is_anomaly), key=_score, reverse=True)

    @property
    def warnings(self) -> list[Row]:
        """The rows to warn of, which are not rejected, most anomalous first."""
        return sorted((row for row in self.rows if row.decision == "warn"), key=_score, reverse=True)

    @property
    def has_warnings(self) -> bool:
        """Whether it was decided with a rate to warn at."""
        return self.warn_rate is not None or any(row.decision is not None for row in self.rows)

    @property
    def errors(self) -> list[Row]:
        """The rows of items that could not be read."""
        return [row for row in self.rows if row.error is not None]

    @property
    def undecided(self) -> list[Row]:
        """The rows of items that were scored and have no p-value: none of the reference items is of their stratum."""
        return [row for row in self.rows if row.error is None and row.p_value is None]

    @property
    def unreadable(self) -> list[Row]:
        """A row with its error for all that could not be read: items, and members of groups."""
        parts = [
            Row(f"{row.item}/{part}", error=error)
            for row in self.rows
            if row.evidence is not None
            for part, error in row.evidence.unreadable()
        ]
        return self.errors + parts

    def at(self, false_alarm_rate: float, *, warn_rate: float | None = None) -> Results:
        """Decide anew, without a new search.

        Parameters
        ----------
        false_alarm_rate : float
            In (0, 1): a row is an anomaly where its p-value is at most this.
        warn_rate : float, default=None
            A laxer rate, to warn at: `decision` is `reject`, `warn` or `accept`.  None decides without warnings.

        Returns
        -------
        Results

        Raises
        ------
        InputError
            For a rate outside of (0, 1), for a rate to warn at that is not laxer, and for another rate than the one
            that a confidence bounds.
        ReferenceTooSmall
            For a rate that the reference set cannot support.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> results = model.score([[2, 2, 2, 2]])
        >>> results[0].is_anomaly, results.at(0.05)[0].is_anomaly
        (False, True)
        """
        check_fixed(false_alarm_rate, self.false_alarm_rate, self.confidence)
        attainable_rate(false_alarm_rate, self.sample_size, self.n_reference, self.counted, self.confidence)
        steps = self.sample_size if self.counted != PARTS else None
        check_warn_rate(warn_rate, false_alarm_rate, steps, self.confidence)
        decided = replace(
            self,
            rows=[decide(row, false_alarm_rate, warn_rate) for row in self.rows],
            parts=tuple(decide(row, false_alarm_rate, warn_rate) for row in self.parts),
            points=None if self.points is None else self.points.at(false_alarm_rate),
            false_discovery_rate=None,
        )
        return replace(decided, false_alarm_rate=false_alarm_rate, warn_rate=warn_rate)


def _score(row: Row) -> float:
    return row.anomaly_score or 0.0
