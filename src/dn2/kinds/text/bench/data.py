"""Messages with known anomalies, as tables or JSON Lines, and how they are split into reference and queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dn2.arrays import Flags
from dn2.bench.split import Split, halve_normal
from dn2.errors import InputError
from dn2.inputs.columns import text_of, write_column
from dn2.inputs.files import NAMED_ONLY
from dn2.inputs.json_files import read_records
from dn2.inputs.tables import TABLE_SUFFIXES, read_table
from dn2.kinds.text.embedder import problem_of
from dn2.system.naming import ending_of

TEXT, SPLIT = "text", "split"
LABELS = ("label", "intent")
ANOMALOUS = frozenset({"1", "true", "anomaly", "anomalous", "spam", "oos"})
TRAIN, TEST = "train", "test"
SUFFIXES = TABLE_SUFFIXES - NAMED_ONLY


@dataclass(frozen=True)
class TextSet:
    """Messages whose anomalies are known.

    Parameters
    ----------
    name : str
    texts : sequence of str
        Of length n.
    anomalous : ndarray of shape (n,), bool
    in_train, in_test : ndarray of shape (n,), bool, or None
        The data's own split; None for data without one, which is split at random."""

    name: str
    texts: Sequence[str]
    anomalous: Flags
    in_train: Flags | None = None
    in_test: Flags | None = None

    @property
    def random(self) -> bool:
        """Whether the split is drawn at random."""
        return self.in_train is None

    def split(self, seed: int) -> Split:
        """Take the normal messages of the data's training part as reference, and its test part as queries; for
        data without a split a random half of the normal messages as reference, and all others as queries."""
        if self.in_train is not None and self.in_test is not None:
            queries = np.flatnonzero(self.in_test)
            return Split(np.flatnonzero(self.in_train & ~self.anomalous), queries, self.anomalous[queries])
        return halve_normal(self.anomalous, seed)


def read_text_sets(data: Path, n_neighbors: int) -> list[TextSet]:
    """Read a file of labelled messages, or all in a folder, by name.

    A file has a column `text`, and `label` or `intent`, where 1, true, anomaly, anomalous, spam and oos are
    anomalous; with a column `split`, parts whose name ends in train and test are what they say.
    n_neighbors : number k of neighbours, which must be fewer than the reference messages.
    Raises InputError unless there is a file and all of them can be used."""
    paths = [data]
    if data.is_dir():
        paths = sorted(path for path in data.iterdir() if ending_of(path) in SUFFIXES and path.is_file())
    if not paths:
        raise InputError(
            f"{data} holds no file ending in {', '.join(sorted(SUFFIXES))}; each is to have the columns {TEXT} and "
            f"{' or '.join(LABELS)}"
        )
    return [_read_set(path, n_neighbors) for path in paths]


def _read_set(path: Path, n_neighbors: int) -> TextSet:
    columns = _read_columns(path)
    label = next((name for name in LABELS if name in columns), None)
    if TEXT not in columns or label is None:
        raise InputError(
            f"{path} must have the columns {TEXT} and {' or '.join(LABELS)}, got {', '.join(columns) or 'none'}"
        )
    usable = np.array([problem_of(text) is None for text in columns[TEXT]], bool)
    kept = {
        name: [value for value, good in zip(values, usable, strict=True) if good] for name, values in columns.items()
    }
    anomalous = np.isin([value.strip().lower() for value in kept[label]], list(ANOMALOUS))
    if not anomalous.any() or anomalous.all():
        raise InputError(
            f"{path}: {label} must tell anomalies ({', '.join(sorted(ANOMALOUS))}) from others, got "
            f"{', '.join(sorted(set(kept[label]))[:5])}"
        )
    parts = [
        np.array([value.lower().endswith(name) for value in kept[SPLIT]], bool) if SPLIT in kept else None
        for name in (TRAIN, TEST)
    ]
    labelled = TextSet(path.stem, kept[TEXT], anomalous, *parts)
    split = labelled.split(0)
    if len(split.reference) <= n_neighbors or not split.truth.any() or split.truth.all():
        raise InputError(
            f"{path}: {n_neighbors} neighbours need at least {n_neighbors + 1} reference messages, and queries of both "
            f"kinds; there are {len(split.reference):,} and {int(split.truth.sum()):,} of {len(split.truth):,}"
        )
    return labelled


def _read_columns(path: Path) -> Mapping[str, list[str]]:
    if path.suffix.lower() != ".jsonl":
        names_read = {TEXT, SPLIT, *LABELS}
        try:
            table = read_table(str(path), verbatim=names_read, only=names_read)
        except InputError as problem:
            raise InputError(
                f"{path} must have the columns {TEXT} and {' or '.join(LABELS)}, and may have {SPLIT}: {problem}"
            ) from problem
        return {name: [text or "" for text in write_column(cells).tolist()] for name, cells in table.columns.items()}
    records = list(read_records(path))
    for number, record, error in records:
        if error is not None or not isinstance(record, dict):
            raise InputError(f"{path}, line {number:,}: {error or 'it is to be a record'}")
    names = [name for name in (TEXT, SPLIT, *LABELS) if all(name in record for _, record, _ in records)]
    return {name: [text_of(record[name]) or "" for _, record, _ in records] for name in names}
