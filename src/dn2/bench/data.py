"""Folders of classes, and how they are split into reference items and queries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dn2.embed.images import SUFFIXES
from dn2.errors import InputError
from dn2.inputs.files import Item, find_items

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Positions = np.ndarray[Any, np.dtype[np.int64]]

# A class folder of such a name holds what is normal, and any other what is not.
GOOD = frozenset({"good", "ok", "normal"})
HELD_OUT = 0.2


@dataclass(frozen=True)
class Split:
    """Which pictures are what, by their positions in the data.

    reference : normal ones to compare with; queries : what is scored; truth : (n_queries,) bool, anomalous or not.
    others : pictures of other classes that are no queries, to pollute the reference set with."""

    reference: Positions
    queries: Positions
    truth: Flags
    others: Positions

    def with_others(self, rng: np.random.Generator) -> Split:
        """Take a random half of the anomalous queries for polluting where there is nothing else for it."""
        if len(self.others):
            return self
        anomalous = rng.permutation(np.flatnonzero(self.truth))
        taken = np.sort(anomalous[: len(anomalous) // 2])
        queries, truth = np.delete(self.queries, taken), np.delete(self.truth, taken)
        return Split(self.reference, queries, truth, self.queries[taken])


@dataclass(frozen=True)
class ClassFolders:
    """Pictures of several classes.

    classes : the names of the folders; normal : those taken as normal, in turn or together.
    labels : (n,) the place in `classes` of each item; in_train : (n,) bool, None where the split is random.
    all_queried : whether all pictures of other classes are queries, and not only those held out."""

    folder: Path
    classes: tuple[str, ...]
    normal: tuple[str, ...]
    items: Sequence[Item]
    labels: Positions
    in_train: Flags | None
    all_queried: bool = False

    @property
    def random(self) -> bool:
        """Whether the split is drawn anew for every seed."""
        return self.in_train is None

    def describe(self) -> str:
        """Say in one sentence what is split how."""
        if self.in_train is not None:
            n_train = int(self.in_train.sum())
            words = f"{n_train:,} pictures in train/, {len(self.items) - n_train:,} in test/, a fixed split"
        elif self.all_queried:
            words = (
                f"{len(self.items):,} pictures; for each seed a random {1 - HELD_OUT:.0%} of {', '.join(self.normal)} "
                f"are reference items, the other {HELD_OUT:.0%} and all other pictures are queries"
            )
        else:
            words = (
                f"{len(self.items):,} pictures; for each seed a random {1 - HELD_OUT:.0%} of each normal class are "
                f"reference items, the other {HELD_OUT:.0%} and as large a share of the other classes are queries"
            )
        return f"{len(self.classes)} classes, {words}"

    def split(self, normal: Collection[str], seed: int | None) -> Split:
        """Split for some classes being normal; seed : of the draw, for a random split.

        Raises InputError if there is no reference item, or no normal or anomalous query."""
        is_normal = np.isin(self.labels, [self.classes.index(name) for name in normal])
        if self.in_train is not None:
            reference, queries = self.in_train & is_normal, ~self.in_train
        else:
            held_out = self._held_out(seed)
            reference = ~held_out & is_normal
            queries = held_out | (~is_normal if self.all_queried else held_out)
        truth = ~is_normal[queries]
        for number, what in (
            (reference.sum(), "reference picture"),
            ((~truth).sum(), "normal query"),
            (truth.sum(), "anomalous query"),
        ):
            if not number:
                raise InputError(
                    f"{self.folder}: with {', '.join(normal)} normal there is no {what}; add pictures, or choose "
                    "classes with --classes and --normal"
                )
        others = ~reference & ~queries
        return Split(np.flatnonzero(reference), np.flatnonzero(queries), truth, np.flatnonzero(others))

    def _held_out(self, seed: int | None) -> Flags:
        rng = np.random.default_rng(seed)
        held_out = np.zeros(len(self.items), bool)
        for label in range(len(self.classes)):
            places = rng.permutation(np.flatnonzero(self.labels == label))
            held_out[places[: max(1, round(HELD_OUT * len(places)))]] = True
        return held_out

    def only(self, kept: Flags) -> ClassFolders:
        """Leave out items, such as those that cannot be read: kept : (n,) bool.

        Raises InputError if a class loses all of them."""
        if kept.all():
            return self
        if lost := set(self.labels.tolist()) - set(self.labels[kept].tolist()):
            name = self.classes[min(lost)]
            raise InputError(f"{self.folder}: no picture of the class {name!r} can be read; choose others by --classes")
        items = [item for item, keep in zip(self.items, kept, strict=True) if keep]
        in_train = None if self.in_train is None else self.in_train[kept]
        return replace(self, items=items, labels=self.labels[kept], in_train=in_train)


def find_classes(folder: Path, classes: Sequence[str] = (), normal: Sequence[str] = ()) -> ClassFolders:
    """Find `train/<class>/` and `test/<class>/`, or `<class>/`, and what is normal there.

    classes : use only these; normal : take only these as normal.  By default all classes are normal in turn; those
    that `train/` lacks, or that lie beside a folder `good`, `ok` or `normal`, are always anomalous.
    Raises InputError if these are no folders of at least two classes, or a name is unknown."""
    parts = _subfolders(folder)
    fixed = {"train", "test"} <= set(parts)
    groups = {part: _subfolders(folder / part) for part in ("train", "test")} if fixed else {"": parts}
    found = tuple(sorted({name for names in groups.values() for name in names}))
    if not found:
        raise InputError(f"{folder} holds no folders of classes; make train/CLASS/ and test/CLASS/, or CLASS/")
    used = _chosen(folder, classes, found, "--classes")
    if len(used) < 2:
        raise InputError(f"{folder} gives one class only, {used[0]!r}; a bench needs another, to be found anomalous")
    items: list[Item] = []
    labels: list[int] = []
    in_train: list[bool] = []
    for part, names in groups.items():
        for name in names:
            if name in used:
                place = folder / part / name
                more = find_items(place, SUFFIXES)
                items += [Item("/".join(filter(None, (part, name, item.name))), item.path) for item in more]
                labels += [used.index(name)] * len(more)
                in_train += [part == "train"] * len(more)
    able, all_queried = used, False
    if fixed:
        able = tuple(name for name in used if name in groups["train"] and name in groups["test"])
        if not able:
            raise InputError(f"{folder}: no class lies in both train/ and test/, so none can be normal")
    elif good := tuple(name for name in used if name.casefold() in GOOD):
        able, all_queried = good, True
    flags = np.array(in_train, bool) if fixed else None
    return ClassFolders(
        folder,
        used,
        _chosen(folder, normal, able, "--normal"),
        items,
        np.array(labels, np.int64),
        flags,
        all_queried,
    )


def _subfolders(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give one that holds train/CLASS/ and test/CLASS/, or CLASS/")
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _chosen(folder: Path, wanted: Sequence[str], known: tuple[str, ...], option: str) -> tuple[str, ...]:
    if unknown := [name for name in wanted if name not in known]:
        raise InputError(f"{option} {unknown[0]}: {folder} has no such class; choose from {', '.join(known)}")
    return tuple(name for name in known if name in wanted) if wanted else known
