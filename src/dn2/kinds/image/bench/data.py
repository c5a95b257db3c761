"""Folders of classes, and how they are split into reference items and queries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dn2.arrays import Flags, Positions
from dn2.bench.split import Split
from dn2.errors import InputError
from dn2.inputs.files import find_items
from dn2.inputs.items import Item
from dn2.networks.pixels import SUFFIXES
from dn2.system.interface import option

# A class folder of such a name holds normal pictures, and every other folder anomalous ones.
GOOD = frozenset({"good", "ok", "normal"})
HELD_OUT = 0.2


@dataclass(frozen=True)
class ClassFolders:
    """Pictures of several classes.

    Parameters
    ----------
    folder : Path
    classes : tuple of str
        The names of the folders.
    normal : tuple of str
        The classes taken as normal, in turn or together.
    items : sequence of Item
        The n pictures.
    labels : ndarray of shape (n,)
        The place in `classes` of each item.
    in_train : ndarray of shape (n,), bool, or None
        Whether each picture lies in train/; None where the split is random.
    all_queried : bool
        Whether all pictures of other classes are queries, rather than only the held-out ones."""

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
        """Say in one sentence how the pictures are split."""
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
        """Split with some classes as normal; seed : of the draw, for a random split.

        Raises InputError unless there are reference items, normal queries and anomalous queries."""
        is_normal = np.isin(self.labels, [self.classes.index(name) for name in normal])
        if self.in_train is not None:
            reference, queries = self.in_train & is_normal, ~self.in_train
        else:
            held_out = self._held_out(seed)
            reference = ~held_out & is_normal
            queries = held_out | (~is_normal if self.all_queried else held_out)
        truth = ~is_normal[queries]
        for number, role in (
            (reference.sum(), "reference picture"),
            ((~truth).sum(), "normal query"),
            (truth.sum(), "anomalous query"),
        ):
            if not number:
                raise InputError(
                    f"{self.folder}: with {', '.join(normal)} normal there is no {role}; add pictures, or choose "
                    f"classes with {option('classes')} and {option('normal')}"
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

    def select(self, kept: Flags) -> ClassFolders:
        """Keep some items, such as the readable ones; kept : (n,) bool.

        Raises InputError if a class loses all its items."""
        if kept.all():
            return self
        if lost := set(self.labels.tolist()) - set(self.labels[kept].tolist()):
            name = self.classes[min(lost)]
            raise InputError(
                f"{self.folder}: no picture of the class {name!r} can be read; choose others with {option('classes')}"
            )
        items = [item for item, keep in zip(self.items, kept, strict=True) if keep]
        in_train = None if self.in_train is None else self.in_train[kept]
        return replace(self, items=items, labels=self.labels[kept], in_train=in_train)


def find_classes(folder: Path, classes: Sequence[str] = (), normal: Sequence[str] = ()) -> ClassFolders:
    """Find `train/<class>/` and `test/<class>/`, or `<class>/`, and what is normal there.

    classes : use only these; normal : take only these as normal.  By default all classes are normal in turn; a class
    that is missing in `train/`, or that lies beside a folder `good`, `ok` or `normal`, is always anomalous.
    Raises InputError unless there are folders of at least two classes, and all names are among them."""
    parts = _subfolders(folder)
    fixed = {"train", "test"} <= set(parts)
    groups = {part: _subfolders(folder / part) for part in ("train", "test")} if fixed else {"": parts}
    names_found = tuple(sorted({name for names in groups.values() for name in names}))
    if not names_found:
        raise InputError(f"{folder} holds no folders of classes; make train/CLASS/ and test/CLASS/, or CLASS/")
    used = _choose_classes(folder, classes, names_found, "classes")
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
    can_be_normal, all_queried = used, False
    if fixed:
        can_be_normal = tuple(name for name in used if name in groups["train"] and name in groups["test"])
        if not can_be_normal:
            raise InputError(f"{folder}: a normal class must lie in both train/ and test/, and no class does")
    elif good := tuple(name for name in used if name.casefold() in GOOD):
        can_be_normal, all_queried = good, True
    flags = np.array(in_train, bool) if fixed else None
    return ClassFolders(
        folder,
        used,
        _choose_classes(folder, normal, can_be_normal, "normal"),
        items,
        np.array(labels, np.int64),
        flags,
        all_queried,
    )


def _subfolders(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give one that holds train/CLASS/ and test/CLASS/, or CLASS/")
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _choose_classes(folder: Path, asked: Sequence[str], available: tuple[str, ...], name: str) -> tuple[str, ...]:
    if unknown := [class_name for class_name in asked if class_name not in available]:
        raise InputError(f"{option(name)} {unknown[0]}: {folder} has no such class; choose from {', '.join(available)}")
    return tuple(class_name for class_name in available if class_name in asked) if asked else available
