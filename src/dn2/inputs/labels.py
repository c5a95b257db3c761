"""What items belong to, by label: found in their names, in a column, or in a file that lists them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from dn2.errors import InputError
from dn2.inputs.label_columns import Labels, labelling
from dn2.inputs.names import list_few
from dn2.inputs.tables import read_table
from dn2.neighbors.membership import is_missing
from dn2.system.interface import option
from dn2.system.naming import identity

FOLDER = "folder"
LISTED = "@"  # before the name of a file that lists items
LONGEST_RULE = 1_000  # characters
MOST_REPEATS = 3  # without an end, in a pattern: more may take forever on a long name
FEW = 8  # times that a piece of a pattern is repeated are no repeat without an end


def labels_by(rule: Any, names: Sequence[str], columns: Mapping[str, Labels], name: str) -> Labels:
    """Label items, (n,), as a person says it.

    rule : a column; `folder`, the folder in each item's name; `@parts.csv`, a table of two columns, items and their
        labels; a pattern with one group, the part of each name that it matches; or n labels.
    names : of the items; columns : their labels by column, where they have any; name : of the option.
    Raises InputError for a rule that is none of these, and labels of another number."""
    if not isinstance(rule, str):
        return _given(rule, len(names), name)
    if rule in columns:
        return [label or None for label in columns[rule]]
    if rule == FOLDER:
        return [str(parent) if (parent := PurePosixPath(item).parent).name else None for item in names]
    if rule.startswith(LISTED):
        by_item = _read_list(rule.removeprefix(LISTED), name)
        return [by_item.get(identity(item)) for item in names]
    pattern = compile_pattern(rule, name, list(columns))
    matches = map(pattern.search, names)
    return [match[1] or None if match is not None else None for match in matches]


def check_all_labelled(labels: Labels, names: Sequence[str], rule: Any, name: str) -> list[str]:
    """Return labels, one for each item.  Raises InputError for items without one."""
    lacking = [item for item, label in zip(names, labels, strict=True) if label is None]
    if lacking:
        said = rule if isinstance(rule, str) else "..."
        raise InputError(
            f"{option(name, said)} must say of each item what it belongs to, and says nothing of {len(lacking):,} of "
            f"{len(names):,}: {list_few(lacking)}"
        )
    return [label for label in labels if label is not None]


def is_kept(rule: Any) -> bool:
    """Tell whether a model may apply a rule again: to names and columns alone, without another file."""
    return isinstance(rule, str) and not rule.startswith(LISTED)


def compile_pattern(text: str, name: str, columns: Sequence[str] = ()) -> re.Pattern[str]:
    """Compile a pattern for the names of items.

    Raises InputError unless it has one group, and for one that may take forever: it may come with a model."""
    ways = "a column, folder, @FILE.csv, or a pattern with one group such as '(.*)_[0-9]+'"
    there = f"; there are the columns {list_few(columns)}" if columns else ""
    try:
        pattern = re.compile(text) if len(text) <= LONGEST_RULE else None
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(f"{option(name, text)}: no pattern ({error}); give {ways}{there}") from error
    if pattern is None or pattern.groups != 1:
        groups = "too long" if pattern is None else f"a pattern with {pattern.groups} groups"
        raise InputError(f"{option(name, f'{text:.80}')} is {groups}; give {ways}{there}")
    repeats = list(_repeats(importlib.import_module("re._parser").parse(text), False))
    if None in repeats or len(repeats) > MOST_REPEATS:
        raise InputError(
            f"{option(name, text)} may take forever on a long name: a pattern has at most {MOST_REPEATS} repeats such "
            "as *, none of them inside another, and no reference to a group"
        )
    return pattern


def _repeats(parsed: Any, inside: bool) -> Iterator[Any]:
    """Give each repeat without an end in a parsed pattern, and None for what may take forever.

    inside : whether it stands in such a repeat."""
    for operation, argument in parsed:
        kind = str(operation)
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            is_open = int(argument[1]) > FEW
            if is_open:
                yield None if inside else kind
            yield from _repeats(argument[2], inside or is_open)
        elif kind in ("GROUPREF", "GROUPREF_EXISTS") or (kind == "BRANCH" and inside):
            yield None
        elif kind == "BRANCH":
            for branch in argument[1]:
                yield from _repeats(branch, inside)
        elif kind in ("SUBPATTERN", "ASSERT", "ASSERT_NOT", "ATOMIC_GROUP"):
            yield from _repeats(argument[-1] if isinstance(argument, tuple) else argument, inside)


def _given(labels: Any, n: int, name: str) -> Labels:
    """Return n labels as texts, None where one is missing."""
    labels = labels.tolist() if hasattr(labels, "tolist") else labels
    if isinstance(labels, (bytes, Mapping)) or not isinstance(labels, Iterable):
        raise InputError(f"{option(name)} must be a rule or a list of labels, got {labels!r:.80}")
    listed = list(labels)
    if len(listed) != n:
        raise InputError(f"{option(name)} must have a label for each of {n:,} items, got {len(listed):,}")
    return [None if is_missing(label) else str(label) for label in listed]


def _read_list(path: str, name: str) -> dict[str, str]:
    """Read a table of items and their labels, by the items' identities."""
    with labelling(None, None):
        table = read_table(path, text={"item", name})
    if "item" not in table.columns or name not in table.columns:
        raise InputError(f"{path} must have the columns item and {name}, got {list_few(list(table.columns))}")
    if table.errors:
        row = min(table.errors)
        raise InputError(f"{path}: row {row + 1} cannot be read: {table.errors[row]}")
    by_item: dict[str, str] = {}
    for item, label in zip(table.columns["item"].tolist(), table.columns[name].tolist(), strict=True):
        if item is None or label is None:
            continue
        if by_item.setdefault(identity(item), label) != label:
            raise InputError(f"{path}: the item {item!r} belongs to {by_item[identity(item)]!r} and to {label!r}")
    return by_item
