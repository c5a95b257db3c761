"""A bank of normal patches: what a patch of a picture is compared with, and what distance is usual at each place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.arrays import Array, Flags, Numbers, Positions, Vectors
from dn2.neighbors.patches.joining import Level, Map, join, resize, strips
from dn2.neighbors.patches.looking import unturned
from dn2.neighbors.patches.reducing import Reduction
from dn2.neighbors.patches.selecting import select
from dn2.system.processes import cached_property

MOST_SAMPLED = 1 << 15  # patches that a bank is chosen from, of all pictures together
LEAST_OF_ONE = 4  # of each picture, at least
GRID = 16  # places a side that usual distances are told apart at
ERROR_AT = (50, 99, 100)  # percentiles of the distance of reference patches from the bank


class Sample:
    """A random sample of the patches of pictures, from which a bank is chosen; all together `MOST_SAMPLED` or so.

    n_pictures : how many will be added."""

    def __init__(self, n_pictures: int, seed: int) -> None:
        self._each = max(LEAST_OF_ONE, MOST_SAMPLED // n_pictures)
        self._seed = seed
        self._rng = np.random.default_rng(seed)
        self._rows: list[Vectors] = []
        self._owners: list[Positions] = []
        self._places: list[Vectors] = []

    def add(self, position: int, levels: Sequence[Level], inside: Flags | None = None, turned: float = 0.0) -> None:
        """Draw patches of a picture.

        position : its own in the reference set; inside : (height, width), those that are looked at; turned : by how
        many degrees the picture is."""
        every = np.arange(levels[0][..., 0].size) if inside is None else np.flatnonzero(inside)
        drawn = np.sort(self._rng.permutation(every)[: self._each])
        self._rows.append(_joined_at(levels, drawn))
        self._owners.append(np.full(len(drawn), position, np.int64))
        self._places.append(_middles(drawn, levels, turned))

    def choose(self, size: int) -> Bank:
        """Choose a bank of so many patches; what distances are usual is not known yet."""
        rows = np.concatenate(self._rows)
        reduction = Reduction.learn(rows)
        vectors = reduction.reduce(rows)
        chosen = select(vectors, size, self._seed)
        owners, places = np.concatenate(self._owners)[chosen], np.concatenate(self._places)[chosen]
        nothing = np.zeros(len(ERROR_AT), np.float32)
        return Bank(reduction, vectors[chosen], owners, places, np.ones((GRID, GRID), np.float32), nothing)


class Usual:
    """Collects what distances from a bank are usual, place by place."""

    def __init__(self) -> None:
        self._total = np.zeros((GRID, GRID))
        self._weight: Numbers = np.zeros((GRID, GRID))  # how many pictures look there
        self._errors: list[Array] = []

    def add(self, distances: Map, inside: Flags | None = None) -> None:
        """Take in the distances of a picture from the patches of others; inside : (height, width), which are looked
        at."""
        weight = np.float32(1) if inside is None else resize(inside.astype(np.float32), GRID, GRID)
        self._weight += weight
        self._total += resize(distances if inside is None else distances * inside, GRID, GRID)
        self._errors.append(np.percentile(distances if inside is None else distances[inside], ERROR_AT))

    def learn(self, bank: Bank) -> Bank:
        """Return the bank with what was learnt; a place at which no picture looks has the mean of all."""
        usual, errors = np.full((GRID, GRID), self._total.sum() / self._weight.sum()), np.array(self._errors)
        np.divide(self._total, self._weight, out=usual, where=self._weight > 0)
        known = np.array([errors[:, 0].mean(), errors[:, 1].mean(), errors[:, 2].max()])
        floor = max(float(usual.max()) * 1e-6, float(np.finfo(np.float32).tiny))
        return replace(bank, usual=np.maximum(usual, floor).astype(np.float32), errors=known.astype(np.float32))


class Nearest(NamedTuple):
    """The patch of a bank that is nearest to each patch of a picture.

    distances : (height, width) float32, L2; patches : (height, width) int64, numbers of patches of the bank."""

    distances: Map
    patches: Positions


@dataclass(frozen=True, eq=False)
class Bank:
    """A few patches of reference pictures that stand for all.

    reduction : of patches to what is compared; vectors : (m, r + 1) float32, those of the bank, reduced.
    owners : (m,) the position of each one's picture in the reference set.
    places : (m, 2) float32, where each lies in its picture, down and across, as shares of its sides.
    usual : (g, g) float32, the mean distance of a reference patch at each place from the patches of other pictures.
    errors : (3,) float32, percentiles of these distances, see `ERROR_AT`."""

    reduction: Reduction
    vectors: Vectors
    owners: Positions
    places: Vectors
    usual: Map
    errors: Vectors

    def embed(self, levels: Sequence[Level], start: int = 0, stop: int | None = None) -> Vectors:
        """Embed the patches in some rows of a picture's finest map as they are compared: (rows x width, r + 1)."""
        return self.reduction.reduce(join(levels, start, stop))

    def nearest(self, levels: Sequence[Level], without: Positions | None = None) -> Nearest:
        """Compare each patch of a picture with the bank.

        without : positions of reference pictures whose patches are left out, unless they are all."""
        height, width = levels[0].shape[:2]
        distances = np.empty((height, width), np.float32)
        patches = np.empty((height, width), np.int64)
        excluded = None if without is None else np.isin(self.owners, without)
        for start, stop in strips(levels):
            rows = self.embed(levels, start, stop)
            squares = np.column_stack([rows, np.ones(len(rows), np.float32)]) @ self._products
            if excluded is not None and not excluded.all():
                squares[:, excluded] = np.inf
            near = squares.argmin(axis=1)
            rows -= self.vectors[near]  # products tell the nearest, and differences how far it is: a copy lies at 0
            distances[start:stop] = np.sqrt(np.einsum("ij,ij->i", rows, rows)).reshape(-1, width)
            patches[start:stop] = near.reshape(-1, width)
        return Nearest(distances, patches)

    @cached_property
    def _products(self) -> Vectors:
        """What products with a patch and a 1 make squared distances of, but for its own squared length: (r + 2, m)."""
        squares = np.einsum("ij,ij->i", self.vectors, self.vectors)
        return np.vstack([-2 * self.vectors.T, squares])

    def strangest(
        self,
        position: int,
        levels: Sequence[Level],
        count: int,
        beyond: float,
        inside: Flags | None = None,
        turned: float = 0.0,
    ) -> Self:
        """Return a bank of up to `count` patches of a further picture: those farthest from this bank and each other.

        position : of the picture in the reference set; beyond : the distance that they exceed; inside : which patches
        of it are looked at, (height, width); turned : by how many degrees it is.  What is usual is taken over."""
        distances = self.nearest(levels).distances.ravel()
        far = np.flatnonzero(distances > beyond if inside is None else (distances > beyond) & inside.ravel())
        if len(far) > MOST_SAMPLED:  # of a large picture, whose patches would not all lie in memory
            far = np.sort(far[np.argpartition(distances[far], -MOST_SAMPLED)[-MOST_SAMPLED:]])
        rows = self.reduction.reduce(_joined_at(levels, far))
        chosen = select(rows, count, distances=np.square(distances[far]))
        owners, places = np.full(len(chosen), position, np.int64), _middles(far[chosen], levels, turned)
        return replace(self, vectors=rows[chosen], owners=owners, places=places)

    def joined(self, others: Sequence[Self]) -> Self:
        """Return this bank with the patches of others; what is usual stays."""
        every = (self, *others)
        return replace(
            self,
            vectors=np.concatenate([bank.vectors for bank in every]),
            owners=np.concatenate([bank.owners for bank in every]),
            places=np.concatenate([bank.places for bank in every]),
        )

    def at(self, kept: Flags) -> Self:
        """Return the bank of some of its patches, (m,); what is usual stays."""
        return replace(self, vectors=self.vectors[kept], owners=self.owners[kept], places=self.places[kept])

    def without(self, removed: Positions) -> Self:
        """Leave out the patches of pictures at some positions of the reference set; the others move up.

        What is usual stays as it was learnt."""
        left = self.at(~np.isin(self.owners, removed))
        return replace(left, owners=left.owners - np.searchsorted(removed, left.owners))

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        arrays = {one.name: getattr(self, one.name) for one in fields(self)}
        reduction: Reduction = arrays.pop("reduction")
        return arrays | {"mean": reduction.mean, "axes": reduction.axes}

    @classmethod
    def from_arrays(cls, mean: Vectors, axes: Vectors, **arrays: Any) -> Self:
        """Restore what `as_arrays` gave."""
        return cls(Reduction(mean, axes), **arrays)

    def check(self, n: int, dimension: int) -> None:
        """Raise ValueError unless it is a bank of patches of n pictures."""
        self.reduction.check(dimension)
        m = len(self.vectors)
        shapes = {
            "vectors": (m, self.reduction.axes.shape[1] + 1),
            "owners": (m,),
            "places": (m, 2),
            "usual": (GRID, GRID),
            "errors": (len(ERROR_AT),),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            dtype = np.int64 if name == "owners" else np.float32
            if array.shape != shape or array.dtype != dtype or not np.isfinite(array).all():
                raise ValueError(f"{name} of a bank must be finite {dtype.__name__} of {shape}, got {array.shape}")
        if not m or self.owners.min() < 0 or self.owners.max() >= n:
            raise ValueError(f"patches of a bank must be of pictures 0 ... {n - 1}")
        if not (self.usual > 0).all() or not ((self.places >= 0) & (self.places <= 1)).all():
            raise ValueError("usual distances must be positive, and places lie within a picture")


def _middles(drawn: Positions, levels: Sequence[Level], turned: float) -> Vectors:
    """Return the middles of patches, numbered by rows: (n, 2), down and across, as shares of a picture's sides, before
    it was turned."""
    height, width = levels[0].shape[:2]
    middles = np.stack([drawn // width + 0.5, drawn % width + 0.5], axis=1)
    return unturned(middles, height, width, turned).astype(np.float32)


def _joined_at(levels: Sequence[Level], drawn: Positions) -> Vectors:
    """Join maps at some places of the finest, numbered by rows, ascending."""
    width = levels[0].shape[1]
    parts = []
    for start, stop in strips(levels):
        inside = drawn[(drawn >= start * width) & (drawn < stop * width)]
        if len(inside):
            parts.append(join(levels, start, stop)[inside - start * width])
    dimension = sum(level.shape[2] for level in levels)
    return np.concatenate([np.empty((0, dimension), np.float32), *parts])
