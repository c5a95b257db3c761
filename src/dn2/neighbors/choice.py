"""How a reference set is searched and stored: as asked for, or as its size suggests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dn2.errors import InputError
from dn2.neighbors.blocks import SCALE_BYTES, STORAGES

INDEXES = ("auto", "exact", "kdtree", "kmeans-tree", "approximate")

# From so many rows on a set is searched approximately by default, and so many numbers; a scaled table, whose rows are
# short but of uneven columns, later.  Below it an exact search of a thousand queries takes about a second.
APPROXIMATE_FROM = 20_000
APPROXIMATE_NUMBERS = 1 << 25
APPROXIMATE_TABLES_FROM = 200_000

# Where a kd-tree is faster than comparing with all rows: benchmarks/results/trees.txt.
TREE_FROM = 20_000
TREE_DIMENSIONS = 4

# What fitting and scoring take beside the rows: libraries and buffers, and for each row its name and its cell.
FIXED_BYTES = 450 << 20
BYTES_A_ROW = 700
BYTES_A_RESULT = 2_500

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 1 << 10, "MIB": 1 << 20}
UNITS |= {"GIB": 1 << 30, "TIB": 1 << 40}


@dataclass(frozen=True)
class Method:
    """How a set is searched.

    name : one of `INDEXES` but auto, or `kmeans`; count : of centroids, or of leaves that are visited, None for all.
    why : the reason, in words."""

    name: str
    count: int | None = None
    why: str = "as asked for"


def parse_index(index: Any) -> Method:
    """Read the name of an index; `kmeans:C` has C centroids, and `kmeans-tree:L` visits L leaves.

    Raises InputError for any other."""
    if isinstance(index, str):
        if index in INDEXES:
            return Method(index)
        if found := re.fullmatch("(kmeans|kmeans-tree):0*([1-9][0-9]{0,8})", index):
            return Method(found[1], int(found[2]))
    raise InputError(
        f"the index must be {', '.join(INDEXES)}, kmeans:C with C centroids, such as kmeans:100, or kmeans-tree:L with "
        f"L leaves visited, got {index!r}"
    )


def choose_method(parameters: Mapping[str, Any], n: int, dimension: int) -> Method:
    """Choose how n rows are searched, for the parameters of a `KNNDetector`, by name."""
    method = parse_index(parameters["index"])
    if method.name != "auto":
        return method
    rate = parameters["false_alarm_rate"]
    size = f"{n:,} rows of {dimension:,} numbers"
    if parameters["scale_columns"]:
        large = n >= APPROXIMATE_TABLES_FROM
    else:
        large = n >= APPROXIMATE_FROM and n * dimension >= APPROXIMATE_NUMBERS
        as_they_are = not (parameters["whiten"] or parameters["contaminated"] or parameters["window"])
        if n >= TREE_FROM and dimension <= TREE_DIMENSIONS and as_they_are:
            return Method("kdtree", why=f"{size} are many and short")
    if not large:
        return Method("exact", why=f"{size} are few enough")
    if rate is not None and rate * (n // 2 + 1) < 1 and not parameters["window"]:
        return Method("exact", why=f"a false-alarm rate of {rate:g} takes more than half of {size} to calibrate")
    return Method("approximate", why=f"{size} are many")


def parse_memory(limit: Any) -> int | None:
    """Return a limit of memory in bytes: a number, or a text such as 4GB or 512MiB.  Raises InputError."""
    if limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and limit > 0):
        return limit
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)", limit) if isinstance(limit, str) else None
    if found and found[2].upper() in UNITS and (size := int(float(found[1]) * UNITS[found[2].upper()])):
        return size
    raise InputError(f"a limit of memory must be a size such as 4GB or 512MiB, got {limit!r}")


def choose_storage(parameters: Mapping[str, Any], n: int, dimension: int, beside: int = 0) -> str:
    """Choose how n rows are stored: as asked for, or the most precise way that the memory allows.

    beside : bytes that are held besides.
    Raises InputError, with the size needed, where the memory does not suffice."""
    asked, limit = parameters["storage"], parse_memory(parameters["memory_limit"])
    if limit is None:
        return "float32" if asked == "auto" else str(asked)
    candidates = [asked] if asked != "auto" else ["float32"] if parameters["scale_columns"] else list(STORAGES)
    for storage in candidates:
        needed = needed_bytes(parameters, n, dimension, storage) + beside
        if needed <= limit:
            return str(storage)
    raise out_of_memory(f"{n:,} rows of {dimension:,} numbers, stored as {storage},", needed, limit)


def check_scoring(parameters: Mapping[str, Any], limit: Any, n: int, dimension: int, n_queries: int) -> None:
    """Raise InputError where scoring takes more memory than a limit: n reference items, which are mapped."""
    allowed = parse_memory(limit)
    copies = n * dimension * _copied_numbers(parameters) * 4
    needed = FIXED_BYTES + n * BYTES_A_ROW + copies + n_queries * BYTES_A_RESULT
    if allowed is not None and needed > allowed:
        raise out_of_memory(f"{n_queries:,} items against {n:,} reference items", needed, allowed)


def out_of_memory(what: str, needed: int, limit: int) -> InputError:
    """Say that something takes more memory than allowed."""
    sizes = f"about {needed / 1e9:.3g} GB of memory, {limit / 1e9:.3g} GB are allowed"
    return InputError(f"{what} need {sizes}; allow more, or take fewer")


def _copied_numbers(parameters: Mapping[str, Any]) -> int:
    """Return how many numbers a search holds for each number of a row that is scaled, whitened or may stand aside."""
    if parameters["scale_columns"]:
        return 3
    return int(parameters["whiten"] or parameters["contaminated"])


def needed_bytes(parameters: Mapping[str, Any], n: int, dimension: int, storage: str) -> int:
    """Estimate the memory that fitting n rows takes, less what the system's page cache holds."""
    width = dimension * STORAGES[storage].itemsize + (SCALE_BYTES if storage == "uint8" else 0)
    copies = _copied_numbers(parameters) + (parameters["window"] is not None)  # windows are compared with each other
    return FIXED_BYTES + n * (width + 4 * dimension * copies + BYTES_A_ROW)
