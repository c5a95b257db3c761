"""Series of which it is known which points are anomalous, as arrays or tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dn2.bench.arrays import load_arrays
from dn2.bench.data import Flags
from dn2.errors import InputError
from dn2.inputs.files import find_items
from dn2.inputs.tables import TABLE_SUFFIXES, read_table

VALUES = ("values", "X", "v")
STAMPS = frozenset({"t", "time", "timestamp", "date", "datetime"})  # which are no values
LABELS = ("anomaly", "is_anomaly", "label", "window", "y")
SUFFIXES = TABLE_SUFFIXES | {".npz"}
FEWEST = 12  # points of which windows can be compared

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class LabelledSeries:
    """A series with known anomalies.

    group : what the table averages over.  values : (n, c); anomalous : (n,) bool, some of them and not all."""

    group: str
    name: str
    values: Values
    anomalous: Flags


def read_labelled(data: Path) -> list[LabelledSeries]:
    """Read all series below a folder, or of one file.

    A .npz has GROUP/NAME/values, or X or v, (n,) or (n, c), and beside it GROUP/NAME/anomaly, or another of `LABELS`,
    (n,), that is 0 for normal points.  A table has one series: its columns of numbers, one of which is the label; one
    named as `STAMPS` are is none of the values.
    Series without any anomaly, or with nothing else, tell nothing and are left out.
    Raises InputError if none is left, or for values and labels that do not fit."""
    found: list[LabelledSeries] = []
    for item in find_items(data, SUFFIXES):
        path = Path(item.path)
        found += _of_arrays(path) if path.suffix.lower() == ".npz" else [_of_table(path, data)]
    usable = [one for one in found if 0 < one.anomalous.sum() < len(one.anomalous) >= FEWEST]
    if not usable:
        raise InputError(
            f"{data} holds no series with known anomalies: arrays GROUP/NAME/values with GROUP/NAME/anomaly, or tables "
            f"with one of the columns {', '.join(LABELS)}"
        )
    return usable


def _of_arrays(path: Path) -> Iterator[LabelledSeries]:
    example = "**{'group/name/values': ..., 'group/name/anomaly': ...}"
    loaded, _ = load_arrays(path, example, lambda name: name.rpartition("/")[2] in {*VALUES, *LABELS})
    for name, values in loaded.items():
        folder, _, last = name.rpartition("/")
        labels = next((loaded[f"{folder}/{one}"] for one in LABELS if folder and f"{folder}/{one}" in loaded), None)
        if last in VALUES and labels is not None:
            group, _, own = folder.rpartition("/")
            yield _checked(group or path.stem, own, values, labels, f"{path}, {folder}")


def _of_table(path: Path, data: Path) -> LabelledSeries:
    table = read_table(str(path))
    columns = {name: column for name, column in table.columns.items() if name.lower() not in STAMPS}
    numbers = {name: column for name, column in columns.items() if column.dtype == np.float64}
    label = next((name for name in LABELS if name in numbers), None)
    if label is None or len(numbers) < 2:
        raise InputError(f"{path} must have a column of numbers {' or '.join(LABELS)} and one of values")
    values = np.stack([column for name, column in numbers.items() if name != label], axis=1)
    return _checked(path.parent.name if path != data else path.stem, path.stem, values, numbers[label], str(path))


def _checked(group: str, name: str, values: Any, labels: Any, where: str) -> LabelledSeries:
    if (
        values.ndim not in (1, 2)
        or labels.shape != values.shape[:1]
        or {values.dtype.kind, labels.dtype.kind} & set("OSU")
    ):
        raise InputError(f"{where}: values of {values.shape} and labels of {labels.shape} are not those of one series")
    rows = values.reshape(len(values), -1).astype(np.float64)
    if not (np.isfinite(rows).all() and np.isfinite(labels).all()):
        raise InputError(f"{where}: values and labels must be finite numbers; fill in or leave out what is missing")
    return LabelledSeries(group, name, rows, labels.astype(bool))
