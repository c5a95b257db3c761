"""What the names of items tell of their order, and of the parts that they may belong to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from dn2.arrays import Positions
from dn2.inputs.labels import FOLDER, labels_by

MOST_NAMES, LONGEST_NAME = 100_000, 500
MOST_NUMBERS = 3  # of a name, the last ones

ENDING = re.compile(r"\.\w{1,5}$")
NUMBER = re.compile(r"\d{1,18}")

# A part is named by its folder, or by what is left of a name: without its last field, or that from a number on; without
# its last letter, as in tile12b; without its last two fields; by its first field, or its second.
RULES = (
    FOLDER,
    r"(.*)[-_ ]\d+\D*",
    r"(.*)[-_ ][^-_ /]+",
    r"(.*\d)[A-Za-z]+(?:\.\w+)?",
    r"(.*)[-_ ][^-_ /]+[-_ ][^-_ /]+",
    r"([^-_ ]+)[-_ ].*",
    r"[^-_ ]+[-_ ]([^-_ ]+)[-_ ].*",
)


def orders_of(names: Sequence[str]) -> list[Positions]:
    """Return the rank of each item, (n,), in each order that names tell: as they come, and by each of their numbers.

    A number orders items where at least half of its values differ, and another order does not follow from it."""
    n = len(names)
    orders = [np.arange(n, dtype=np.int64)]
    if n > MOST_NAMES:
        return orders
    numbers = [[int(digits) for digits in NUMBER.findall(ENDING.sub("", name[-LONGEST_NAME:]))] for name in names]
    for place in range(1, MOST_NUMBERS + 1):
        values = np.array([of_name[-place] if len(of_name) >= place else -1 for of_name in numbers], np.int64)
        ranks = np.argsort(np.argsort(values, kind="stable")).astype(np.int64)
        if 2 * len(np.unique(values)) >= n and not any(np.array_equal(ranks, known) for known in orders):
            orders.append(ranks)
    return orders


def labels_by_name(names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Give the rules by which names may tell parts, as `labels_by` takes them, and the part of each item; only rules
    that label all items."""
    if not 0 < len(names) <= MOST_NAMES or max(map(len, names)) > LONGEST_NAME:
        return
    for rule in RULES:
        labels = [label for label in labels_by(rule, names, {}, "part") if label is not None]
        if len(labels) == len(names):
            yield rule, labels


def numbered(labels: Sequence[int]) -> list[str]:
    """Name parts by number, in the order in which they come."""
    names: dict[int, str] = {}
    return [names.setdefault(label, f"part {len(names) + 1}") for label in labels]
