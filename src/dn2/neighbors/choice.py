"""How a reference set is searched and stored: as asked for, or as its size and the memory suggest."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from dn2.errors import InputError
from dn2.neighbors.blocks import SCALE_BYTES, STORAGES
from dn2.neighbors.memory import out_of_memory, parse_memory
from dn2.neighbors.search.method import Method
from dn2.neighbors.steps import Steps
from dn2.system.large_arrays import in_files

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


def choose_method(steps: Steps, n: int, dimension: int) -> Method:
    """Choose how n rows are searched."""
    method = steps.search.method
    if method.name != "auto":
        return method
    rate = steps.false_alarm_rate
    size = f"{n:,} rows of {dimension:,} numbers"
    if steps.scale is not None:
        large = n >= APPROXIMATE_TABLES_FROM
    else:
        large = n >= APPROXIMATE_FROM and n * dimension >= APPROXIMATE_NUMBERS
        as_they_are = not steps.makes_copies and steps.windows is None
        if n >= TREE_FROM and dimension <= TREE_DIMENSIONS and as_they_are:
            return Method("kdtree", why=f"{size} are many and short")
    if not large:
        return Method("exact", why=f"{size} are few enough")
    if rate is not None and rate * (n // 2 + 1) < 1 and steps.windows is None:
        return Method("exact", why=f"a false-alarm rate of {rate:g} takes more than half of {size} to calibrate")
    return Method("approximate", why=f"{size} are many")


def choose_storage(steps: Steps, n: int, dimension: int, beside: int = 0) -> str:
    """Choose how n rows are stored: as asked for, or the most precise way that the memory allows.

    beside : bytes that are held besides.
    Raises InputError, with the size needed, where the memory does not suffice."""
    asked, limit = steps.search.storage, parse_memory(steps.search.memory)
    if limit is None:
        return "float32" if asked == "auto" else asked
    candidates = [asked] if asked != "auto" else ["float32"] if steps.scale is not None else list(STORAGES)
    for storage in candidates:
        needed = needed_bytes(steps, n, dimension, storage) + beside
        if needed <= limit:
            return storage
    raise out_of_memory(f"{n:,} rows of {dimension:,} numbers, stored as {storage},", needed, limit)


def fits_in_memory(steps: Steps, n: int, dimension: int, beside: int = 0) -> bool:
    """Tell whether the memory allowed suffices for n rows in any storage to choose, see `choose_storage`."""
    try:
        choose_storage(steps, n, dimension, beside)
    except InputError:
        return False
    return True


def count_partitions(stored: int, blocks: int, allowed: int) -> int:
    """Return into how many partitions a set is cut, so that no process that searches one takes more memory than is
    allowed.

    stored : bytes of the set; blocks : of it, which are not cut; allowed : bytes.
    Raises InputError where less is allowed than a process takes by itself."""
    if allowed <= FIXED_BYTES:
        raise out_of_memory("a worker, by itself,", FIXED_BYTES, allowed)
    return max(1, min(blocks, math.ceil(stored / (allowed - FIXED_BYTES))))


def check_memory(steps: Steps, n: int, dimension: int, storage: str) -> None:
    """Raise InputError where n rows, stored in some way, take more memory than is allowed."""
    choose_storage(replace(steps, search=replace(steps.search, storage=storage)), n, dimension)


def check_scoring(steps: Steps, limit: Any, n: int, dimension: int, n_queries: int) -> None:
    """Raise InputError where scoring takes more memory than a limit: n reference items, which are mapped."""
    allowed = parse_memory(limit)
    copies = n * dimension * _numbers_copied(steps) * 4
    needed = FIXED_BYTES + n * BYTES_A_ROW + copies + n_queries * BYTES_A_RESULT
    if allowed is not None and needed > allowed:
        raise out_of_memory(f"{n_queries:,} items against {n:,} reference items", needed, allowed)


def needed_bytes(steps: Steps, n: int, dimension: int, storage: str) -> int:
    """Estimate the memory that fitting n rows takes, less what the system's page cache holds."""
    width = dimension * STORAGES[storage].itemsize + (SCALE_BYTES if storage == "uint8" else 0)
    width = width if in_files() is None else 0
    copies = _numbers_copied(steps) + (steps.windows is not None)  # windows are compared with each other
    return FIXED_BYTES + n * (width + 4 * dimension * copies + BYTES_A_ROW)


def _numbers_copied(steps: Steps) -> int:
    """Return how many numbers a search holds for each number of a row."""
    return 3 if steps.scale is not None else int(steps.makes_copies)
