"""The input of every protocol on pictures: the data, its embeddings, and dn2's options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from dn2.arrays import Distances, Positions, Scores, Vectors
from dn2.bench.context import Method, ProgressFactory
from dn2.bench.product import scores_of
from dn2.bench.scoring import rows_of
from dn2.bench.split import Split
from dn2.kinds.image.bench.data import ClassFolders
from dn2.kinds.image.kind import ImageKind
from dn2.kinds.image.options import ImageOptions
from dn2.kinds.image.presets import WHITEN_FROM, get_preset
from dn2.neighbors.detector import Detector
from dn2.neighbors.prepare.normalize import normalize


def backbone_of(options: ImageOptions) -> str:
    """Return the backbone of options, or of their preset."""
    return options.backbone or get_preset(options.preset).backbone


@dataclass(frozen=True)
class Bench:
    """One data set in one embedding.

    Parameters
    ----------
    data : ClassFolders
        The pictures, their classes and their splits.
    kind : ImageKind
        As `dn2.fit` makes it of the options.
    options : ImageOptions
        As `dn2.fit` would be given them.
    embeddings : ndarray of shape (n, d), float32
        Of all pictures, before any normalisation.
    seeds : int
        Number of random draws.
    progress_of : ProgressFactory
    rivals : sequence of Method
        Other methods to run on the same splits."""

    data: ClassFolders
    kind: ImageKind
    options: ImageOptions
    embeddings: Vectors
    seeds: int
    progress_of: ProgressFactory
    rivals: Sequence[Method] = ()

    @property
    def backbone(self) -> str:
        """The network's name."""
        return backbone_of(self.options)

    @property
    def normalization(self) -> str:
        """The normalisation of embeddings before they are compared."""
        return self.options.normalize or str(self.kind.embedder.normalize)

    @cached_property
    def vectors(self) -> Vectors:
        """The normalised embeddings of all pictures, (n, d)."""
        return normalize(self.embeddings, self.normalization)

    def rows(self, split: Split) -> tuple[Vectors, Vectors]:
        """Return the normalised embeddings of the reference pictures and of the queries of a split."""
        return rows_of(self.vectors, split.reference), rows_of(self.vectors, split.queries)

    @property
    def name(self) -> str:
        """The name of dn2's column."""
        fewer = self.neighbors_among(0) < self.most_neighbors
        return f"dn2 {self.backbone}, k {'≤' if fewer else '='} {self.most_neighbors}"

    @property
    def most_neighbors(self) -> int:
        """The number of neighbours that a score averages over in a large reference set."""
        return self.neighbors_among(sys.maxsize)

    def neighbors_among(self, n: int) -> int:
        """Return the number of neighbours that a score averages over among n reference items."""
        return self.kind.neighbors(self.options, n)

    def with_fit_options(self, **options: Any) -> Bench:
        """Return the same bench with other options of `dn2.fit`."""
        return replace(self, options=replace(self.options, **options))

    def fit(self, places: Positions) -> Detector:
        """Fit the detector of `dn2.fit` on the pictures at some places."""
        return Detector.fit(self.kind.steps(self.options, len(places)), rows_of(self.embeddings, places))

    def scores(self, split: Split, find_nearest: Callable[[int], Distances]) -> Scores:
        """Score the queries of a split as a model of `dn2.fit` does; see `scores_of`."""
        steps = self.kind.steps(self.options, len(split.reference))
        return scores_of(steps, self.embeddings, split, find_nearest)

    def notes(self) -> list[str]:
        """Say what the preset does besides choosing a backbone and a number of neighbours."""
        whitens = self.options.whiten is None and get_preset(self.options.preset).whiten
        words = f"Reference sets of {WHITEN_FROM:,} pictures or more are whitened, as a random half teaches."
        return [words] if whitens else []

    def draws(self, random: bool = False) -> list[int | None]:
        """List the seeds to run: one run, None, if neither the split nor the method is random."""
        return list(range(self.seeds)) if random or self.data.random else [None]
