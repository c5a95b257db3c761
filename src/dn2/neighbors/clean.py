"""A contaminated reference set: which items are probably anomalies themselves, and how many they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

import faiss
import numpy as np

from dn2.arrays import Flags, Positions, Scores, Vectors
from dn2.errors import InputError
from dn2.neighbors.calibration import mean_squared_distance
from dn2.neighbors.isolated import NEIGHBORS, Isolation

# How many neighbours a row is compared with in the first stage, as a share of the set.  A few would not do: anomalies
# of one kind are each other's nearest.
NEIGHBORS_SHARE = 0.08
PASSES = 4

# Then every item is weighed: its distance to this many items left in against that to as many left out.
WEIGHED_BY = 8
WEIGHINGS = 3

# The share of anomalies is counted by votes that start from this share of suspects.  How often anomalies and normal
# items come out as suspects, at the least and typically, was measured on CIFAR-10's training pictures
# with 0 to 40 % of other classes among 1,000 of one.
SUSPECT_SHARE = 0.5
ROUNDS = 2
ANOMALIES_CAUGHT = (0.42, 0.52)
NORMALS_CAUGHT = (0.01, 0.05)
MOST = 0.5  # of anything, what is fewer is the anomaly
FAR_OUT = 3.0  # in distances between the quartiles


@dataclass(frozen=True)
class Share:
    """The share of anomalies in a set, in [0, 1].

    low : what lies alone, far from all others.  estimate : what is unlike most others; rarer kinds of normal items are
        among it as anomalies are, and no number tells these apart.  high : what may be unlike most others at the most.
    """

    estimate: float
    low: float
    high: float


class ContaminationFilter:
    """The rows of a contaminated set, which decide which of them, and which other items, are probably anomalies.

    rows : (n, d) float32.  share : the share of rows to set aside, in [0, 1).
    n_neighbors : with it, this is the paper's cleaning: the rows farthest from that many neighbours are set aside.
        By default rows are compared with many neighbours, repeatedly, and the rows that look most anomalous are no
        longer compared with; then, `weighings` times, every row is weighed between the rows that are left and the rows
        that are not.
    aside : (n,) bool, the rows set aside; scores : (n,), higher for the more anomalous.

    Source: DN2's two stages; repeated passes over a trimmed set as in least trimmed squares, Rousseeuw, 1984."""

    def __init__(self, rows: Vectors, share: float, n_neighbors: int | None = None, weighings: int = WEIGHINGS) -> None:
        self._rows = rows
        self._count = min(share_of(share, len(rows)), len(rows) - 1)
        self._suspect = np.zeros(len(rows), bool)
        self._k = n_neighbors or math.ceil(NEIGHBORS_SHARE * len(rows))
        self._score = self._distance
        own = np.arange(len(rows), dtype=np.int64)
        scores = self._score(rows, own)
        if n_neighbors is None and self._count:
            if not 1 < self._count < len(rows) - 1:
                weighings = 0  # one item alone has no others like it to be weighed against
            for step in range(PASSES + weighings):
                self._suspect = self._farthest(scores)
                if step == PASSES:
                    self._score = self._weight
                scores = self._score(rows, own)
        self.scores = scores
        self.aside = self._farthest(scores)
        self._limit = scores[~self.aside].max()

    def exclude(self, queries: Vectors) -> Flags:
        """Tell which other items, (n, d), are probably anomalies: (n,) bool."""
        if not self._count or not len(queries):
            return np.zeros(len(queries), bool)
        flags: Flags = self._score(queries) > self._limit
        return flags

    def _farthest(self, scores: Scores) -> Flags:
        flags = np.zeros(len(scores), bool)
        flags[np.argsort(scores, kind="stable")[len(scores) - self._count :]] = True
        return flags

    def _distance(self, queries: Vectors, own: Positions | None = None) -> Scores:
        return _mean_distance(queries, self._rows, ~self._suspect, self._k, own)

    def _weight(self, queries: Vectors, own: Positions | None = None) -> Scores:
        inside = _mean_distance(queries, self._rows, ~self._suspect, WEIGHED_BY, own)
        outside = _mean_distance(queries, self._rows, self._suspect, WEIGHED_BY, own)
        weights: Scores = inside / np.maximum(outside, np.finfo(np.float32).tiny)
        return weights


def estimate_share(rows: Vectors) -> Share:
    """Estimate which share of a set, (n, d), is unlike most others: at most half.

    The more anomalous half is suspect at first; then, twice, only items stay or become suspect whose nearest
    neighbours all are.  Normal items at the border lie among normal ones and come back; anomalies beyond it lie among
    one another, and so do the items of a rarer kind.  What is left is counted and corrected for how often such votes
    err, as far as a single cloud of the same spread shows it.  Items far out, which may have no one near, count too.
    Sources: the correction, Rogan and Gladen, 1978; far out, Tukey, 1977."""
    if len(rows) <= NEIGHBORS:
        return Share(0.0, 0.0, MOST)
    isolation = Isolation(rows)
    counted, distances = _outvoted(rows, isolation.neighbors)
    cloud = _cloud(rows)
    by_chance, _ = _outvoted(cloud, _nearest(cloud, cloud, NEIGHBORS, np.arange(len(rows), dtype=np.int64))[1])
    quarter, three_quarters = np.quantile(distances, [0.25, 0.75])
    far = float((distances > three_quarters + FAR_OUT * (three_quarters - quarter)).mean())
    (least, typical), (fewest, usual) = ANOMALIES_CAUGHT, NORMALS_CAUGHT
    low = min(MOST, float(isolation.alone.mean()))
    likely = (counted - max(usual, by_chance)) / (typical - usual)
    high = (counted - fewest) / (least - fewest)
    estimate = min(MOST, max(low, likely, far))
    return Share(estimate, low, min(MOST, max(estimate, high)))


def _outvoted(rows: Vectors, neighbors: Positions) -> tuple[float, Scores]:
    """Return the share of rows, (n, d), that stay suspect among their neighbours, (n, k), and all distances, (n,)."""
    halved = ContaminationFilter(rows, SUSPECT_SHARE, weighings=0)
    suspect = halved.aside
    for _ in range(ROUNDS):
        suspect = np.all(suspect[neighbors], axis=1)
    return float(suspect.mean()), np.sqrt(halved.scores)


def _cloud(rows: Vectors) -> Vectors:
    """Draw as many rows from the normal distribution of the same mean and covariance."""
    centred = rows - rows.mean(axis=0)
    weights = np.random.default_rng(0).standard_normal((len(rows), len(rows)), dtype=np.float32)
    cloud: Vectors = rows.mean(axis=0) + weights @ centred / np.float32(math.sqrt(len(rows) - 1))
    return cloud


def check_share(share: float | None) -> None:
    """Raise InputError unless a share to set aside is None or lies in [0, 1)."""
    if share is not None and not (isinstance(share, Real) and 0 <= share < 1):
        raise InputError(f"the share to drop must be at least 0 and less than 1, got {share!r}; 0.5 is the paper's")


def share_of(share: float, n: int) -> int:
    """Return how many of n items a share of them is, rounded down."""
    return math.floor(share * n + 1e-9)  # 0.29 * 100 is 28.999...


def _mean_distance(queries: Vectors, rows: Vectors, chosen: Flags, k: int, own: Positions | None) -> Scores:
    """Return the mean squared distance of queries, (n, d), to the k nearest of the chosen rows, (n,).

    own : (n,) the row that is the query itself and does not count."""
    places = np.flatnonzero(chosen)
    if own is not None:
        renamed = np.full(len(rows), -1, np.int64)
        renamed[places] = np.arange(len(places))
        own = renamed[own]
    k = max(1, min(k, len(places) - (own is not None)))
    return mean_squared_distance(_nearest(queries, rows[places], k, own)[0])


def _nearest(queries: Vectors, rows: Vectors, k: int, own: Positions | None) -> tuple[Vectors, Positions]:
    """Search without proof of exactness, which means over many neighbours do not need."""
    distances, positions = faiss.knn(queries, rows, min(len(rows), k + (own is not None)))
    if own is not None:
        distances[positions == own[:, None]] = np.inf
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        distances = np.take_along_axis(distances, order, axis=1)
        positions = np.take_along_axis(positions, order, axis=1)
    return np.maximum(distances, 0), positions
