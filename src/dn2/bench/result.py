"""What a protocol measured: single figures, and their means over classes and seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Measurement:
    """The ROC AUC of one method in one setting.

    method, setting : the column and the row of the table; normal : the classes that were normal.
    seed : of the random draw, None where nothing is random.
    roc_auc : in [0, 1].  others : further figures of this run, by name."""

    method: str
    setting: str
    normal: str
    seed: int | None
    n_reference: int
    roc_auc: float
    others: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reported:
    """Figures that were not measured: ROC AUC in [0, 1] by setting, `average` among them.

    unconfirmed : settings whose figures are recalled and were not seen in a public source.
    source : `reported` in a publication, or `computed`."""

    method: str
    values: Mapping[str, float]
    unconfirmed: frozenset[str] = frozenset()
    source: str = "reported"


class Mean(NamedTuple):
    """A mean over classes and seeds; error : the standard error over seeds, None if there is but one draw."""

    value: float
    error: float | None


@dataclass
class Result:
    """All that a protocol gives.

    setting : what the rows of the table are.
    positions : where each setting stands on the x axis; empty if it is a name.  scale : of that axis.
    seconds : wall time of fitting and searching by method.  notes : sentences for below the table.
    others_below : whether the further figures of all methods stand in rows below the table, averaged over its rows, and
        not in columns of their own; others_by_setting : whether for each row of the table, too."""

    title: str
    setting: str
    positions: dict[str, float] = field(default_factory=dict)
    scale: Literal["linear", "log"] = "linear"
    measurements: list[Measurement] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    others_below: bool = False
    others_by_setting: bool = False

    @property
    def methods(self) -> list[str]:
        """The methods in the order of their first measurement."""
        return list(dict.fromkeys(one.method for one in self.measurements))

    @property
    def settings(self) -> list[str]:
        """The settings in the order of their first measurement, or of the x axis."""
        names = list(dict.fromkeys(one.setting for one in self.measurements))
        return sorted(names, key=self.positions.__getitem__) if self.positions else names

    @property
    def has_average(self) -> bool:
        """Whether an average over the rows makes sense: they are several, and no steps of a number."""
        return not self.positions and len(self.settings) > 1

    @property
    def others(self) -> list[str]:
        """The names of the further figures."""
        return list(dict.fromkeys(name for one in self.measurements for name in one.others))

    def mean(self, method: str, setting: str | None = None, other: str | None = None) -> Mean | None:
        """Average over classes (and over settings, by default), and then over seeds.

        other : the name of a further figure to average instead of the ROC AUC.  None if there is none."""
        chosen = [
            one
            for one in self.measurements
            if one.method == method and setting in (None, one.setting) and (other is None or other in one.others)
        ]
        return mean_over_seeds((one.seed, one.roc_auc if other is None else one.others[other]) for one in chosen)

    def took(self, method: str, seconds: float) -> None:
        """Add to the wall time of a method."""
        self.seconds[method] = self.seconds.get(method, 0.0) + seconds


def mean_over_seeds(values: Iterable[tuple[int | None, float]]) -> Mean | None:
    """Average (seed, value) pairs within each seed, then over seeds, with the standard error over seeds."""
    by_seed: dict[int | None, list[float]] = {}
    for seed, value in values:
        by_seed.setdefault(seed, []).append(value)
    if not by_seed:
        return None
    means: Sequence[float] = [float(np.mean(of_one)) for of_one in by_seed.values()]
    error = float(np.std(means, ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else None
    return Mean(float(np.mean(means)), error)
