"""The measurements of a protocol, and their means over classes and seeds."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self

import numpy as np

from dn2.arrays import Scores
from dn2.bench.scoring import roc_auc
from dn2.bench.split import Split
from dn2.results.rows import Row


@dataclass(frozen=True)
class Measurement:
    """The ROC AUC of one method in one setting.

    Parameters
    ----------
    method, setting : str
        The column and the row of the table.
    normal : str
        The classes that were normal.
    seed : int or None
        Of the random draw; None where nothing is random.
    n_reference : int
        Size of the reference set.
    roc_auc : float
        In [0, 1].
    figures : mapping of str to float
        Further figures of this run, by name."""

    method: str
    setting: str
    normal: str
    seed: int | None
    n_reference: int
    roc_auc: float
    figures: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, method: str, setting: str, normal: str, seed: int | None, split: Split, scores: Scores, **figures: float
    ) -> Self:
        """Compare the scores of a split's queries, (n_queries,), with the truth."""
        return cls(method, setting, normal, seed, len(split.reference), roc_auc(scores, split.truth), figures)


@dataclass(frozen=True)
class ReportedFigures:
    """Figures that were not measured here.

    Parameters
    ----------
    method : str
        The column of the table.
    values : mapping of str to float
        ROC AUC, in [0, 1], by setting; `average` may be among them.
    unconfirmed : frozenset of str
        Settings whose figures are recalled and were not seen in a public source.
    source : str
        `reported` in a publication, or `computed`."""

    method: str
    values: Mapping[str, float]
    unconfirmed: frozenset[str] = frozenset()
    source: str = "reported"


class Mean(NamedTuple):
    """A mean over classes and seeds; error : the standard error over seeds, None for a single draw."""

    value: float
    error: float | None


class Column(NamedTuple):
    """A column of the table: a method's ROC AUC, or a further figure of the method."""

    method: str
    figure: str | None = None

    @property
    def name(self) -> str:
        """The head of the column."""
        return self.method if self.figure is None else self.figure


class FurtherRow(NamedTuple):
    """A row below the settings: a further figure of every method, in one setting, or averaged over all (None)."""

    figure: str
    setting: str | None = None

    @property
    def name(self) -> str:
        """The head of the row."""
        return f"{self.figure}, {'all rows' if self.setting is None else self.setting}"


@dataclass
class Result:
    """The result of a protocol.

    Parameters
    ----------
    title : str
        Of the table.
    setting : str
        A noun for the rows of the table.
    positions : dict of str to float
        Of settings on the x axis; empty where settings are names.
    scale : {"linear", "log"}
        Of that axis.
    further_rows : list of FurtherRow
        Further figures with rows of their own; other further figures are columns beside their method.
    measurements : list of Measurement
    seconds : dict of str to float
        Wall time of fitting and searching, by method.
    notes : list of str
        Sentences for below the table.
    reported : list of Reported
    unreadable : list of Row
        Unreadable items, with their errors; they are left out."""

    title: str
    setting: str
    positions: dict[str, float] = field(default_factory=dict)
    scale: Literal["linear", "log"] = "linear"
    further_rows: list[FurtherRow] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reported: list[ReportedFigures] = field(default_factory=list)
    unreadable: list[Row] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        """The methods in the order of their first measurement."""
        return list(dict.fromkeys(measurement.method for measurement in self.measurements))

    @property
    def settings(self) -> list[str]:
        """The settings in the order of their first measurement, or of the x axis."""
        names = list(dict.fromkeys(measurement.setting for measurement in self.measurements))
        return sorted(names, key=self.positions.__getitem__) if self.positions else names

    @property
    def has_average(self) -> bool:
        """Whether there is an average over the rows: for several rows that are not steps of a number."""
        return not self.positions and len(self.settings) > 1

    @property
    def figures(self) -> list[str]:
        """The names of the further figures."""
        return list(dict.fromkeys(name for measurement in self.measurements for name in measurement.figures))

    @property
    def columns(self) -> list[Column]:
        """The columns of the table: each method, followed by its further figures without rows."""
        in_rows = {row.figure for row in self.further_rows}
        beside = [name for name in self.figures if name not in in_rows]
        columns = [Column(method, figure) for method in self.methods for figure in (None, *beside)]
        return [column for column in columns if self.mean(column.method, figure=column.figure)]

    def mean(self, method: str, setting: str | None = None, figure: str | None = None) -> Mean | None:
        """Average over classes, and then over seeds.

        Parameters
        ----------
        method : str
        setting : str or None
            None averages over all settings.
        figure : str or None
            A further figure to average; None for the ROC AUC.

        Returns
        -------
        Mean or None
            None without a measurement."""
        chosen = [
            measurement
            for measurement in self.measurements
            if measurement.method == method and setting in (None, measurement.setting)
        ]
        if figure is None:
            return mean_over_seeds((measurement.seed, measurement.roc_auc) for measurement in chosen)
        return mean_over_seeds(
            (measurement.seed, measurement.figures[figure]) for measurement in chosen if figure in measurement.figures
        )

    @contextmanager
    def timing(self, method: str) -> Iterator[None]:
        """Add the wall time of a block to that of a method."""
        start = time.perf_counter()
        yield
        self.seconds[method] = self.seconds.get(method, 0.0) + time.perf_counter() - start


def mean_over_seeds(values: Iterable[tuple[int | None, float]]) -> Mean | None:
    """Average (seed, value) pairs within each seed, then over seeds, with the standard error over seeds."""
    by_seed: dict[int | None, list[float]] = {}
    for seed, value in values:
        by_seed.setdefault(seed, []).append(value)
    if not by_seed:
        return None
    means: Sequence[float] = [float(np.mean(values_of_seed)) for values_of_seed in by_seed.values()]
    error = float(np.std(means, ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else None
    return Mean(float(np.mean(means)), error)
