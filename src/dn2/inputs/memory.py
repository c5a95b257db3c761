"""Items from memory: how they are distinguished from paths, and how they are named."""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from dn2.errors import InputError
from dn2.inputs.columns import is_missing
from dn2.system.naming import ending_of, identity, is_possible, writable

NAMES = "names="
LONGEST_PATH = 4_096  # characters; a longer text is not looked up as a path

T = TypeVar("T")


def hold_inputs(inputs: Any) -> Any:
    """Return inputs that can be read more than once: an iterator as a list, a planned frame collected, such as a
    LazyFrame of polars, and anything else unchanged."""
    if hasattr(type(inputs), "collect") and hasattr(type(inputs), "columns"):
        return inputs.collect()
    return list(inputs) if isinstance(inputs, Iterator) else inputs


def number_items(what: str, count: int) -> list[str]:
    """Name items by their positions, from 1 on."""
    return [f"{what} {number}" for number in range(1, count + 1)]


def label_items(labels: Iterable[Any]) -> list[str]:
    """Name items by labels, such as the keys of a dict.  Raises InputError unless the names are unique."""
    return _different([writable(str(label)) for label in labels])


def check_new_names(names: Any, count: int) -> list[str]:
    """Check the names that a caller gives to `count` items.

    Raises InputError unless they are `count` texts, not empty and unique."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InputError(f"{NAMES} must be a list of texts, one an item, got {names!r:.80}")
    texts = list(names)
    if unusable := [name for name in texts if not isinstance(name, str) or not name]:
        raise InputError(f"{NAMES} must be texts that are not empty, got {unusable[0]!r:.80}")
    if len(texts) != count:
        raise InputError(f"{NAMES} must be one name an item: there are {count:,} items, got {len(texts):,} names")
    return _different([writable(name) for name in texts])


def rename(items_found: T, names: Any) -> T:
    """Return items from memory (see `dn2.kinds.exchange.FoundItems`) under new names.

    Raises InputError as `check_new_names` does, and for items from files, which are named by their paths."""
    items: Any = items_found
    new_names = check_new_names(names, len(items.paths))
    if files := [path for path in items.paths if os.fspath(path)]:
        item_path = os.fspath(files[0])
        raise InputError(f"{NAMES} is for items from memory; {item_path!r} is named by its path: leave {NAMES} out")
    return items.named(new_names)  # type: ignore[no-any-return]


def _different(names: list[str]) -> list[str]:
    seen: set[str] = set()
    for name in names:
        if identity(name) in seen:
            raise InputError(f"names of items must differ, got {name!r} twice")
        seen.add(identity(name))
    return names


def texts_of(inputs: Any) -> list[str | None] | None:
    """Return a list or a tuple of texts, with None for those that are missing; None for any other inputs."""
    if not isinstance(inputs, (list, tuple)) or not all(isinstance(item, str) or is_missing(item) for item in inputs):
        return None
    texts = [item if isinstance(item, str) else None for item in inputs]
    return texts if any(text is not None for text in texts) else None


def are_missing(inputs: Any) -> bool:
    """Tell whether inputs are a list, or a column, of nothing but missing values."""
    is_column = isinstance(inputs, (list, tuple)) or is_series(inputs)
    return is_column and len(inputs) > 0 and all(map(is_missing, inputs))


def are_paths(texts: Collection[str | None], suffixes: frozenset[str]) -> bool:
    """Tell whether texts where messages are expected are paths: one of them exists, or all end with a known suffix.

    suffixes : the endings of files that hold items, in lower case."""
    present = [text for text in texts if text is not None]
    return all(_ends(text, suffixes) for text in present) or any(map(_exists, present))


def are_messages(texts: Collection[str | None], suffixes: frozenset[str]) -> bool:
    """Tell whether texts, where nothing says that messages are expected, are messages and not paths.

    They are messages if at least one has several words, and none exists as a file or folder, ends with one of the
    suffixes, or looks like an `@list` or a glob."""
    present = [text for text in texts if text is not None]
    return any(len(text.split()) > 1 for text in present) and not any(
        _ends(text, suffixes) or is_pattern(text) or _exists(text) for text in present
    )


def _ends(text: str, suffixes: frozenset[str]) -> bool:
    return ending_of(text) in suffixes


def is_pattern(text: str | None) -> bool:
    """Tell whether a text looks like a path in a folder, an `@list` or a glob."""
    return (
        text is not None
        and len(text.split()) == 1
        and (text.startswith("@") or os.sep in text or "/" in text or glob.has_magic(text))
    )


def _exists(text: str) -> bool:
    return 0 < len(text) <= LONGEST_PATH and is_possible(text) and os.path.lexists(text)


def is_number(value: Any) -> bool:
    """Tell whether a value is a real number."""
    return isinstance(value, (int, float, np.integer, np.floating, np.bool_))


def are_numbers(value: Any) -> bool:
    """Tell whether a value is a sequence of numbers: a list, a tuple, or a 1-d array."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "biuf"
    return isinstance(value, (list, tuple)) and bool(value) and all(map(is_number, value))


def is_series(value: Any) -> bool:
    """Tell whether a value is a Series of pandas or polars, one column, recognised by its methods."""
    return hasattr(value, "to_frame") and hasattr(value, "to_list") and not hasattr(value, "columns")


def type_of(value: Any) -> str:
    """Name the type of a value for an error, with the shape of an array."""
    shape = getattr(value, "shape", None)
    return type(value).__name__ + (f" of shape {shape}" if isinstance(shape, tuple) else "")
