"""Windows of series: the shape and the level of each, in the units of the reference series' spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dn2.arrays import Numbers
from dn2.errors import InputError
from dn2.kinds.series.grid import Stretch

WindowVectors = np.ndarray[Any, np.dtype[np.float32]]

# Measured on series of many kinds: benchmarks/results/series.txt.
LARGEST_DEFAULT = 200
SHARE_DEFAULT = 4  # a window has at most this fraction, 1 in 4, of the points
LEVEL_WEIGHT = 0.5  # of a window's mean beside its shape

FARTHEST = 1e12  # standard deviations; larger values are cut off, as float32 would overflow


@dataclass(frozen=True, repr=False)
class SeriesEmbedder:
    """Embeds windows of series.

    A window becomes its values less their mean, and the mean, of each column; both in units of the column's standard
    deviation in the reference series, and such that the squared distance of two windows is the mean over their points
    of the squared difference of their shapes, plus a quarter of that of their means, summed over the columns.

    columns : their names.  window : number of points.  step : the time between two of them, in seconds or in the unit
    of the stamps.  centre, scale : (c,) mean and standard deviation of each column."""

    columns: tuple[str, ...]
    window: int
    step: float
    centre: Numbers
    scale: Numbers

    @classmethod
    def learn(cls, columns: Sequence[str], window: int, step: float, stretches: Sequence[Stretch]) -> Self:
        """Learn the mean and the scale of each column; a constant column has the scale 1.

        Raises InputError for values so large that their standard deviation overflows."""
        values = np.concatenate([stretch.values for stretch in stretches])
        with np.errstate(over="ignore", invalid="ignore"):
            centre, scale = values.mean(axis=0), values.std(axis=0)
        for name, spread in zip(columns, scale.tolist(), strict=True):
            if not np.isfinite(spread):
                raise InputError(f"the column {name!r} has values up to {np.abs(values).max():.3g}; scale them down")
        constant = scale <= 1e-12 * np.abs(values).max(axis=0)
        return cls(tuple(columns), window, step, centre, np.where(constant, 1, scale))

    def __repr__(self) -> str:
        return f"<SeriesEmbedder of {len(self.columns):,} columns in windows of {self.window:,} points>"

    @property
    def dimension(self) -> int:
        """The length of an embedding."""
        return len(self.columns) * (self.window + 1)

    def count(self, values: Numbers) -> int:
        """Return the number of windows in values on an even grid, (p, c)."""
        return max(0, len(values) - self.window + 1)

    def embed(self, values: Numbers, first: int = 0, last: int | None = None) -> WindowVectors:
        """Embed the windows that start at first ... last - 1 in values on an even grid, (p, c): (m, d)."""
        last, width = self.count(values) if last is None else last, self.window
        with np.errstate(over="ignore"):
            scaled = ((values[first : last + width - 1] - self.centre) / self.scale).clip(-FARTHEST, FARTHEST)
        embedded = np.empty((last - first, self.dimension), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(scaled, width, axis=0)
        means = windows.mean(axis=2)
        for number in range(len(self.columns)):
            part = slice(number * width, (number + 1) * width)
            np.subtract(windows[:, number], means[:, number, None], out=embedded[:, part], casting="same_kind")
        embedded[:, : len(self.columns) * width] /= np.float32(np.sqrt(width))
        embedded[:, len(self.columns) * width :] = LEVEL_WEIGHT * means
        return embedded

    def values_of(self, windows: WindowVectors) -> Numbers:
        """Return the values that windows, (m, d), were made of: (m, window, c)."""
        count, width = len(self.columns), self.window
        shapes, means = windows[:, : count * width].astype(np.float64), windows[:, count * width :]
        centred = shapes.reshape(len(windows), count, width) * np.sqrt(width) + means[:, :, None] / LEVEL_WEIGHT
        values: Numbers = np.swapaxes(centred, 1, 2) * self.scale + self.centre
        return values

    def by_column(self, window: WindowVectors, near: WindowVectors) -> Numbers:
        """Split the mean squared distance of a window, (d,), to its neighbours, (k, d), over the columns: (c,)."""
        squares = np.square(near.astype(np.float64) - window).mean(axis=0)
        count, width = len(self.columns), self.window
        parts: Numbers = squares[: count * width].reshape(count, width).sum(axis=1) + squares[count * width :]
        return parts

    def as_dict(self) -> dict[str, Any]:
        """Describe the embedder, for `model.json`."""
        return {
            "columns": list(self.columns),
            "window": self.window,
            "step": self.step,
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "level_weight": LEVEL_WEIGHT,
        }

    @classmethod
    def from_dict(cls, about: Mapping[str, Any]) -> Self:
        """Restore what `as_dict` gave.  Raises ValueError and the like for any other content."""
        window, step = about["window"], float(about["step"])
        centre, scale = (np.array(about[name], np.float64) for name in ("centre", "scale"))
        columns = tuple(map(str, about["columns"]))
        if not isinstance(window, int) or window < 2 or not 0 < step < np.inf or about["level_weight"] != LEVEL_WEIGHT:
            raise ValueError(f"windows of {window!r} points, {step} apart, with the level at {about['level_weight']}")
        if not centre.shape == scale.shape == (len(columns),) or not len(columns):
            raise ValueError(f"scales of {scale.shape} for {len(columns)} columns")
        if not (np.isfinite(centre).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError("scales must be finite numbers above 0")
        return cls(columns, window, step, centre, scale)


def choose_window(n_points: int) -> int:
    """Choose the length of windows by the points of the longest series: 200, or a quarter of them if they are fewer."""
    return min(LARGEST_DEFAULT, n_points // SHARE_DEFAULT)
