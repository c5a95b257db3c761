"""The page of scored items: their data, in columns, for the script to show."""

from __future__ import annotations

import html
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dn2.arrays import Scores
from dn2.report.around import PageContext, Shown
from dn2.report.marking import marking_data
from dn2.report.page import SERVED, definitions, fill, page_text, read_part, sentences, write_page
from dn2.report.shortening import Shortener, round_shown
from dn2.results.results import Results
from dn2.results.rows import Row
from dn2.results.words import count_in_words, decided_in_words, lost_in_words, rate_in_words

# Limits that keep the file small.
MOST_ROWS = 200_000  # the most anomalous ones, and those of audits
MOST_REFERENCE_SCORES = 20_000
MOST_ERRORS = MOST_PARTS = 1_000
LONGEST_NAME = 160
STOPS = 120  # of the slider, at most
SCRIPTS = ("elements.js", "results.js", "plots.js", "marks.js", "gallery.js", "zoom.js", "large.js")


def write_results_page(path: Path, results: Results, around: PageContext) -> None:
    """Write the page of some results.  Raises InputError if the file cannot be written."""
    write_page(path, results_page(results, around))


def results_page(results: Results, around: PageContext, shown: Shown | None = None) -> str:
    """Return the page of some results as HTML; shown : what a service adds."""
    columns = _Columns(results, around)
    data = columns.data()
    title = results.summary() if shown is None else shown.title
    left_out = columns.left_out()
    about = (
        f"{f'<h2>What the page leaves out</h2>{sentences(left_out)}' if left_out else ''}"
        f"<h2>The model</h2>{definitions(around.model)}"
        f"{f'<h2>How its columns were read</h2>{definitions(around.columns)}' if around.columns else ''}"
        f"<h2>What the false-alarm rate means</h2>{sentences(around.guarantee)}"
    )
    notes = " ".join([*around.notes, *columns.unlisted()])
    among = results.among_themselves
    parts = {
        "sentence": title,
        "sources": notes,
        "expected": f"{results.nouns[1]} marked, whatever they are" if among else "if all were normal, about",
        "worth": around.worth,
    }
    body = fill(read_part("results.html"), {name: html.escape(words) for name, words in parts.items()})
    scripts = [*map(read_part, SCRIPTS), columns.section.script()]
    style, later = read_part("results.css") + columns.section.style(), columns.section.later()
    if shown is None:
        return page_text(title, body, scripts=scripts, style=style, data=data, later=later, about=about)
    data |= {"served": shown.data}
    scripts, style = [*scripts, shown.script], style + shown.style
    body = shown.header + body
    return page_text(title, body, scripts=scripts, style=style, data=data, later=later, about=about, calls=SERVED)


class _Columns:
    """The rows as columns, each name once, limited to what a page can show."""

    def __init__(self, results: Results, around: PageContext) -> None:
        self._results, self._around = results, around
        readable = [place for place, row in enumerate(results) if row.error is None]
        self._all = [results.rows[place] for place in readable]
        self._chosen = choose_rows(self._all)
        self._rows = [self._all[place] for place in self._chosen]
        self._paths = None if around.paths is None else [around.paths[readable[place]] for place in self._chosen]
        self.section = around.section(self._rows)
        self._reference: dict[str, int] = {}
        self._short = Shortener(LONGEST_NAME)

    def data(self) -> dict[str, Any]:
        """Return the data that the script reads."""
        neighbors = [
            [(self._reference.setdefault(near.item, len(self._reference)), near.distance) for near in row.neighbors]
            for row in self._rows
        ]
        names = [self._short(row.item) for row in self._rows]
        noun, plural = self._results.nouns
        return {
            "calibration": self._calibration(),
            "reference": {
                "name": [self._short(name) for name in self._reference],
                "scores": [round_shown(score) for score in thin_scores(self._around.reference_scores)],
            },
            "items": {
                "name": names,
                "score": [round_shown(row.anomaly_score or 0) for row in self._rows],
                "rank": [None if row.p_value is None else self._rank(row.p_value) for row in self._rows],
                "starts": np.cumsum([0, *map(len, neighbors)]).tolist(),
                "near": [place for item_neighbors in neighbors for place, _ in item_neighbors],
                "distance": [round_shown(distance) for item_neighbors in neighbors for _, distance in item_neighbors],
            },
            "marking": marking_data(self._rows, names, self._paths, self._around.command),
            "drawn": self._drawn(),
            "parts": self._parts(),
            "kind": self.section.data(self._reference),
            "errors": [[self._short(row.item), row.error] for row in self._results.unreadable[:MOST_ERRORS]],
            "map": self._map(),
            "words": {
                "one": noun,
                "many": plural,
                "neighbors": self._around.neighbors,
                "scored": count_in_words(len(self._all), noun, plural),
                "lost": lost_in_words(len(self._results.unreadable)),
            },
        }

    @cached_property
    def _asked(self) -> float:
        """The largest p-value that may be flagged, as it was asked: 0 where nothing is."""
        if self._results.false_alarm_rate is not None:
            return self._results.false_alarm_rate
        return max((row.p_value or 0 for row in self._all if row.is_anomaly), default=0.0)

    @cached_property
    def _stops(self) -> list[float]:
        """The rates at which the slider stops: every step of p-values at first, then even ones of their logarithm, up
        to one half; only the one asked for where a confidence bounds that."""
        if self._results.confidence is not None:
            return [self._asked]
        size = self._around.calibration.largest_size + 1
        ranks = np.rint(np.geomspace(1, max(1, size // 2), STOPS)).astype(int)
        return sorted({self._asked, *(np.unique(ranks) / size).tolist()})

    @cached_property
    def _values(self) -> list[float]:
        """All p-values and rates on the page, ascending, each once: ranks count them from 1."""
        warned = [] if self._results.warn_rate is None else [self._results.warn_rate]
        values = {row.p_value for row in (*self._all, *self._results.parts) if row.p_value is not None}
        return sorted({*values, *warned, *self._stops} - {0.0})

    def _rank(self, rate: float) -> int:
        """Return the rank of the largest value that is at most a rate."""
        return bisect_right(self._values, rate)

    def _calibration(self) -> dict[str, Any]:
        """Return the stops of the slider, with what each flags, as ranks of p-values and in words."""
        rate, stops = self._results.false_alarm_rate, self._stops
        rates = [rate if stop == self._asked else stop for stop in stops]
        discovery, alone = self._results.false_discovery_rate, self._results.among_themselves
        return {
            "values": self._values,
            "rate": rate,
            "rank": self._rank(self._asked),
            "ranks": [self._rank(stop) for stop in stops],
            "thresholds": [self._threshold(stop) for stop in stops],
            "expected": [self._expected(stop) for stop in stops],
            "rates": ["as it was decided" if shown_rate is None else rate_in_words(shown_rate) for shown_rate in rates],
            "decided": [decided_in_words(shown_rate, discovery, alone) for shown_rate in rates],
            "unlisted": self._unlisted(stops),
            "warn": self._warn() if self._results.has_warnings else None,
        }

    def _threshold(self, rate: float) -> float | None:
        calibration = self._around.calibration
        return round_shown(calibration.threshold(rate)) if rate >= calibration.smallest_rate else None

    def _expected(self, rate: float) -> float:
        """Return how many of the items would be flagged at a rate, if all were normal."""
        calibration = self._around.calibration
        share = calibration.reachable(rate) if rate >= calibration.smallest_rate else 0.0
        return share * sum(row.p_value is not None for row in self._all)

    def _warn(self) -> dict[str, Any]:
        """Return the rank to warn at, its threshold, how many are expected up to it, and the words for its rate."""
        rate = self._results.warn_rate
        marked = max((row.p_value or 0 for row in self._all if row.decision in ("warn", "reject")), default=0.0)
        up_to = marked if rate is None else rate
        return {
            "rank": self._rank(up_to),
            "threshold": self._threshold(up_to),
            "expected": self._expected(up_to),
            "unlisted": self._unlisted([up_to])[0],
            "words": "" if rate is None else f" at {rate_in_words(rate)}",
        }

    def _unlisted(self, rates: Sequence[float]) -> list[int]:
        """Count, for each rate, the items that it flags and that the page leaves out."""
        if len(self._rows) == len(self._all):
            return [0] * len(rates)
        listed = set(self._chosen)
        left = sorted(row.p_value for place, row in enumerate(self._all) if place not in listed and row.p_value)
        return [bisect_right(left, rate) for rate in rates]

    def _drawn(self) -> list[float] | None:
        """Return the scores that the histogram is of, where the page leaves items out."""
        if len(self._rows) == len(self._all):
            return None
        scores = np.sort(np.array([row.anomaly_score or 0 for row in self._all]))
        return [round_shown(score) for score in thin_scores(scores)]

    def _parts(self) -> list[list[Any]]:
        """Return of each part its name, the number of its items, its score, the rank of its p-value, and the places of
        its items that were drawn for an audit."""
        audits: dict[str | None, list[int]] = {}
        for place, row in enumerate(self._rows):
            if row.audit:
                audits.setdefault(row.part, []).append(place)
        parts = sorted(self._results.parts, key=lambda row: -(row.anomaly_score or 0))
        return [
            [
                self._short(row.item),
                row.items,
                round_shown(row.anomaly_score or 0),
                None if row.p_value is None else self._rank(row.p_value),
                audits.get(row.item, []),
            ]
            for row in parts[:MOST_PARTS]
        ]

    def unlisted(self) -> list[str]:
        """Say how many items the page does not list."""
        if len(self._rows) == len(self._all):
            return []
        audits = " and those to audit" if any(row.audit for row in self._rows) else ""
        return [
            f"The {len(self._rows):,} most anomalous of {len(self._all):,} items{audits} are listed; counts are of all."
        ]

    def left_out(self) -> list[str]:
        """Say what the page leaves out, once `data` is made."""
        words = self.section.left_out()
        if self._short.count:
            words.append(
                f"Names shortened to {LONGEST_NAME} characters: {self._short.count:,}. A results file has them whole."
            )
        if len(self._results.unreadable) > MOST_ERRORS:
            words.append(f"Of what could not be read the first {MOST_ERRORS:,} are listed.")
        if len(self._results.parts) > MOST_PARTS:
            words.append(f"The {MOST_PARTS:,} most anomalous of {len(self._results.parts):,} parts are listed.")
        return words

    def _map(self) -> dict[str, Any] | None:
        drawing = self._around.map
        if drawing is None:
            return None
        listed = {id(row): number for number, row in enumerate(self._rows)}
        items = [listed.get(id(self._results.rows[place])) for place in drawing.places]
        points = np.concatenate([drawing.reference, drawing.queries])
        low, high = points.min(axis=0), points.max(axis=0)
        scaled = np.rint(1000 * (points - low) / np.maximum(high - low, np.finfo(float).tiny)).astype(int).tolist()
        return {
            "reference": scaled[: len(drawing.reference)],
            "queries": [
                point for point, item in zip(scaled[len(drawing.reference) :], items, strict=True) if item is not None
            ],
            "items": [item for item in items if item is not None],
            "note": drawing.note,
        }


def choose_rows(rows: Sequence[Row]) -> list[int]:
    """Choose the places of the rows that a page lists: those of audits and the most anomalous, as they came."""
    if len(rows) <= MOST_ROWS:
        return list(range(len(rows)))
    order = sorted(range(len(rows)), key=lambda place: (not rows[place].audit, -(rows[place].anomaly_score or 0)))
    return sorted(order[:MOST_ROWS])


def thin_scores(scores: Scores) -> Scores:
    """Keep evenly spaced scores of very many ascending scores, the first and the last among them."""
    if len(scores) <= MOST_REFERENCE_SCORES:
        return scores
    chosen: Scores = scores[np.rint(np.linspace(0, len(scores) - 1, MOST_REFERENCE_SCORES)).astype(int)]
    return chosen
