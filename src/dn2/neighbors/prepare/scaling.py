"""Columns of a table made alike: what a difference in one is worth beside a difference in another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy

from dn2.arrays import Array, Flags, Positions, Scores, Vectors

MOST_KNOTS = 1_000
NO_CATEGORIES = np.empty((0, 3), np.float32)

# What is rarer counts as so rare: a value missing where hardly any was, a category hardly ever seen.  Nor is anything
# rarer than 1 in n + 1 where n rows tell it.
RAREST = 1e-3
MOST_CATEGORIES = 50  # of a column that have a coordinate each
BITS = 16  # coordinates that the others share where there are any: of two of them about half differ

# Each column has a z-score and a normal score, or categories, whose variances add up to this.
VARIANCE = 2.0

FARTHEST = 1e9  # beyond which squares would overflow
VALUES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Scaling:
    """How the columns of a table are distributed.

    numbers : (5 + q, d) float32: of each column of numbers the mean, the standard deviation (0 for a constant one),
        what normal scores are divided by, where missing values lie on a coordinate of their own (0 for none, if none
        are missing), how far out a value lies that leaves a constant column, or that is missing from a full one, and up
        to q quantiles, evenly placed, then NaN.
    categories : (m, 3) float32: of each column of categories, those with a coordinate of their own in ascending order,
        NaN for the missing, and last infinity, once or several times, for all others, which share these coordinates:
        column, category, and where it lies on its coordinate."""

    numbers: Vectors
    categories: Vectors

    @classmethod
    def find(cls, rows: Vectors, categorical: Sequence[int] = ()) -> Self:
        """Learn from rows, (n, d), NaN where a value is missing; categorical : the columns of categories."""
        numbers = _distribution(rows)
        numbers[:, list(categorical)] = 0
        categories = [_categories(column, rows[:, column]) for column in sorted(categorical)]
        return cls(numbers, np.concatenate([NO_CATEGORIES, *categories]))

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, numbers: Vectors, categories: Vectors) -> Self:
        """Restore what `as_arrays` gave."""
        return cls(numbers, categories)

    def check(self, dimension: int) -> None:
        """Raise ValueError unless rows of a dimension can teach this."""
        numbers, categories = self.numbers, self.categories
        if numbers.dtype != np.float32 or categories.dtype != np.float32:
            raise ValueError("a scaling must be float32")
        if numbers.ndim != 2 or numbers.shape[1] != dimension or len(numbers) <= 5:
            raise ValueError(f"columns scaled by {numbers.shape} for {dimension} of them")
        if not np.isfinite(numbers[:5]).all() or (numbers[1:5] < 0).any():
            raise ValueError("means must be finite, and deviations finite and at least 0")
        if (np.diff(numbers[5:], axis=0) < 0).any() or np.isinf(numbers[5:]).any():
            raise ValueError("quantiles must ascend")
        if categories.shape != (len(categories), 3) or not np.isfinite(categories[:, [0, 2]]).all():
            raise ValueError(f"categories of {categories.shape}")
        columns = categories[:, 0]
        if not np.isin(columns, np.arange(dimension)).all() or (np.diff(columns) < 0).any():
            raise ValueError(f"categories must be of columns in 0 ... {dimension - 1}, ascending")

    @property
    def categorical(self) -> list[int]:
        """The columns of categories, ascending."""
        return sorted({int(column) for column in self.categories[:, 0]})

    @property
    def owners(self) -> Positions:
        """The column that each coordinate of a scaled row comes from, (v,)."""
        d = self.numbers.shape[1]
        numeric = np.setdiff1d(np.arange(d), self.categorical)
        incomplete = numeric[self._incomplete(numeric)]
        return np.concatenate([numeric, numeric, incomplete, self.categories[:, 0].astype(np.int64)])

    def apply(self, rows: Vectors) -> Vectors:
        """Return rows, (n, d), in coordinates whose differences compare: (n, v) float32.

        Of a number, its z-score, which tells how far out it is, and the normal score of the quantile that it is, which
        serves skewed and heavy-tailed columns: no single view serves all tables.  Of a column with missing values,
        whether it is missing.  Of a category, one coordinate for each, farther from the others the rarer it is (the
        chi-squared distance of multiple correspondence analysis, Greenacre, 1984)."""
        scaled = np.empty((len(rows), len(self.owners)), np.float32)
        step = max(1, VALUES_AT_ONCE // scaled.shape[1])
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            scaled[part] = np.concatenate(
                [*self._numeric_coordinates(rows[part]), *self._categorical_coordinates(rows[part])], axis=1
            )
        return scaled

    def _numeric_coordinates(self, rows: Vectors) -> list[Scores]:
        numeric = np.setdiff1d(np.arange(rows.shape[1]), self.categorical)
        means, deviations, spreads, missing_at, far_out = self.numbers[:5, numeric].astype(np.float64)
        values = rows[:, numeric]
        missing = np.isnan(values)
        incomplete = self._incomplete(numeric)
        away = values - means
        z_scores = np.where(deviations > 0, away / np.where(deviations > 0, deviations, 1), far_out * np.sign(away))
        z_scores = np.where(missing, np.where(incomplete, 0, -far_out), z_scores.clip(-FARTHEST, FARTHEST))
        normal = np.where(missing, 0, _normal_scores(values, self.numbers[5:, numeric]) / spreads)
        return [z_scores, normal, missing[:, incomplete] * missing_at[incomplete]]

    def _incomplete(self, columns: Positions) -> Flags:
        """Tell which columns of numbers, (c,), have missing values."""
        incomplete: Flags = self.numbers[3, columns] > 0
        return incomplete

    def _categorical_coordinates(self, rows: Vectors) -> Iterator[Scores]:
        columns, starts = np.unique(self.categories[:, 0].astype(np.int64), return_index=True)
        for column, own in zip(columns.tolist(), np.split(self.categories, starts[1:]), strict=False):
            _, known, coordinates = own.T.astype(np.float64)
            values = rows[:, column]
            n_known = len(known) - int(np.isinf(known).sum())
            places = np.searchsorted(known[:n_known], values).clip(max=len(known) - 1)
            is_known = (known[places] == values) | (np.isnan(known[places]) & np.isnan(values))
            placed = np.zeros((len(rows), len(known)))
            placed[is_known, places[is_known]] = coordinates[places[is_known]]
            placed[~is_known, n_known:] = coordinates[n_known:] * _signs(values[~is_known], len(known) - n_known)
            yield placed


def _distribution(rows: Vectors) -> Vectors:
    """Return what `Scaling.numbers` holds of rows, (n, d)."""
    there = ~np.isnan(rows)
    present = there.sum(axis=0)
    quantiles = np.full((min(MOST_KNOTS, len(rows)), rows.shape[1]), np.nan, np.float32)
    for column, (values, count) in enumerate(zip(np.sort(rows, axis=0).T, present, strict=True)):
        knots = min(MOST_KNOTS, count)  # values as they are: between them, equal ones would fall apart
        quantiles[:knots, column] = values[np.rint(np.linspace(0, count - 1, knots)).astype(int)]
    means, deviations = _mean_and_deviation(rows.astype(np.float64), there)
    _, spreads = _mean_and_deviation(_normal_scores(rows, quantiles), there)
    constant = np.fmax.reduce(rows, axis=0) == np.fmin.reduce(rows, axis=0)
    means[constant], deviations[constant] = rows[there.argmax(axis=0)[constant], constant], 0
    rarest = _rarest(len(rows))
    shares = np.clip(1 - present / len(rows), rarest, 1 - rarest)
    missing_at = np.where(present < len(rows), np.sqrt(VARIANCE / (shares * (1 - shares))), 0)
    far_out = np.full(rows.shape[1], np.sqrt(VARIANCE / rarest))
    moments = [means, deviations, np.where(spreads > 0, spreads, 1), missing_at, far_out]
    numbers: Vectors = np.concatenate([np.stack(moments), quantiles]).astype(np.float32)
    return numbers


def _mean_and_deviation(values: Scores, there: Flags) -> tuple[Scores, Scores]:
    """Return the mean and the standard deviation of what is there of each column of values, (n, d); 0 of nothing."""
    counts = np.maximum(there.sum(axis=0), 1)
    means = np.where(there, values, 0).sum(axis=0) / counts
    deviations = np.sqrt(np.square(np.where(there, values - means, 0)).sum(axis=0) / counts)
    return means, deviations


def _categories(column: int, values: Vectors) -> Vectors:
    """Return what `Scaling.categories` holds of a column, (n,): the commoner a category, the nearer it lies to 0.

    What was never seen is as rare as what was seen once (Good, 1953), or as the mean of those without a coordinate."""
    known, counts = np.unique(values, return_counts=True)
    n, once = len(values), int((counts == 1).sum())
    most = np.sort(np.argsort(-counts, kind="stable")[:MOST_CATEGORIES])
    shares, rare = counts[most] / n, len(known) - len(most)
    other = (1 - shares.sum()) / rare if rare else once / n
    bits = BITS if rare or once else 1
    away = np.sqrt(VARIANCE / max(1, len(known) - 1) / np.maximum(np.append(shares, other), _rarest(n)))
    coordinates = np.append(away[:-1], np.full(bits, away[-1] / np.sqrt(bits)))
    codes = np.append(known[most], np.full(bits, np.inf))
    return np.stack([np.full(len(codes), column), codes, coordinates], axis=1).astype(np.float32)


def _signs(codes: Vectors, count: int) -> Scores:
    """Return so many signs for each code, (n,), as if at random: (n, count) of -1 and 1, or of 1 if there is one."""
    mixed = np.nan_to_num(codes).astype(np.int64).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = mixed[:, None] >> np.arange(63, 63 - count, -1, dtype=np.uint64) & np.uint64(1)
    return np.where(bits > 0, 1.0, -1.0) if count > 1 else np.ones((len(codes), 1))


def _rarest(n: int) -> float:
    """Return the smallest share that n rows tell."""
    return max(RAREST, 1 / (n + 1))


def _normal_scores(rows: Array, quantiles: Array) -> Scores:
    """Return the standard normal value of the quantile that each value is, (n, d); of equal ones the middle."""
    shares = np.full(rows.shape, 0.5)
    counts = (~np.isnan(quantiles)).sum(axis=0)
    places = {n: np.linspace(0, 1, n) for n in set(counts.tolist())}
    for column, n in enumerate(counts.tolist()):
        if n:
            values, knots = rows[:, column], quantiles[:n, column]
            upper = np.interp(values, knots, places[n])
            lower = np.interp(-values, -knots[::-1], -places[n][::-1])
            shares[:, column] = (upper - lower) / 2
    edges = 0.5 / np.maximum(counts, 1)
    scores: Scores = scipy.special.ndtri(np.clip(shares, edges, 1 - edges))
    return scores


def by_column(parts: Scores, owners: Positions, n_columns: int, scores: Scores) -> Scores:
    """Add up the parts of scores by coordinate, (n, v), over the columns that own these, (v,).

    scores : (n,) what the parts of each row add up to but for rounding.  Returns (n, n_columns), which add up to it."""
    by_column = np.zeros((len(parts), n_columns))
    np.add.at(by_column.T, owners, parts.T)
    totals = by_column.sum(axis=1)  # along memory: in an order that does not depend on the number of rows
    return by_column * (scores / np.where(totals > 0, totals, 1))[:, None]
