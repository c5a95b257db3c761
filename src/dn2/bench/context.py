"""What every protocol gets: the data, its embeddings, and how often to draw."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from dn2.bench.data import ClassFolders, Split
from dn2.bench.embeddings import Watch
from dn2.bench.result import Measurement, Result
from dn2.bench.scoring import roc_auc
from dn2.embedding import Vectors
from dn2.neighbors.conformal import Scores
from dn2.presets import Preset


class Method(Protocol):
    """A way to score queries against reference items."""

    @property
    def name(self) -> str:
        """The column of the table."""

    @property
    def random(self) -> bool:
        """Whether it draws at random itself, besides the split."""

    def scores(self, split: Split, seed: int) -> Scores:
        """Return the anomaly scores of the split's queries, (n_queries,); higher is more anomalous."""


@dataclass(frozen=True)
class Bench:
    """One data set in one embedding.

    vectors : (n, d) float32, the normalised embeddings of all pictures.
    n_neighbors : number k of neighbours; fewer_among_few : whether a small reference set has fewer, as in a preset.
    whiten : whether a large reference set is whitened, as in a preset.  normalization : what was done to the vectors.
    seeds : number of random draws.  rivals : other methods to run on the same splits."""

    data: ClassFolders
    backbone: str
    vectors: Vectors
    n_neighbors: int
    seeds: int
    watch: Watch
    rivals: Sequence[Method] = ()
    fewer_among_few: bool = False
    whiten: bool = False
    normalization: str = "none"

    @property
    def name(self) -> str:
        """What dn2's own column is called."""
        fewer = self.neighbors_among(0) < self.n_neighbors
        return f"dn2 {self.backbone}, k {'≤' if fewer else '='} {self.n_neighbors}"

    def neighbors_among(self, n: int) -> int:
        """Return the number of neighbours that a score averages over among n reference items."""
        return Preset(self.backbone, self.n_neighbors).neighbors_among(n) if self.fewer_among_few else self.n_neighbors

    def whitens_among(self, n: int) -> bool:
        """Tell whether n reference items are whitened."""
        return Preset(self.backbone, self.n_neighbors, self.whiten).whitens_among(n)

    def draws(self, random: bool = False) -> list[int | None]:
        """List the seeds to run: one run, None, if neither the split nor the method is random."""
        return list(range(self.seeds)) if random or self.data.random else [None]


@contextmanager
def timed(result: Result, method: str) -> Iterator[None]:
    """Add the wall time of a block to that of a method."""
    start = time.perf_counter()
    yield
    result.took(method, time.perf_counter() - start)


def measured(
    method: str, setting: str, normal: str, seed: int | None, split: Split, scores: Scores, **others: float
) -> Measurement:
    """Measure the scores of a split's queries against the truth."""
    return Measurement(method, setting, normal, seed, len(split.reference), roc_auc(scores, split.truth), others)
