"""Tables with known anomalies, as `.npz` files, and how they are split into reference rows and queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dn2.arrays import Array, Flags
from dn2.bench.arrays import SUFFIX, load_arrays
from dn2.bench.split import Split, halve_normal
from dn2.errors import InputError
from dn2.neighbors.checks import check_values
from dn2.system.interface import option


@dataclass(frozen=True)
class TabularSet:
    """A table whose anomalous rows are known.

    Parameters
    ----------
    name : str
    rows : ndarray of shape (n, d)
        Finite numbers of any type.
    anomalous : ndarray of shape (n,), bool"""

    name: str
    rows: Array
    anomalous: Flags

    @property
    def n_reference(self) -> int:
        """Number of reference rows of a split."""
        return int((~self.anomalous).sum()) // 2

    def split(self, seed: int) -> Split:
        """Take a random half of the normal rows as reference; the other half and all anomalies are queries."""
        return halve_normal(self.anomalous, seed)


def read_sets(data: Path, n_neighbors: int) -> list[TabularSet]:
    """Read an `.npz` file, or all in a folder, by name: `X`, (n, d), and `y`, (n,), where 1 is an anomaly.

    n_neighbors : number k of neighbours, which must be fewer than the reference rows.
    Raises InputError unless there is a file and all of them can be used."""
    paths = sorted(path for path in data.glob(f"*{SUFFIX}") if path.is_file()) if data.is_dir() else [data]
    if not paths:
        raise InputError(
            f"{data} holds no {SUFFIX} files; each is to hold X, (n, d), and y, (n,), where 1 is an anomaly"
        )
    return [_read_set(path, n_neighbors) for path in paths]


def _read_set(path: Path, n_neighbors: int) -> TabularSet:
    rows, truth = _read_arrays(path)
    _check_rows(path, rows)
    if truth.shape != (len(rows),) or truth.dtype.kind not in "biuf" or not np.isin(truth, (0, 1)).all():
        raise InputError(f"{path}: y must be (n,) = ({len(rows)},) of 0 (normal) and 1 (anomaly), got {_kind(truth)}")
    table = TabularSet(path.stem, rows, truth.astype(bool))
    if not table.anomalous.any():
        raise InputError(f"{path}: y must be 1 for at least one row, an anomaly; leave the file out")
    if table.n_reference <= n_neighbors:
        raise InputError(
            f"{path}: {n_neighbors} neighbours need at least {n_neighbors + 1} reference rows, a half of "
            f"{int((~table.anomalous).sum())} normal rows has {table.n_reference}; leave the file out or ask for fewer "
            f"with {option('neighbors')}"
        )
    return table


def _read_arrays(path: Path) -> Sequence[Array]:
    if path.suffix.lower() != SUFFIX:
        raise InputError(f"{path} is no {SUFFIX} file; give one that holds X and y, or a folder of such files")
    arrays, names = load_arrays(path, "X=..., y=...", {"X", "y"}.__contains__)
    if not {"X", "y"} <= arrays.keys():
        raise InputError(f"{path} must hold the arrays X and y, got {', '.join(names) or 'nothing'}")
    return arrays["X"], arrays["y"]


def _check_rows(path: Path, rows: Array) -> None:
    if rows.ndim != 2 or 0 in rows.shape or rows.dtype.kind not in "biuf":
        raise InputError(f"{path}: X must be (n, d) numbers, n and d at least 1, got {_kind(rows)}")
    if not (finite := np.isfinite(rows)).all():
        row, column = np.argwhere(~finite)[0].tolist()
        raise InputError(
            f"{path}: X must be finite, got {rows[row, column]} in row {row}, column {column}; fill in or leave out "
            "what is missing"
        )
    try:
        check_values(rows)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _kind(array: Array) -> str:
    """Say what an array is: its type, its shape, and for a vector a value other than 0 and 1."""
    words = f"{array.dtype} of shape {array.shape}"
    if array.ndim == 1 and array.dtype.kind in "biuf" and not (is_label := np.isin(array, (0, 1))).all():
        words += f" with {array[~is_label][0]} in it"
    return words
