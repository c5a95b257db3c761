"""The page of scored items: what Python knows of them, in columns, for the script to show."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dn2.neighbors.conformal import Scores, last_rank
from dn2.report.contributions import Contributions, Shortener
from dn2.report.curves import Curves
from dn2.report.page import definitions, fill, read_part, sentences, write_page
from dn2.report.wordings import Wordings
from dn2.store.results import Results
from dn2.store.rows import Member, Row

# What keeps the file small: the most anomalous items and their neighbours have pictures.
MOST_PICTURES = 2_000
MOST_REFERENCE_SCORES = 20_000
MOST_ERRORS = 1_000
LONGEST_NAME = 160
MEMBERS_SHOWN = 5
STOPS = 120  # of the slider, at most

# Small JPEGs of those among some names that have any.
Pictures = Callable[[Sequence[str]], Mapping[str, bytes]]


@dataclass(frozen=True)
class Map:
    """Items in two dimensions.

    reference : (r, 2); queries : (q, 2), and the places of these items in the results.  note : what was left out."""

    reference: Scores
    queries: Scores
    places: Sequence[int]
    note: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What a page shows beside the rows.

    reference_scores : (m,) the calibrating scores, ascending.
    model, guarantee : what the model is, by name, and what its rate means, in words.
    pictures : by name of an item, or of a group's member, `group/member`; reference_pictures : by name.  None, both,
        where items have none.
    one, many, neighbors : what items and their neighbours are called.  notes : what else is to be said."""

    reference_scores: Scores
    model: Sequence[tuple[str, str]]
    guarantee: Sequence[str]
    pictures: Pictures | None
    reference_pictures: Pictures | None
    map: Map | None = None
    one: str = "image"
    many: str = "images"
    neighbors: str = "Nearest normal images (distance)"
    notes: Sequence[str] = ()


def write_results_page(path: Path, results: Results, around: Surroundings) -> None:
    """Write the page of some results.  Raises InputError if the file cannot be written."""
    columns = _Columns(results, around)
    data = columns.data()
    title = sentence(results, around.one, around.many)
    about = (
        f"<h2>The model</h2>{definitions(around.model)}"
        f"<h2>What the false-alarm rate means</h2>{sentences(around.guarantee)}"
    )
    notes = " ".join([*around.notes, *columns.left_out()])
    body = fill(read_part("results.html"), {"sentence": html.escape(title), "sources": html.escape(notes)})
    write_page(path, title, body, script="results.js", data=data, about=about)


def sentence(results: Results, one: str, many: str) -> str:
    """Say what was asked and what came out; the page's script says it alike."""
    scored, lost = len(results) - len(results.errors), len(results.unreadable)
    words = f"{scored:,} {one if scored == 1 else many}, {len(results.anomalies):,} anomalous{decided(results)}"
    return words + (f"; {lost:,} could not be read" if lost else "")


def decided(results: Results) -> str:
    """Say how it was decided, to follow the number of anomalies."""
    if results.false_alarm_rate is not None:
        count, base = so_many_in(results.false_alarm_rate)
        return f" at {count} false alarm{'' if count == '1' else 's'} in {base}"
    if results.false_discovery_rate is not None:
        return f" at a false-discovery rate of {100 * results.false_discovery_rate:.3g} %"
    return ", as the results file has it"


def so_many_in(rate: float) -> tuple[str, str]:
    """Write a rate as a person says it, so many in so many: 0.01 is 1 in 100, 0.03 is 3 in 100."""
    times = 1 / rate
    return ("1", f"{round(times):,}") if math.isclose(times, round(times)) else (f"{100 * rate:.3g}", "100")


class _Columns:
    """The rows as columns, pictures and names each once, as much of them as a page can bear."""

    def __init__(self, results: Results, around: Surroundings) -> None:
        self._results, self._around = results, around
        self._rows = [row for row in results if row.error is None]
        self._reference: dict[str, int] = {}
        self._contributions = Contributions(self._rows)
        self._wordings = Wordings(self._rows)
        self._curves = Curves(self._rows)
        self._short = Shortener(LONGEST_NAME)
        self._without_picture = 0

    def data(self) -> dict[str, Any]:
        """Return what the script reads."""
        near = [
            [(self._reference.setdefault(one.item, len(self._reference)), one.distance) for one in row.neighbors]
            for row in self._rows
        ]
        pictures, reference_pictures, members = self._pictures()
        return {
            "calibration": self._calibration(),
            "reference": {
                "name": [self._short(name) for name in self._reference],
                "scores": [_rounded(score) for score in thinned(self._around.reference_scores)],
                "pictures": reference_pictures,
            },
            "items": {
                "name": [self._short(row.item) for row in self._rows],
                "score": [_rounded(row.anomaly_score or 0) for row in self._rows],
                "rank": self._ranks(),
                "starts": np.cumsum([0, *map(len, near)]).tolist(),
                "near": [place for of_one in near for place, _ in of_one],
                "distance": [_rounded(distance) for of_one in near for _, distance in of_one],
                "pictures": pictures,
                "members": members,
            },
            "columns": self._contributions.data(),
            "texts": self._wordings.data(self._reference),
            "series": self._curves.data(),
            "errors": [[self._short(row.item), row.error] for row in self._results.unreadable[:MOST_ERRORS]],
            "lost": len(self._results.unreadable),
            "map": self._map(),
            "words": {
                "one": self._around.one,
                "many": self._around.many,
                "item": "scored",
                "neighbors": self._around.neighbors,
                "gone": "no picture",
                "decided": decided(self._results),
            },
        }

    def _ranks(self) -> list[int]:
        """Return p-values as whole numbers: times m + 1."""
        return [round((row.p_value or 0) * (self._results.sample_size + 1)) for row in self._rows]

    def _calibration(self) -> dict[str, Any]:
        """Return what was asked, and at which ranks the slider stops: every one at first, then in even steps of their
        logarithm, up to one half; with the score above which each flags."""
        m, rate, scores = self._results.sample_size, self._results.false_alarm_rate, self._around.reference_scores
        flagged = [rank for rank, row in zip(self._ranks(), self._rows, strict=True) if row.is_anomaly]
        asked = max(flagged, default=0) if rate is None else last_rank(rate, m)
        ranks = sorted({asked, *np.rint(np.geomspace(1, max(1, (m + 1) // 2), STOPS)).astype(int).tolist()})
        thresholds = [_rounded(scores[m - rank]) if rank else None for rank in ranks]
        return {"size": m, "rate": rate, "rank": asked, "ranks": ranks, "thresholds": thresholds}

    def left_out(self) -> list[str]:
        """Say what the page does not hold, once `data` is made."""
        words = []
        if self._without_picture:
            words.append(
                f"Without a picture: {self._without_picture:,} of {len(self._rows):,} items. A page holds "
                f"{MOST_PICTURES:,} pictures, those of the most anomalous items and of their neighbours."
            )
        if self._short.count:
            words.append(
                f"Names shortened to {LONGEST_NAME} characters: {self._short.count:,}. A results file has them whole."
            )
        if len(self._results.unreadable) > MOST_ERRORS:
            words.append(f"Of what could not be read the first {MOST_ERRORS:,} are listed.")
        return words + self._contributions.left_out() + self._wordings.left_out() + self._curves.left_out()

    def _choose(self) -> tuple[list[int], list[str]]:
        """Choose whose pictures the page holds, the most anomalous first: places of items, names of reference items."""
        chosen: list[int] = []
        reference: dict[str, None] = {}
        left = MOST_PICTURES
        for place in sorted(range(len(self._rows)), key=lambda place: -(self._rows[place].anomaly_score or 0)):
            row = self._rows[place]
            missing = [one.item for one in row.neighbors if one.item not in reference]
            left -= 1 + len(missing) + len(pulling(row))
            if left < 0:
                break
            chosen.append(place)
            reference.update(dict.fromkeys(missing))
        return chosen, list(reference)

    def _pictures(self) -> tuple[dict[int, str] | None, dict[int, str] | None, list[list[list[Any]]] | None]:
        """Return pictures of items and of reference items, by place, and what is shown of members of groups; None for
        what there is not."""
        if self._around.pictures is None or self._around.reference_pictures is None:
            return None, None, None
        chosen, reference = self._choose()
        self._without_picture = len(self._rows) - len(chosen)
        names = [
            name
            for place in chosen
            for name in (self._rows[place].item, *(_path(self._rows[place], one) for one in pulling(self._rows[place])))
        ]
        found = _encoded(self._around.pictures(names))
        near = _encoded(self._around.reference_pictures(reference))
        members = None
        if any(row.members is not None for row in self._rows):
            members = [[self._member(row, one, found) for one in pulling(row)] for row in self._rows]
        of_items = {place: found[name] for place in chosen if (name := self._rows[place].item) in found}
        return of_items, {self._reference[name]: picture for name, picture in near.items()}, members

    def _member(self, row: Row, member: Member, pictures: Mapping[str, str]) -> list[Any]:
        return [self._short(member.item), _rounded(member.share or 0), pictures.get(_path(row, member))]

    def _map(self) -> dict[str, Any] | None:
        found = self._around.map
        if found is None:
            return None
        readable = {id(row): number for number, row in enumerate(self._rows)}
        points = np.concatenate([found.reference, found.queries])
        low, high = points.min(axis=0), points.max(axis=0)
        scaled = np.rint(1000 * (points - low) / np.maximum(high - low, np.finfo(float).tiny)).astype(int).tolist()
        return {
            "reference": scaled[: len(found.reference)],
            "queries": scaled[len(found.reference) :],
            "items": [readable[id(self._results.rows[place])] for place in found.places],
            "note": found.note,
        }


def thinned(scores: Scores) -> Scores:
    """Keep evenly placed ones of very many ascending scores, the first and the last among them."""
    if len(scores) <= MOST_REFERENCE_SCORES:
        return scores
    kept: Scores = scores[np.rint(np.linspace(0, len(scores) - 1, MOST_REFERENCE_SCORES)).astype(int)]
    return kept


def pulling(row: Row) -> list[Member]:
    """List the members of a group that pull it away most, those that are shown."""
    return [one for one in row.members or () if one.share is not None and one.share > 0][:MEMBERS_SHOWN]


def _path(row: Row, member: Member) -> str:
    return f"{row.item}/{member.item}"


def _encoded(pictures: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(picture).decode() for name, picture in pictures.items()}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
