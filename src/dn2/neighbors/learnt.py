"""What a reference set teaches: see `Plan.learn`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np

from dn2.arrays import Array, Positions, Progress, Scores, Vectors
from dn2.neighbors.blocks import Block, rows_at, size_of
from dn2.neighbors.calibration import LearntStep
from dn2.neighbors.checks import check_stored_positions
from dn2.neighbors.clean import Share
from dn2.neighbors.leave_one_out import LeaveOneOut, search_in_parts
from dn2.neighbors.prepare.scaling import Scaling
from dn2.neighbors.prepare.whitening import Whitening
from dn2.neighbors.sampling import Limits
from dn2.neighbors.search.cells import CellIndex, CellSearch
from dn2.neighbors.search.centroids import Centroids
from dn2.neighbors.search.excluded import Excluded
from dn2.neighbors.search.index import Index
from dn2.neighbors.search.selected import SelectedIndex
from dn2.neighbors.search.tree_search import TreeSearch

NO_POSITIONS: Positions = np.empty(0, np.int64)


@dataclass(frozen=True)
class Cleaning:
    """Which items stand aside.

    aside : positions of the items set aside, ascending; suspects : of these and of the items that look anomalous but
        are not set aside, for they may be a kind of normal items; readmitted : of the items that a person took back.
    share : the estimated share of anomalies in the set."""

    aside: Positions
    suspects: Positions
    readmitted: Positions
    share: Share

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        share = np.array(astuple(self.share), np.float64)
        return {"aside": self.aside, "suspects": self.suspects, "readmitted": self.readmitted, "share": share}

    @classmethod
    def from_arrays(cls, aside: Positions, suspects: Positions, readmitted: Positions, share: Scores) -> Self:
        """Restore what `as_arrays` gave.  Raises ValueError for a share of another form."""
        if share.shape != (3,) or not ((share >= 0) & (share <= 1)).all():
            raise ValueError(f"a share of anomalies, its low and its high end must lie in 0 ... 1, got {share}")
        return cls(aside, suspects, readmitted, Share(*share.tolist()))

    def check(self, n: int) -> None:
        """Raise ValueError for positions outside of n items, and unless suspects are those aside and others."""
        for positions in (self.aside, self.suspects, self.readmitted):
            check_stored_positions(positions, n)
        ascending = (np.diff(self.suspects) > 0).all()
        if not ascending or len(self.suspects) == n or not np.isin(self.aside, self.suspects).all():
            raise ValueError(f"{len(self.suspects)} suspects, ascending, of {n} items must hold those set aside")


PARTS: dict[str, Any] = {"limits": Limits, "scaling": Scaling, "whitening": Whitening, "cleaning": Cleaning}
SEARCHES: dict[str, Any] = {"centroids": Centroids, "cells": CellSearch, "tree": TreeSearch}


@dataclass(frozen=True)
class Learnt:
    """What a reference set has taught; a part that was not to be learnt, or was not found, is None.

    limits : which items calibrate; None for windows of series, all of which do.
    scaling, whitening : how rows are seen; cleaning : which items stand aside.
    search : what stands in place of items, or leads to the near ones; None where the search is exact."""

    limits: Limits | None = None
    scaling: Scaling | None = None
    whitening: Whitening | None = None
    cleaning: Cleaning | None = None
    search: Centroids | CellSearch | TreeSearch | None = None

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps: the arrays of each part, by `part.array`."""
        searches = {name: self.search for name, form in SEARCHES.items() if isinstance(self.search, form)}
        parts = {name: getattr(self, name) for name in PARTS} | searches
        arrays = {name: part.as_arrays() for name, part in parts.items() if part is not None}
        return {f"{part}.{name}": array for part, of_part in arrays.items() for name, array in of_part.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """Restore what `as_arrays` gave.  Raises ValueError, or TypeError, for arrays of other names or forms."""
        parts: dict[str, dict[str, Array]] = {}
        for name, array in arrays.items():
            part, _, field = name.partition(".")
            parts.setdefault(part, {})[field] = array
        if unknown := sorted(parts.keys() - PARTS.keys() - SEARCHES.keys()):
            raise ValueError(f"a set teaches {', '.join([*PARTS, *SEARCHES])}, got {unknown[0]}")
        restored = {name: (PARTS | SEARCHES)[name].from_arrays(**of_part) for name, of_part in parts.items()}
        searches = [restored.pop(name) for name in SEARCHES if name in restored]
        if len(searches) > 1:
            raise ValueError(f"a set has one search, got {len(searches)}")
        return cls(**restored, search=searches[0] if searches else None)

    def check(self, n: int, dimension: int, k: int) -> None:
        """Raise ValueError unless n items of a dimension, compared with k neighbours, can teach this."""
        width = dimension
        if self.limits is not None:
            self.limits.check()
        if self.scaling is not None:
            self.scaling.check(dimension)
            width = len(self.scaling.owners)
        if self.whitening is not None:
            self.whitening.check(width)
        if self.cleaning is not None:
            self.cleaning.check(n)
        if isinstance(self.search, Centroids):
            self.search.check(n, width)
        elif self.search is not None:
            self.search.check(width)
        if n - len(self.aside) <= (0 if self.has_centroids else k):
            raise ValueError(f"{len(self.aside)} of {n} items set aside")

    @property
    def aside(self) -> Positions:
        """The positions of the items set aside, ascending."""
        return NO_POSITIONS if self.cleaning is None else self.cleaning.aside

    @property
    def suspects(self) -> Positions:
        """The positions of the items set aside, and of those that look anomalous but are not, ascending."""
        return NO_POSITIONS if self.cleaning is None else self.cleaning.suspects

    @property
    def readmitted(self) -> Positions:
        """The positions of the items that a person took back."""
        return NO_POSITIONS if self.cleaning is None else self.cleaning.readmitted

    @property
    def has_centroids(self) -> bool:
        """Whether centroids take the place of the items."""
        return isinstance(self.search, Centroids)

    @property
    def is_approximate(self) -> bool:
        """Whether the search is approximate, by cells or by leaves."""
        return isinstance(self.search, (CellSearch, TreeSearch))

    @property
    def sees_otherwise(self) -> bool:
        """Whether rows are compared in another form than they are stored in, or only some of them."""
        return self.scaling is not None or self.whitening is not None or len(self.aside) > 0

    @property
    def steps(self) -> tuple[LearntStep, ...]:
        """What was learnt by step, with a count: items aside, columns, directions, centroids, cells or means."""
        steps: list[LearntStep] = []
        if self.cleaning is not None:
            steps.append(LearntStep("cleaning", len(self.aside)))
        if self.scaling is not None:
            steps.append(LearntStep("scaling", self.scaling.numbers.shape[1]))
        if self.whitening is not None:
            steps.append(LearntStep("whitening", len(self.whitening.factors)))
        match self.search:
            case Centroids(means):
                steps.append(LearntStep("centroids", len(means)))
            case CellSearch(centres):
                steps.append(LearntStep("cells", len(centres)))
            case TreeSearch(tree):
                steps.append(LearntStep("tree", len(tree.means)))
        return tuple(steps)

    def index(self, blocks: Sequence[Block], held_out: Positions = NO_POSITIONS) -> Index:
        """Return the index that queries are compared with; blocks : the whole reference set.

        held_out : positions, ascending, of items that calibrate and are no neighbours.
        Blocks keep what is computed of them for it."""
        n = size_of(blocks)
        if isinstance(self.search, Centroids):
            return self.search.index()
        if isinstance(self.search, TreeSearch):
            return self.search.index(rows_at(blocks, np.arange(n)))
        if self.search is None or self.sees_otherwise or len(held_out):
            kept = np.setdiff1d(np.arange(n, dtype=np.int64), np.union1d(self.aside, held_out))
            return SelectedIndex(self.compared(rows_at(blocks, kept)), kept, self.search)
        if self.search.reduction is None:
            return CellIndex(blocks, self.search)
        for block in blocks:
            if block.all_codes is None:
                (block.all_codes,) = self.search.encode([Block(block.stored)])
        return CellIndex(blocks, self.search, [block.codes for block in blocks if block.codes is not None])

    def compared(self, rows: Vectors) -> Vectors:
        """Return normalised rows, (n, d), as the index compares them."""
        rows = rows if self.scaling is None else self.scaling.apply(rows)
        return rows if self.whitening is None else self.whitening.apply(rows)

    def compared_at(self, blocks: Sequence[Block], positions: Positions) -> Vectors:
        """Return the rows of a set at some positions, (m,), as the index compares them."""
        return self.compared(rows_at(blocks, positions))

    def leave_one_out(
        self,
        blocks: Sequence[Block],
        index: Index,
        members: Positions,
        k: int,
        exclude: Excluded | None,
        progress: Progress | None = None,
    ) -> LeaveOneOut:
        """Search for the neighbours of some items of the whole reference set; exclude : what is none of theirs."""
        rows = partial(self.compared_at, blocks)
        return LeaveOneOut(members, *search_in_parts(index, rows, members, k, exclude, progress))

    def describe_search(self) -> dict[str, Any]:
        """Return how an approximate search goes, as `model.json` has it; empty where the search is exact."""
        return self.search.describe() if isinstance(self.search, (CellSearch, TreeSearch)) else {}

    def after_removing(self, removed: Positions, blocks: Sequence[Block]) -> Self:
        """Renumber positions once items at others, ascending, are gone; blocks : the set that is left."""
        if not isinstance(self.search, Centroids):
            return self
        return replace(self, search=self.search.after_removing(removed, blocks, self.compared))

    @property
    def suspects_copies(self) -> bool:
        """Whether a near copy is suspicious: centroids have none, and rows of a table may be alike by nature."""
        return not self.has_centroids and self.scaling is None
