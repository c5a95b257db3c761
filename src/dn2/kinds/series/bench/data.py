"""Series whose anomalous points are known, as arrays or tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dn2.arrays import Flags, Numbers
from dn2.bench.arrays import load_arrays
from dn2.errors import InputError
from dn2.inputs.files import find_items
from dn2.inputs.tables import TABLE_SUFFIXES, read_table

VALUES = ("values", "X", "v")
STAMPS = frozenset({"t", "time", "timestamp", "date", "datetime"})  # columns that are left out of the values
LABELS = ("anomaly", "is_anomaly", "label", "window", "y")
SUFFIXES = TABLE_SUFFIXES | {".npz"}
FEWEST = 12  # points that windows can be cut from and compared


@dataclass(frozen=True)
class LabelledSeries:
    """A series with known anomalies.

    Parameters
    ----------
    group : str
        The row of the table: an average over its series.
    name : str
    values : ndarray of shape (n, c)
    anomalous : ndarray of shape (n,), bool
        True for some points, False for others."""

    group: str
    name: str
    values: Numbers
    anomalous: Flags


def read_labelled(data: Path) -> list[LabelledSeries]:
    """Read all series below a folder, or of one file.

    A .npz has GROUP/NAME/values, or X or v, (n,) or (n, c), and beside it GROUP/NAME/anomaly, or another of `LABELS`,
    (n,), that is 0 for normal points.  A table has one series: its columns of numbers, one of which is the label; a
    column named as one of `STAMPS` is left out of the values.
    Series with only normal or only anomalous points are left out.
    Raises InputError unless a series is left, and values and labels fit together."""
    series: list[LabelledSeries] = []
    for item in find_items(data, SUFFIXES):
        path = Path(item.path)
        series += _read_arrays(path) if path.suffix.lower() == ".npz" else [_read_series_table(path, data)]
    usable = [item for item in series if 0 < item.anomalous.sum() < len(item.anomalous) >= FEWEST]
    if not usable:
        raise InputError(
            f"{data} holds no series with known anomalies: arrays GROUP/NAME/values with GROUP/NAME/anomaly, or tables "
            f"with one of the columns {', '.join(LABELS)}"
        )
    return usable


def _read_arrays(path: Path) -> Iterator[LabelledSeries]:
    example = "**{'group/name/values': ..., 'group/name/anomaly': ...}"
    loaded, _ = load_arrays(path, example, lambda name: name.rpartition("/")[2] in {*VALUES, *LABELS})
    for name, values in loaded.items():
        folder, _, last = name.rpartition("/")
        labels = next(
            (loaded[f"{folder}/{label}"] for label in LABELS if folder and f"{folder}/{label}" in loaded), None
        )
        if last in VALUES and labels is not None:
            group, _, series_name = folder.rpartition("/")
            yield _check_series(group or path.stem, series_name, values, labels, f"{path}, {folder}")


def _read_series_table(path: Path, data: Path) -> LabelledSeries:
    table = read_table(str(path))
    columns = {name: column for name, column in table.columns.items() if name.lower() not in STAMPS}
    numbers = {name: column for name, column in columns.items() if column.dtype == np.float64}
    label = next((name for name in LABELS if name in numbers), None)
    if label is None or len(numbers) < 2:
        raise InputError(f"{path} must have a column of numbers {' or '.join(LABELS)} and one of values")
    values = np.stack([column for name, column in numbers.items() if name != label], axis=1)
    return _check_series(path.parent.name if path != data else path.stem, path.stem, values, numbers[label], str(path))


def _check_series(group: str, name: str, values: Any, labels: Any, where: str) -> LabelledSeries:
    if (
        values.ndim not in (1, 2)
        or labels.shape != values.shape[:1]
        or {values.dtype.kind, labels.dtype.kind} & set("OSU")
    ):
        raise InputError(
            f"{where}: values and labels must be numbers of one series, got {values.shape} and {labels.shape}"
        )
    rows = values.reshape(len(values), -1).astype(np.float64)
    if not (np.isfinite(rows).all() and np.isfinite(labels).all()):
        raise InputError(f"{where}: values and labels must be finite numbers; fill in or leave out what is missing")
    return LabelledSeries(group, name, rows, labels.astype(bool))
