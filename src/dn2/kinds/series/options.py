"""The options of windows of series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dn2.kinds.options import Several, option
from dn2.kinds.writing_options import WritingOptions


@dataclass(frozen=True, kw_only=True)
class SeriesOptions(WritingOptions):
    """The options of series."""

    heading: ClassVar[str] = "Series"
    compares_itself: ClassVar[bool] = True
    elsewhere: ClassVar[Mapping[str, tuple[str, str]]] = {
        "contaminated": (
            "series with anomalies in them are scored against themselves, by dn2 score --self",
            "series with anomalies in them are scored against themselves, by dn2.score_self",
        )
    }

    id_column: str | None = option(None, "The column that names the series of each row.", metavar="COLUMN")
    time: str | None = option(
        None,
        "The column of stamps, numbers or moments. Default: rows come one step after the other.",
        metavar="COLUMN",
        tells=True,
    )
    values: Several = option((), "A column of values. Default: every column of numbers.", metavar="COLUMN", tells=True)
    window: int | None = option(
        None,
        "Number of points that are compared as one window. Default: 200, or a quarter of the longest series.",
        metavar="N",
        minimum=2,
        tells=True,
    )
