"""Random draws of a reference set and of new normal items, for `guarantee.py`: what is drawn, and what is made of it.

Every draw takes other items as reference set and others as queries, from pools that lie in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import dn2
from dn2 import Calibration, KNNDetector
from dn2.arrays import Array

Random = np.random.Generator
Labels = np.ndarray
MOST_SEEDS = 2**31


class Got(NamedTuple):
    """What a detector made of new normal items.

    calibration : of the detector; p_values : (n,) of the items; parts : (n,) what they belong to, if to anything: rates
    average within parts first; found : (q,) p-values of anomalies, where there are any; warned : whether `dn2 fit`
    would warn that items are not drawn one by one, where that was looked at."""

    calibration: Calibration
    p_values: Array
    parts: Labels | None = None
    found: Array | None = None
    warned: bool | None = None

    def flagged(self, rate: float) -> float:
        """Return the share of normal items flagged, that of a random item of each part."""
        flagged = self.p_values <= rate
        if self.parts is None:
            return float(flagged.mean())
        _, which = np.unique(self.parts, return_inverse=True)
        return float((np.bincount(which, flagged) / np.bincount(which)).mean())


@dataclass(frozen=True)
class Setting:
    """A row of the table.

    draw : makes one draw; broken : what the items are that breaks the guarantee by design, which dn2 does not claim
    then; below : why fewer may be flagged than a rate can reach."""

    name: str
    draw: Callable[[Random], Got]
    broken: str = ""
    below: str = ""


def detected(
    rng: Random,
    options: Mapping[str, Any],
    reference: Array,
    queries: Array,
    *,
    parts: tuple[Labels, Labels] | None = None,
    per: tuple[Labels, Labels] | None = None,
    looks: bool = False,
) -> Got:
    """Fit on rows and score others.

    parts, per : labels of the reference rows and of the queries.  looks : whether to look what `dn2 fit` warns of."""
    detector = KNNDetector(**{"n_neighbors": 2, "seed": int(rng.integers(MOST_SEEDS)), **options})
    detector.fit(reference, parts=None if parts is None else parts[0], per=None if per is None else per[0])
    p_values = detector.p_value(queries, parts=None if parts is None else parts[1], per=None if per is None else per[1])
    warned = bool(detector.detector_.suspicion().findings) if looks else None
    return Got(detector.calibration_, p_values, None if parts is None else parts[1], warned=warned)


def modelled(rng: Random, table: Mapping[str, Any], n: int, **options: Any) -> Got:
    """Let `dn2.fit` learn from the first n rows of a table, columns by name, and score the others."""
    seed = int(rng.integers(MOST_SEEDS))
    model = dn2.fit({name: column[:n] for name, column in table.items()}, kind="table", seed=seed, **options)
    results = model.score({name: column[n:] for name, column in table.items()})
    return Got(model.calibration, np.array([row.p_value for row in results]))


def columns_of(rows: Array) -> dict[str, Array]:
    """Name the columns of a table."""
    return {f"column {number}": column for number, column in enumerate(rows.T)}


def some(rng: Random, pool: Array, size: int) -> Array:
    """Draw different rows of a pool."""
    return pool[rng.permutation(len(pool))[:size]]


def mixture(rng: Random, pools: Sequence[Array], shares: Sequence[float], size: int) -> tuple[Array, Labels]:
    """Draw different rows of several pools, each row's pool by chance; and the number of its pool."""
    counts = rng.multinomial(size, shares)
    rows = np.concatenate([some(rng, pool, count) for pool, count in zip(pools, counts, strict=True)])
    order = rng.permutation(size)
    return rows[order], np.repeat(np.arange(len(pools)), counts)[order]


def by_parts(rng: Random, parts: Labels, size: int) -> tuple[Labels, Labels]:
    """Draw so many parts: the places of their items, and those of the items of all other parts."""
    drawn = some(rng, np.unique(parts), size)
    inside = np.isin(parts, drawn)
    return rng.permutation(np.flatnonzero(inside)), np.flatnonzero(~inside)
