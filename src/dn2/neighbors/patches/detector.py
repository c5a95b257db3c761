"""Pictures scored by their patches: maps of unusual distances, and a score that a small defect moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from dn2.arrays import Array, Distances, Flags, Positions
from dn2.neighbors.patches.bank import ERROR_AT, Bank, Nearest, Sample, Usual
from dn2.neighbors.patches.joining import Level, Map, resize
from dn2.neighbors.patches.looking import looked_at
from dn2.neighbors.threads import each_on_one

Levels = Sequence[Sequence[Level]]  # the maps of each network, the finest first

T = TypeVar("T")

MOST_JOINING = 16  # patches of a picture to learn from that is added later
MOST_TOLD = 512  # of one that a person told to be normal
LOOKED_AT = 0.4999  # of a place, at least: a half, however it is rounded
SEEN = 3  # patches a side that the embedding of one is an average of

SHARES = (0.0, 0.002, 0.01, 0.05)  # of a map, whose mean may be a picture's score; 0 stands for the highest place alone


class PictureMaps(NamedTuple):
    """The maps of a picture.

    region : of interest, see `looked_at`, None where all of it is looked at; turned : by how many degrees it is."""

    levels: Levels
    region: Map | None = None
    turned: float = 0.0


class Picture(NamedTuple):
    """A reference picture: its position in the set, its maps for each bank, and see `PictureMaps`."""

    position: int
    groups: list[Sequence[Level]]
    region: Map | None
    turned: float

    def inside(self, group: Sequence[Level]) -> Flags | None:
        """Return which patches of some maps are looked at, (height, width); None for all."""
        return None if self.region is None else looked_at(self.region, *group[0].shape[:2])


class Source(NamedTuple):
    """Where the maps of reference pictures come from, as often as they are needed.

    read : gives the maps of the pictures at some positions, in that order, each in a number of rotations, None for one
    that cannot be had any more; own : (n,) what each picture belongs to; rotations : of a picture to learn from."""

    read: Callable[[Positions, int], Iterator[PictureMaps | None]]
    own: Array
    rotations: int = 1

    def each(self, positions: Positions, rotations: int = 1) -> Iterator[Picture]:
        """Give the pictures at some positions that can be had, each in a number of rotations."""
        read = self.read(positions, rotations)
        for position, maps in zip(positions.repeat(rotations).tolist(), read, strict=True):
            if maps is not None:
                yield Picture(position, grouped(maps.levels), maps.region, maps.turned)

    def own_of(self, position: int) -> Positions:
        """Return the positions of all pictures that belong to the same, itself included."""
        own: Positions = np.flatnonzero(self.own == self.own[position])
        return own


@dataclass(frozen=True, eq=False)
class PatchDetector:
    """Compares the patches of a picture with banks of normal ones, one for each two successive maps of a network.

    banks : of the first network, then of the next.
    share : of the strangest places of a map, whose mean is the score of a picture.
    by_place : whether a distance is divided by what is usual at its place, rather than by what is usual anywhere."""

    banks: tuple[Bank, ...]
    share: float = 0.01
    by_place: bool = True

    @classmethod
    def learn(cls, source: Source, learning: Positions, size: int, seed: int) -> Self:
        """Learn from the reference pictures at some positions.

        size : patches of each bank.  Patches are compared with those of other parts only.  Of pictures in several
        rotations places are not told apart."""
        samples: list[Sample] = []
        for picture in source.each(learning, source.rotations):
            samples = samples or [Sample(len(learning) * source.rotations, seed) for _ in picture.groups]
            for sample, group in zip(samples, picture.groups, strict=True):
                sample.add(picture.position, group, picture.inside(group), picture.turned)
        detector = cls(tuple(sample.choose(size) for sample in samples), by_place=source.rotations == 1)
        usual = [Usual() for _ in samples]

        def compare(picture: Picture) -> list[tuple[Map, Flags | None]]:
            own, each = source.own_of(picture.position), zip(detector.banks, picture.groups, strict=True)
            return [(bank.nearest(group, own).distances, picture.inside(group)) for bank, group in each]

        for compared in each_on_one(compare, source.each(learning, source.rotations)):
            for known, (distances, inside) in zip(usual, compared, strict=True):
                known.add(distances, inside)
        return replace(detector, banks=tuple(map(Usual.learn, usual, detector.banks)))

    def with_strangest(self, source: Source, positions: Positions, count: int, calibrating: Positions) -> Self:
        """Return it with the strangest patches of pictures that calibrate: `count` of each, at some positions.

        Which those are is told by the patches of pictures that do not calibrate alone, so that a picture gives the same
        whatever others there are: then the scores of all, each compared without its own part, are exchangeable with
        that of a new picture whose patches do not join, or larger.

        calibrating : positions of all pictures that calibrate, and so have no say."""
        learnt = [bank.at(~np.isin(bank.owners, calibrating)) for bank in self.banks]
        return self._with(learnt, source.each(positions), count, [0.0] * len(learnt))

    def with_unknown(self, source: Source, positions: Positions, told: bool = False) -> Self:
        """Return it with patches of further pictures to learn from, that are far from all in the banks.

        told : whether a person said that the pictures are normal: then as many join as it takes, so that nothing in
        them, or in what is like them, is farther than usual."""
        beyond = [float(bank.errors[ERROR_AT.index(50 if told else 99)]) for bank in self.banks]
        most = MOST_TOLD if told else MOST_JOINING
        return self._with(self.banks, source.each(positions, source.rotations), most, beyond)

    def _with(self, told_by: Sequence[Bank], pictures: Iterable[Picture], count: int, beyond: Sequence[float]) -> Self:
        """Add up to `count` patches of each picture to each bank: those farthest from another one, and beyond a
        distance from it."""

        def choose(picture: Picture) -> list[Bank]:
            return [
                bank.strangest(picture.position, group, count, far, picture.inside(group), picture.turned)
                for bank, group, far in zip(told_by, picture.groups, beyond, strict=True)
            ]

        chosen = list(each_on_one(choose, pictures))
        banks = (bank.joined([given[place] for given in chosen]) for place, bank in enumerate(self.banks))
        return replace(self, banks=tuple(banks))

    def compare(self, levels: Levels, without: Positions | None = None) -> list[Nearest]:
        """Compare a picture with each bank; without : positions of reference pictures that are left out."""
        return [bank.nearest(group, without) for bank, group in zip(self.banks, grouped(levels), strict=True)]

    def anomaly_map(self, near: Sequence[Nearest], region: Map | None = None) -> Map:
        """Return how far each place is from normal, (height, width) of the finest map: 1 where it is as usual, and 0
        outside of a region of interest, see `looked_at`."""
        height, width = (max(sides) for sides in zip(*(one.distances.shape for one in near), strict=True))
        total = np.zeros((height, width), np.float32)
        for bank, one in zip(self.banks, near, strict=True):
            shape = one.distances.shape
            usual = resize(bank.usual if self.by_place else np.full_like(bank.usual, bank.usual.mean()), *shape)
            total += resize(one.distances / usual, height, width)
        total /= len(self.banks)
        if region is not None:
            total[~looked_at(region, height, width)] = 0
        return total

    def score(self, anomaly_map: Map, region: Map | None = None) -> float:
        """Return the mean over the strangest share of a map, within a region of interest; higher is more anomalous."""
        inside = anomaly_map if region is None else anomaly_map[looked_at(region, *anomaly_map.shape)]
        return float(np.float32(top_mean(inside, self.share)))

    def strangest(self, cell: tuple[int, int], near: Sequence[Nearest], shape: tuple[int, int]) -> tuple[int, int, int]:
        """Return the bank from which a cell of a map of some shape is farthest, and the row and column of its patch."""
        found = []
        for number, (bank, one) in enumerate(zip(self.banks, near, strict=True)):
            height, width = one.distances.shape
            row, column = cell[0] * height // shape[0], cell[1] * width // shape[1]
            usual = resize(bank.usual, height, width)[row, column] if self.by_place else bank.usual.mean()
            found.append((float(one.distances[row, column] / usual), number, row, column))
        return max(found)[1:]

    def nearest_items(
        self, levels: Levels, near: Sequence[Nearest], anomaly_map: Map, k: int, without: Positions | None = None
    ) -> tuple[Distances, Positions]:
        """Return what the patch at the strangest place of a map is like: squared L2 distances to the nearest patches of
        k reference pictures, (k,), and the positions of these, -1 where a bank is of fewer."""
        highest = divmod(int(anomaly_map.argmax()), anomaly_map.shape[1])
        number, row, column = self.strangest(highest, near, anomaly_map.shape)
        bank, group = self.banks[number], grouped(levels)[number]
        patch = bank.embed(group, row, row + 1)[column]
        away = bank.vectors - patch
        squares = np.einsum("ij,ij->i", away, away)
        if without is not None:
            squares[np.isin(bank.owners, without)] = np.inf
        distances, positions = np.full(k, np.inf, np.float32), np.full(k, -1, np.int64)
        for place in range(k):
            nearest = int(squares.argmin())
            if not np.isfinite(squares[nearest]):
                break
            distances[place], positions[place] = squares[nearest], bank.owners[nearest]
            squares[bank.owners == bank.owners[nearest]] = np.inf
        return distances, positions

    def nearest_place(
        self, cell: tuple[int, int], near: Sequence[Nearest], shape: tuple[int, int]
    ) -> tuple[int, tuple[float, float, float, float]]:
        """Return the reference picture that a cell of a map is most like, and where in it: left, top, right and bottom,
        as shares of its sides."""
        number, row, column = self.strangest(cell, near, shape)
        one, bank = near[number], self.banks[number]
        patch = one.patches[row, column]
        down, across = bank.places[patch].tolist()
        half = [SEEN / 2 / side for side in one.distances.shape]
        low = max(0.0, across - half[1]), max(0.0, down - half[0])
        high = min(1.0, across + half[1]), min(1.0, down + half[0])
        return int(bank.owners[patch]), (*low, *high)

    def without(self, removed: Positions) -> Self:
        """Leave out the patches of reference pictures at some positions, ascending; the others move up."""
        return replace(self, banks=tuple(bank.without(removed) for bank in self.banks))

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        named = ((number, *pair) for number, bank in enumerate(self.banks) for pair in bank.as_arrays().items())
        arrays: dict[str, Array] = {f"{name}-{number}": array for number, name, array in named}
        return arrays | {"share": np.array([self.share]), "by_place": np.array([self.by_place])}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> Self:
        """Restore what `as_arrays` gave.  Raises LookupError, TypeError, ValueError for anything else."""
        share, by_place = (arrays.pop(name) for name in ("share", "by_place"))
        by_bank: dict[int, dict[str, Any]] = {}
        for key, array in arrays.items():
            name, _, number = key.rpartition("-")
            by_bank.setdefault(int(number), {})[name] = array
        banks = tuple(Bank.from_arrays(**by_bank[number]) for number in range(len(by_bank)))
        return cls(banks, float(share.item()), bool(by_place.item()))

    def check(self, n: int, dimensions: Sequence[int]) -> None:
        """Raise ValueError unless it compares patches of some dimensions with banks of n reference pictures."""
        if len(self.banks) != len(dimensions) or self.share not in SHARES:
            raise ValueError(f"{len(dimensions)} banks, and a share of {SHARES}, got {len(self.banks)}, {self.share}")
        for bank, dimension in zip(self.banks, dimensions, strict=True):
            bank.check(n, dimension)


def grouped(levels: Sequence[Sequence[T]]) -> list[Sequence[T]]:
    """Put what belongs to every two successive maps of each network together; a network of one map has that alone."""
    return [group for maps in levels for group in (pairwise(maps) if len(maps) > 1 else [maps])]


def top_mean(values: Map, share: float) -> float:
    """Return the mean of the highest share of values, at least of one; a value on the edge counts by its part."""
    count = max(1.0, share * values.size)
    whole = int(count)
    highest = np.sort(np.partition(values.ravel(), values.size - min(whole + 1, values.size))[-(whole + 1) :])[::-1]
    total: float = highest[:whole].astype(np.float64).sum()
    if count > whole and len(highest) > whole:
        total += (count - whole) * float(highest[whole])
    return total / count
