"""Protocol: a reference set polluted with other classes, with and without cleaning."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dn2.bench.context import Bench, timed
from dn2.bench.data import Positions, Split
from dn2.bench.result import Measurement, Result
from dn2.bench.scoring import check_neighbors, merged, nearest_distances, roc_auc, rows_of
from dn2.embedding import Vectors
from dn2.errors import InputError
from dn2.neighbors.conformal import Scores, mean_squared_distance
from dn2.neighbors.detector import KNNDetector
from dn2.presets import NEIGHBORS_IF_CONTAMINATED

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
PAPER_DROP = 0.5


def impurity(bench: Bench) -> Result:
    """Pollute the reference pictures of each class with a share of other classes, and clean them.

    A share is that of the whole polluted set: the clean pictures all stay, others come in addition, those of a lower
    share among those of a higher.  Raises InputError where there are too few others."""
    result = Result("Impurity of the reference set, one class normal", "share of other classes")
    result.positions = {_setting(share): 100 * share for share in SHARES}
    runs = [(name, seed) for seed in range(bench.seeds) for name in bench.data.normal]
    with bench.watch("cleaning") as show:
        for done, (name, seed) in enumerate(runs):
            case = _Case(bench, result, name, seed)
            for step, share in enumerate(SHARES, 1):
                case.measure(share)
                show(done * len(SHARES) + step, len(runs) * len(SHARES))
    result.notes += [
        "A share is that of the polluted set: all clean pictures stay, and others are added.",
        f"The paper's cleaning: k = {bench.n_neighbors} in both stages, {PAPER_DROP:.0%} dropped, whatever the share. "
        "Share given: the true share is dropped.",
        "Estimated share, low and high: what dn2 says of the polluted set, in %.",
    ]
    return result


def draw_pollution(split: Split, rng: np.random.Generator) -> dict[float, Positions]:
    """Draw pictures of other classes for each share, without replacement, each draw within the next.

    Raises InputError if there are too few."""
    counts = {share: round(share / (1 - share) * len(split.reference)) for share in SHARES}
    most = max(counts.values())
    if most > len(split.others):
        raise InputError(
            f"a share of {_setting(max(SHARES))} takes {most} pictures of other classes beside "
            f"{len(split.reference)} normal ones, and {len(split.others)} are no queries; add pictures of other "
            "classes (to train/ if there is one)"
        )
    order = rng.permutation(split.others)
    return {share: order[:count] for share, count in counts.items()}


class _Case:
    """One class normal, with one draw of what pollutes it."""

    def __init__(self, bench: Bench, result: Result, name: str, seed: int) -> None:
        self.result, self.name, self.seed = result, name, seed
        rng = np.random.default_rng([seed, bench.data.classes.index(name)])
        whole = bench.data.split((name,), seed)
        self.split = whole.with_others(rng)
        self.fixed = self.split is whole and not bench.data.random
        self.few, self.many = bench.n_neighbors, max(bench.n_neighbors, NEIGHBORS_IF_CONTAMINATED)
        check_neighbors(self.many, len(self.split.reference), f"the class {name!r}")
        self.pollution = {share: rows_of(bench.vectors, at) for share, at in draw_pollution(self.split, rng).items()}
        self.clean, self.queries = (
            rows_of(bench.vectors, self.split.reference),
            rows_of(bench.vectors, self.split.queries),
        )
        self.near_clean = nearest_distances(self.clean, self.queries, self.many)

    def measure(self, share: float) -> None:
        """Measure what all ways of dealing with a share of pollution give."""
        near, n = self.near_clean, len(self.clean)
        for k in {self.many, self.few}:
            self._record(f"clean part alone, k = {k}", share, mean_squared_distance(near[:, :k]), n, random=False)
        if self.fixed and not share and self.seed:
            return  # nothing is random where nothing is drawn
        if len(others := self.pollution[share]):
            near, n = merged([near, nearest_distances(others, self.queries, self.many)], self.many), n + len(others)
        for k in {self.few, self.many}:
            self._record(f"no cleaning, k = {k}", share, mean_squared_distance(near[:, :k]), n, random=share > 0)
        polluted = np.concatenate([self.clean, others])
        for method, detector in self._detectors(share).items():
            with timed(self.result, method):
                scores, figures = _clean(detector, polluted, self.queries)
            self._record(method, share, scores, n, random=share > 0, others=figures if detector.drop is None else {})

    def _detectors(self, share: float) -> dict[str, KNNDetector]:
        paper = KNNDetector(self.few, contaminated=True, drop=PAPER_DROP, first_neighbors=self.few)
        return {
            f"the paper's cleaning, k = {self.few}": paper,
            f"dn2, share given, k = {self.many}": KNNDetector(self.many, contaminated=True, drop=share),
            f"dn2, share estimated, k = {self.many}": KNNDetector(self.many, contaminated=True),
        }

    def _record(
        self,
        method: str,
        share: float,
        scores: Scores,
        n: int,
        *,
        random: bool,
        others: Mapping[str, float] | None = None,
    ) -> None:
        seed = self.seed if random or not self.fixed else None
        if seed is None and self.seed:
            return  # measured with the first seed
        auc = roc_auc(scores, self.split.truth)
        self.result.measurements.append(Measurement(method, _setting(share), self.name, seed, n, auc, others or {}))


def _clean(detector: KNNDetector, polluted: Vectors, queries: Vectors) -> tuple[Scores, dict[str, float]]:
    """Fit on a polluted set: the scores of the queries, and the estimated share with its range."""
    share = detector.fit(polluted).contamination_
    return detector.anomaly_score(queries), {"estimated share": share.estimate, "low": share.low, "high": share.high}


def _setting(share: float) -> str:
    return f"{share:.0%}"
