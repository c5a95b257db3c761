"""Protocol: a reference set polluted with other classes, with and without cleaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from dn2.arrays import Distances, Positions, Scores
from dn2.bench.product import check_neighbors
from dn2.bench.result import Measurement, Result
from dn2.bench.scoring import merge_nearest, nearest_distances, rows_of
from dn2.bench.split import Split
from dn2.errors import InputError, ReferenceTooSmall
from dn2.kinds.image.bench import IMPURITY
from dn2.kinds.image.bench.pictures import Bench
from dn2.kinds.usual_steps import NEIGHBORS_IF_CONTAMINATED

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
PAPER_DROP = 0.5


def impurity(bench: Bench) -> Result:
    """Pollute the reference pictures of each class with a share of other classes, and clean them.

    A share is of the whole polluted set: all clean pictures stay, and others are added, each share containing the next
    lower one.  Only shares for which every class has enough others are run.
    Raises InputError unless at least one share above 0 is left."""
    bench = bench.with_fit_options(whiten=False)  # dn2 does not whiten where it cleans
    draws = [Draw.of(bench, name, seed) for seed in range(bench.seeds) for name in bench.data.normal]
    shares = [share for share in SHARES if all(draw.reaches(share) for draw in draws)]
    if len(shares) < 2:
        raise InputError(
            f"{bench.data.folder}: even a share of {SHARES[1]:.0%} takes more pictures of other classes than there are "
            "besides the queries; add some (to train/ if there is one)"
        )
    result = Result(IMPURITY.title, "share of other classes")
    result.positions = {f"{share:.0%}": 100 * share for share in shares}
    with bench.progress_of("cleaning") as show:
        for done, draw in enumerate(draws):
            case = _PollutedDraw(bench, result, draw)
            for step, share in enumerate(shares, 1):
                case.measure(share)
                show(done * len(shares) + step, len(draws) * len(shares))
    result.notes += [
        "A share is that of the polluted set: all clean pictures stay, and others are added.",
        f"The paper's cleaning: k = {bench.most_neighbors} in both stages, {PAPER_DROP:.0%} dropped, whatever the "
        "share. Share given: the true share is dropped. No share given: only what lies alone is set aside.",
        "Estimate and high: the share of the polluted set that is unlike most others, in %, and its high end; low: the "
        "share that lies alone.",
        "n_reference in the CSV counts the clean ones alone.",
    ]
    if left_out := [f"{share:.0%}" for share in SHARES if share not in shares]:
        result.notes.append(f"There are too few pictures of other classes for {' and '.join(left_out)}.")
    return result


@dataclass(frozen=True)
class Draw:
    """One normal class, and the pictures that pollute it, in the order in which they are added.

    fixed : whether the split is fixed, so that without pollution nothing is random."""

    name: str
    seed: int
    split: Split
    others: Positions
    fixed: bool

    @classmethod
    def of(cls, bench: Bench, name: str, seed: int) -> Draw:
        """Draw for a class and a seed.  Raises InputError; ReferenceTooSmall for a class that is too small."""
        rng = np.random.default_rng([seed, bench.data.classes.index(name)])
        whole = bench.data.split((name,), seed)
        split = whole.with_others(rng)
        check_neighbors(_neighbor_numbers(bench)[1], len(split.reference), f"the class {name!r}")
        return cls(name, seed, split, rng.permutation(split.others), split is whole and not bench.data.random)

    def reaches(self, share: float) -> bool:
        """Tell whether there are enough other pictures for a share."""
        return len(self.pollution(share)) == self._size(share)

    def pollution(self, share: float) -> Positions:
        """Return the positions of the added pictures that make up a share, in [0, 1), of the polluted set."""
        return self.others[: self._size(share)]

    def polluted_split(self, share: float) -> Split:
        """Return the split with the added pictures among its reference pictures."""
        return replace(self.split, reference=np.concatenate([self.split.reference, self.pollution(share)]))

    def _size(self, share: float) -> int:
        return round(share / (1 - share) * len(self.split.reference))


class _PollutedDraw:
    """Measures all ways of dealing with the pollution of one draw."""

    def __init__(self, bench: Bench, result: Result, draw: Draw) -> None:
        self.bench, self.result, self.draw = bench, result, draw
        self.few, self.many = _neighbor_numbers(bench)
        self.near_clean = self._search(draw.split.reference)

    def measure(self, share: float) -> None:
        """Measure at one share; what is not random is measured with the first seed only."""
        first, random = not self.draw.seed, not self.draw.fixed
        if first or random:
            self._measure_plain("clean part alone", share, self.draw.split, self.near_clean, random=random)
        if not (first or random or share):
            return
        random = random or share > 0
        near, polluted = self.near_clean, self.draw.polluted_split(share)
        if share:
            near = merge_nearest([near, self._search(self.draw.pollution(share))], self.many)
        self._measure_plain("no cleaning", share, polluted, near, random=random)
        for method, options in self._cleanings(share).items():
            with self.result.timing(method):
                try:
                    detector = self.bench.with_fit_options(contaminated=True, **options).fit(polluted.reference)
                    scores = detector.anomaly_score(rows_of(self.bench.embeddings, polluted.queries))
                except ReferenceTooSmall as error:
                    self._note_refusal(method, share, error)
                    continue
            contamination = None if "drop" in options else detector.contamination
            self._record(
                method, share, scores, random=random, **({} if contamination is None else asdict(contamination))
            )

    def _cleanings(self, share: float) -> Mapping[str, Mapping[str, Any]]:
        """Return the options of `dn2.fit` by method."""
        paper = {"neighbors": self.few, "drop": PAPER_DROP, "first_neighbors": self.few}
        return {
            f"the paper's cleaning, k = {self.few}": paper,
            f"dn2, share given, k = {self.many}": {"neighbors": self.many, "drop": share},
            f"dn2, no share given, k = {self.many}": {"neighbors": self.many},
        }

    def _note_refusal(self, method: str, share: float, error: ReferenceTooSmall) -> None:
        """Note that a detector refused a set; the other measurements go on."""
        draw = f"{self.draw.name} with {share:.0%} of others, seed {self.draw.seed}"
        self.result.notes.append(f"{method} is not in the mean for {draw}: {error}.")

    def _search(self, reference: Positions) -> Distances:
        vectors = self.bench.vectors
        return nearest_distances(rows_of(vectors, reference), rows_of(vectors, self.draw.split.queries), self.many)

    def _measure_plain(self, method: str, share: float, split: Split, near: Distances, *, random: bool) -> None:
        """Measure dn2 without cleaning, with few and with many neighbours.

        near : (n_queries, k) distances to the most neighbours."""
        for k in dict.fromkeys((self.few, self.many)):
            scores = self.bench.with_fit_options(neighbors=k).scores(split, lambda k: near[:, :k])
            self._record(f"{method}, k = {k}", share, scores, random=random)

    def _record(self, method: str, share: float, scores: Scores, *, random: bool, **figures: float) -> None:
        draw = self.draw
        seed = draw.seed if random else None
        measurement = Measurement.of(method, f"{share:.0%}", draw.name, seed, draw.split, scores, **figures)
        self.result.measurements.append(measurement)


def _neighbor_numbers(bench: Bench) -> tuple[int, int]:
    """Return the number of neighbours asked for, and the number that dn2 takes for a contaminated set."""
    return bench.most_neighbors, max(bench.most_neighbors, NEIGHBORS_IF_CONTAMINATED)
