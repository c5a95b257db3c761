"""Tables with known anomalies, as `.npz` files, and how they are split into reference rows and queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dn2.bench.arrays import SUFFIX, load_arrays
from dn2.bench.data import Flags, Split
from dn2.errors import InputError
from dn2.neighbors.checks import check_values

Rows = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TabularSet:
    """A table of which it is known what is anomalous.

    rows : (n, d) finite numbers of any type; anomalous : (n,) bool."""

    name: str
    rows: Rows
    anomalous: Flags

    @property
    def n_reference(self) -> int:
        """Number of reference rows of a split."""
        return int((~self.anomalous).sum()) // 2

    def split(self, seed: int) -> Split:
        """Take a random half of the normal rows as reference; the other half and all anomalies are queries."""
        normal = np.random.default_rng(seed).permutation(np.flatnonzero(~self.anomalous))
        reference = np.sort(normal[: self.n_reference])
        queries = np.setdiff1d(np.arange(len(self.rows), dtype=np.int64), reference)
        return Split(reference, queries, self.anomalous[queries], np.empty(0, np.int64))


def read_sets(data: Path, n_neighbors: int) -> list[TabularSet]:
    """Read an `.npz` file, or all in a folder, by name: `X`, (n, d), and `y`, (n,), where 1 is an anomaly.

    n_neighbors : number k of neighbours, which must be fewer than the reference rows.
    Raises InputError if there is none, or one cannot be used."""
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
    found = TabularSet(path.stem, rows, truth.astype(bool))
    if not found.anomalous.any():
        raise InputError(f"{path}: y has no anomaly, that is no 1; leave the file out")
    if found.n_reference <= n_neighbors:
        raise InputError(
            f"{path}: {n_neighbors} neighbours need at least {n_neighbors + 1} reference rows, a half of "
            f"{int((~found.anomalous).sum())} normal rows has {found.n_reference}; leave the file out or ask for fewer "
            "with --neighbors"
        )
    return found


def _read_arrays(path: Path) -> Sequence[Rows]:
    if path.suffix.lower() != SUFFIX:
        raise InputError(f"{path} is no {SUFFIX} file; give one that holds X and y, or a folder of such files")
    found, names = load_arrays(path, "X=..., y=...", {"X", "y"}.__contains__)
    if not {"X", "y"} <= found.keys():
        raise InputError(f"{path} must hold the arrays X and y, got {', '.join(names) or 'nothing'}")
    return found["X"], found["y"]


def _check_rows(path: Path, rows: Rows) -> None:
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


def _kind(array: Rows) -> str:
    """Say what an array is: its type, its shape, and for a vector the values that are neither 0 nor 1."""
    words = f"{array.dtype} of shape {array.shape}"
    if array.ndim == 1 and array.dtype.kind in "biuf" and not (known := np.isin(array, (0, 1))).all():
        words += f" with {array[~known][0]} in it"
    return words
