"""Protocol: a reference set polluted with other classes, with and without cleaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from dn2.bench.context import Bench, timed
from dn2.bench.data import Positions, Split
from dn2.bench.result import Measurement, Result
from dn2.bench.scoring import check_neighbors, merged, nearest_distances, roc_auc, rows_of
from dn2.embedding import Vectors
from dn2.errors import InputError, ReferenceTooSmall
from dn2.neighbors.conformal import Scores, mean_squared_distance
from dn2.neighbors.detector import KNNDetector
from dn2.presets import NEIGHBORS_IF_CONTAMINATED

Figures = Mapping[str, float]

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
PAPER_DROP = 0.5


def impurity(bench: Bench) -> Result:
    """Pollute the reference pictures of each class with a share of other classes, and clean them.

    A share is that of the whole polluted set: the clean pictures all stay, others come in addition, those of a lower
    share among those of a higher.  Shares that take more others than some class has are left out; raises InputError
    if that leaves none."""
    draws = [Draw.of(bench, name, seed) for seed in range(bench.seeds) for name in bench.data.normal]
    shares = [share for share in SHARES if all(draw.reaches(share) for draw in draws)]
    if len(shares) < 2:
        raise InputError(
            f"{bench.data.folder}: even a share of {SHARES[1]:.0%} takes more pictures of other classes than there are "
            "besides the queries; add some (to train/ if there is one)"
        )
    result = Result("Impurity of the reference set, one class normal", "share of other classes")
    result.positions = {f"{share:.0%}": 100 * share for share in shares}
    with bench.watch("cleaning") as show:
        for done, draw in enumerate(draws):
            case = _Case(bench, result, draw)
            for step, share in enumerate(shares, 1):
                case.measure(share)
                show(done * len(shares) + step, len(draws) * len(shares))
    result.notes += [
        "A share is that of the polluted set: all clean pictures stay, and others are added.",
        f"The paper's cleaning: k = {bench.n_neighbors} in both stages, {PAPER_DROP:.0%} dropped, whatever the share. "
        "Share given: the true share is dropped.",
        "Estimate, low and high: the share of anomalies that dn2 finds in the polluted set, in %.",
        "n_reference in the CSV counts the clean ones alone.",
    ]
    if left_out := [f"{share:.0%}" for share in SHARES if share not in shares]:
        result.notes.append(f"There are too few pictures of other classes for {' and '.join(left_out)}.")
    return result


@dataclass(frozen=True)
class Draw:
    """One class normal, and the pictures that pollute it, in the order in which they come in.

    fixed : whether the split is not random, so that nothing is where nothing pollutes."""

    name: str
    seed: int
    split: Split
    others: Positions
    fixed: bool

    @classmethod
    def of(cls, bench: Bench, name: str, seed: int) -> Draw:
        """Draw for a class and a seed.  Raises InputError, ReferenceTooSmall for a class that is too small."""
        rng = np.random.default_rng([seed, bench.data.classes.index(name)])
        whole = bench.data.split((name,), seed)
        split = whole.with_others(rng)
        check_neighbors(_both(bench)[1], len(split.reference), f"the class {name!r}")
        return cls(name, seed, split, rng.permutation(split.others), split is whole and not bench.data.random)

    def reaches(self, share: float) -> bool:
        """Tell whether there are enough others for a share."""
        return len(self.pollution(share)) == self._size(share)

    def pollution(self, share: float) -> Positions:
        """Return the positions of the others that make up a share, in [0, 1), of the polluted set."""
        return self.others[: self._size(share)]

    def _size(self, share: float) -> int:
        return round(share / (1 - share) * len(self.split.reference))


class _Case:
    """Measures all ways of dealing with the pollution of one draw."""

    def __init__(self, bench: Bench, result: Result, draw: Draw) -> None:
        self.bench, self.result, self.draw = bench, result, draw
        self.few, self.many = _both(bench)
        self.clean = rows_of(bench.vectors, draw.split.reference)
        self.queries = rows_of(bench.vectors, draw.split.queries)
        self.near_clean = nearest_distances(self.clean, self.queries, self.many)

    def measure(self, share: float) -> None:
        """Measure at one share, what is not random with the first seed only."""
        first, random = not self.draw.seed, not self.draw.fixed
        if first or random:
            self._by_distance("clean part alone", share, self.near_clean, random=random)
        if not (first or random or share):
            return
        near, polluted = self.near_clean, self.clean
        if share:
            others = rows_of(self.bench.vectors, self.draw.pollution(share))
            near = merged([near, nearest_distances(others, self.queries, self.many)], self.many)
            polluted = np.concatenate([self.clean, others])
        self._by_distance("no cleaning", share, near, random=random or share > 0)
        for method, detector in self._detectors(share).items():
            with timed(self.result, method):
                try:
                    found, scores = detector.fit(polluted).contamination_, detector.anomaly_score(self.queries)
                except ReferenceTooSmall as error:
                    self._refused(method, share, error)
                    continue
            figures = {} if found is None or detector.drop is not None else asdict(found)
            self._record(method, share, scores, figures, random=random or share > 0)

    def _detectors(self, share: float) -> dict[str, KNNDetector]:
        paper = KNNDetector(self.few, contaminated=True, drop=PAPER_DROP, first_neighbors=self.few)
        return {
            f"the paper's cleaning, k = {self.few}": paper,
            f"dn2, share given, k = {self.many}": KNNDetector(self.many, contaminated=True, drop=share),
            f"dn2, share estimated, k = {self.many}": KNNDetector(self.many, contaminated=True),
        }

    def _refused(self, method: str, share: float, error: ReferenceTooSmall) -> None:
        """Note that a detector refused a set: the others go on."""
        draw = f"{self.draw.name} with {share:.0%} of others, seed {self.draw.seed}"
        self.result.notes.append(f"{method} is not in the mean for {draw}: {error}.")

    def _by_distance(self, method: str, share: float, near: Vectors, *, random: bool) -> None:
        for k in dict.fromkeys((self.few, self.many)):
            self._record(f"{method}, k = {k}", share, mean_squared_distance(near[:, :k]), {}, random=random)

    def _record(self, method: str, share: float, scores: Scores, figures: Figures, *, random: bool) -> None:
        draw = self.draw
        auc, seed = roc_auc(scores, draw.split.truth), draw.seed if random else None
        one = Measurement(method, f"{share:.0%}", draw.name, seed, len(draw.split.reference), auc, figures)
        self.result.measurements.append(one)


def _both(bench: Bench) -> tuple[int, int]:
    """Return the number of neighbours asked for, and the one that dn2 takes for a contaminated set."""
    return bench.n_neighbors, max(bench.n_neighbors, NEIGHBORS_IF_CONTAMINATED)
