"""The options of a kind of data: a frozen dataclass, from which keywords, flags, help and checks are made.

Nothing here, and in the options of the kinds, imports more than Python's own: `dn2 --help` answers at once."""

from __future__ import annotations

import operator
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import reduce
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from dn2.errors import InputError
from dn2.system.interface import option as named

T = TypeVar("T")

Several = tuple[str, ...]  # of an option that repeats
Labels = str | tuple[str, ...]  # a rule, or a label for each item
Masks = str | tuple[Any, ...]  # a file or a folder, or a mask for each item
OTHER_OPTION = re.compile(r"\{(\w+)\}")  # in a help


class Option(NamedTuple):
    """A field of the options of a kind.

    type : bool, int, float, str, or `Several`; default : None where it depends on other things.
    help : a sentence or two, for the command line and for Python, that names other options in braces.
    metavar : a noun for its value, in help.
    minimum : of a number; choices : of a text, None for any.
    tells : whether giving it settles the kind of the inputs; embeds : whether it changes embeddings."""

    name: str
    type: Any
    default: Any
    help: str
    metavar: str | None = None
    minimum: int | None = None
    choices: tuple[str, ...] | None = None
    tells: bool = False
    embeds: bool = False

    def words(self, name_of: Callable[[str], str]) -> str:
        """Return the help; name_of : writes the name of another option, `{contaminated}`, as an interface has it."""
        return OTHER_OPTION.sub(lambda match: name_of(match[1]), self.help)

    def checked(self, value: Any) -> Any:
        """Return a value as its type has it.  Raises InputError for a value that the option cannot have."""
        if self.type is bool and type(value).__name__ in ("bool", "bool_"):  # the latter is numpy's
            return bool(value)
        if self.type == Several:
            return self._texts(value)
        if self.type == Labels:
            return value if isinstance(value, str) else self._labels(value)
        if self.type == Masks and isinstance(value, (str, os.PathLike)):
            return os.fspath(value)
        if self.type == Masks and isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping)):
            return tuple(value)
        if self.type is int and not isinstance(value, bool):
            return self._whole(value)
        if self.type is float and isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
        if self.type is str and isinstance(value, str) and (self.choices is None or value in self.choices):
            return value
        if self.type == str | int and isinstance(value, (str, Integral)) and not isinstance(value, bool):
            return value if isinstance(value, str) else int(value)
        raise InputError(f"{named(self.name)} must be {self._allowed()}, got {value!r:.80}")

    def _whole(self, value: Any) -> int:
        try:
            whole = operator.index(value)
        except TypeError:
            whole = None
        if whole is None or (self.minimum is not None and whole < self.minimum):
            raise InputError(f"{named(self.name)} must be {self._allowed()}, got {value!r:.80}")
        return whole

    def _texts(self, value: Any) -> tuple[str, ...]:
        """Return the texts of a list, each once; a single text counts as a list of one."""
        texts = (value,) if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
        if wrong := [text for text in texts if not isinstance(text, str)]:
            raise InputError(f"{named(self.name)} must be a text or a list of texts, got {wrong[0]!r:.80} in it")
        return tuple(dict.fromkeys(texts))

    def _labels(self, value: Any) -> Any:
        """Return a label for each item, None where it is missing, as a tuple."""
        labels = value.tolist() if hasattr(value, "tolist") else value
        if isinstance(labels, (bytes, Mapping)) or not isinstance(labels, Iterable):
            raise InputError(f"{named(self.name)} must be {self._allowed()}, got {value!r:.80}")
        return tuple(labels)

    def _allowed(self) -> str:
        if self.choices is not None:
            return f"one of {', '.join(self.choices)}"
        numbers = {
            int: "an integer",
            float: "a number",
            bool: "True or False",
            str | int: "a text or an integer",
            Labels: "a rule, or a label for each item",
            Masks: "a file, a folder, or a mask for each item",
        }
        words: str = numbers.get(self.type, "a text")
        return words if self.minimum is None else f"{words} of at least {self.minimum}"


def option(
    default: Any,
    help: str,
    *,
    metavar: str | None = None,
    minimum: int | None = None,
    choices: tuple[str, ...] | None = None,
    tells: bool = False,
    embeds: bool = False,
) -> Any:
    """Make a field of the options of a kind; the parameters are those of `Option`."""
    about = {"help": help, "metavar": metavar, "minimum": minimum, "choices": choices, "tells": tells, "embeds": embeds}
    return field(default=default, metadata=about)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options that every kind has.

    heading : in help, of the options that this kind alone has.
    compares_itself : whether items may be scored without a model, each among all others.
    elsewhere : by name of an option that this kind lacks, what to use instead, on the command line and in Python."""

    heading: ClassVar[str]
    compares_itself: ClassVar[bool] = False
    elsewhere: ClassVar[Mapping[str, tuple[str, str]]] = {}

    neighbors: int | None = option(
        None,
        "Number of nearest items that a score averages over. Default: 2, for pictures what {preset} has, fewer for few "
        "items; 10 with {contaminated} and for groups of pictures; 1 for series, and for centroids.",
        metavar="K",
        minimum=1,
    )
    false_alarm_rate: float | None = option(
        None,
        "Share of normal items that may be flagged. Default: 0.01, or the smallest that the items support.",
        metavar="RATE",
    )
    index: str = option(
        "auto",
        "How the nearest items are found. exact, kdtree and kmeans-tree find all of them; approximate, and "
        "kmeans-tree:L that visits L leaves, nearly all; kmeans:C compares with C centroids instead. auto: by the size "
        "of the set.",
        metavar="NAME",
    )
    recall: float | None = option(
        None,
        "Share of the nearest items that a search which may miss some has to find. Default: 0.999.",
        metavar="SHARE",
    )
    storage: str = option(
        "auto",
        "How embeddings are stored. auto: as float32, or smaller where the memory demands it.",
        choices=("auto", "float32", "float16", "uint8"),
    )
    memory: str | int | None = option(
        None,
        "Most memory to use, such as 4GB; the system's page cache is not counted. Default: no limit.",
        metavar="SIZE",
    )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Make the options from values by name; None leaves an option at its default.

        Raises InputError for a value that an option cannot have, and for options that do not go together."""
        allowed = options_in(cls)
        chosen = cls(**{name: allowed[name].checked(value) for name, value in given.items() if value is not None})
        chosen.check()
        return chosen

    def check(self) -> None:
        """Raise InputError for options that do not go together."""
        if self.index.startswith("kmeans:") and self.neighbors not in (None, 1):
            raise InputError(
                f"{named('neighbors')} must be 1 where items are compared with centroids, got {self.neighbors}: leave "
                "it out"
            )
        finds_all = self.index in ("exact", "kdtree", "kmeans-tree") or self.index.startswith("kmeans:")
        if self.recall is not None and finds_all:
            raise InputError(
                f"{named('recall')} is for a search that may miss some of the nearest items, and {self.index} finds "
                f"all: leave it out, or ask for {named('index', 'approximate')}"
            )


@dataclass(frozen=True, kw_only=True)
class ItemOptions(Options):
    """The options of kinds whose items are scored one by one."""

    part: Labels | None = option(
        None,
        "What several items show together, so that none of one part is a neighbour of another, and each part counts "
        "once: a pattern with one group for names such as '(.*)_[0-9]+', folder, a column, or @parts.csv with the "
        "columns item and part. Default: each item stands for itself.",
        metavar="RULE",
    )
    per: Labels | None = option(
        None,
        "What is to have the false-alarm rate each, such as products or cameras: a rule as for {part}. Default: all "
        "items together.",
        metavar="RULE",
    )
    confidence: float | None = option(
        None,
        "Bound this very model's own rate, with this confidence, such as 0.95. Half of the items calibrate then and "
        "are no neighbours. Default: rates hold on average over reference sets.",
        metavar="SHARE",
    )
    smooth: bool = option(False, "Break ties between scores by chance, so that the rate asked for is reached.")
    seed: int = option(
        0, "Of what is drawn by chance: the items that calibrate, and ties.", metavar="NUMBER", minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class CleaningOptions(ItemOptions):
    """The options of kinds that can set anomalies aside."""

    contaminated: bool = option(False, "Anomalies are among the items: find them and set them aside.")
    drop: float | None = option(
        None,
        "With {contaminated}, the share of items that are anomalies, and are set aside. Default: only what lies alone, "
        "far from all others, is; more could be a kind of normal items.",
        metavar="SHARE",
    )
    first_neighbors: int | None = option(
        None,
        "With {contaminated}, the number of nearest items by which they are set aside. Default: many; the paper has 2.",
        metavar="K",
        minimum=1,
    )

    def check(self) -> None:
        """See `Options`."""
        super().check()
        values = {"drop": self.drop, "first_neighbors": self.first_neighbors}
        for name, value in values.items():
            if value is not None and not self.contaminated:
                raise InputError(
                    f"{named(name)} is for a set that is contaminated; say so with {named('contaminated')}"
                )


def options_in(kind: type[Options]) -> dict[str, Option]:
    """Return the options of a kind by name, in order: first the options that all kinds have."""
    types_of = typing.get_type_hints(kind)
    return {
        item.name: Option(item.name, _type_of(types_of[item.name]), item.default, **item.metadata)
        for item in _fields(kind)
    }


def _fields(kind: type[Options]) -> Iterator[Any]:
    for item in fields(kind):
        assert item.default is not MISSING
        yield item


def _type_of(annotation: Any) -> Any:
    """Return the type of an option without None."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        types_left = [argument for argument in typing.get_args(annotation) if argument is not type(None)]
        return reduce(operator.or_, types_left)
    return annotation
