"""What a page of scored items shows beside their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dn2.arrays import Scores
from dn2.neighbors.calibration import Calibration
from dn2.report.section import Section
from dn2.results.rows import Row


@dataclass(frozen=True)
class Map:
    """Items in two dimensions.

    reference : (r, 2); queries : (q, 2); places : of the queries in the results.
    note : the items left out, in words."""

    reference: Scores
    queries: Scores
    places: Sequence[int]
    note: str = ""


@dataclass(frozen=True)
class PageContext:
    """The data of a page beside the rows.

    reference_scores : (m,) the calibrating scores, ascending; calibration : what they make of rates.
    model : the model's description, as names and values; guarantee : the meaning of its rate, in words.
    worth : what the number of items that would be flagged means, in words.
    columns : how each column of a table was read, as names and words.
    section : makes the section of the kind of data, given the rows that could be read.
    neighbors : the heading of the neighbours.  notes : further sentences.
    paths : the file of each row, absolute, empty for one without a file; None where that is unknown.
    command : what takes the file of verdicts."""

    reference_scores: Scores
    calibration: Calibration
    model: Sequence[tuple[str, str]]
    guarantee: Sequence[str]
    worth: str = ""
    section: Callable[[Sequence[Row]], Section] = Section
    map: Map | None = None
    neighbors: str = "Nearest normal items (distance)"
    notes: Sequence[str] = ()
    columns: Sequence[tuple[str, str]] = ()
    paths: Sequence[str] | None = None
    command: str = "dn2 feedback MODEL verdicts.csv"


@dataclass(frozen=True)
class Shown:
    """What a service adds to a page that it gives to a browser.

    data : what its script reads as `data.served`; script : that script, which may replace `keeper`; style : rules.
    header : HTML above the items; title : what the page is called."""

    data: Mapping[str, Any]
    script: str
    style: str
    header: str
    title: str
