"""What breaks exchangeability, looked for among the nearest neighbours of a reference set.

Of rows drawn one by one, the log distances from one neighbour to the next, times the rank, are alike at every rank: so
many independent draws of an exponential distribution, whose mean is one by the dimension (Renyi, 1953; Levina and
Bickel, "Maximum likelihood estimation of intrinsic dimension", 2005).  Several photos of one part show as one that is
far too long, from the last photo of the part to the first of another.  Ranks are compared with ranks, and so nothing
hides where every row is a copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import scipy

from dn2.arrays import Flags, Numbers, Positions, Scores, Vectors
from dn2.neighbors.blocks import Draws
from dn2.neighbors.reference import ReferenceSet
from dn2.neighbors.surroundings import Near, Surroundings

MOST_LOOKED_AT, FEWEST_LOOKED_AT = 2_000, 400
MOST_COMPARED = 8_000_000  # pairs of rows, in about a tenth of the time that a fit of 20,000 takes
MOST_MATES = 1_000  # that are asked for their own neighbours
NEIGHBORS = 40
FEWEST_NEIGHBORS = 12

# All tests together err in about one of 200 sets that reach what is usual, below, and in hardly any other.
ERROR = 0.005 / 3

# In sets without parts up to a fifth of the rows lie in closed groups: messages of one meaning, most of all.
GAP = 6.0  # in means of the spacings
USUAL_SHARE = 0.2
LONGEST = 14.0  # in means of the spacings: no single one decides
PRIOR = 10  # spacings of all items, beside those of an item itself

# In sets without parts spacings are up to so much shorter beyond a rank than up to it.
USUAL_RATIO = 1.3
BEFORE, BEYOND = 3, 5  # ranks whose spacings are compared

# Sorted by kinds of 25 items and more, a set has up to so many times more neighbours within 5 places, beside those
# within 50, than in a random order; smaller kinds, of which fewer neighbours are of one, seldom so large a share.
CLOSE, WIDE = 5, 50
USUAL_ODDS = 5.0
FEWEST_CLOSE = 0.4
SORTED_SHARE = 0.95  # of the changes from item to item go one way in a column that sorts them
FEWEST_CHANGES = 20

# Exact copies: so many different things, each about so often, tell; the error adds nothing to that of the others.
FEWEST_REPEATED, LEAST_REPEATED = 20, 1.5
ERROR_OF_REPEATS = 1e-6

COPY_SHARE = 0.1
TINY = 1e-12


class Finding(NamedTuple):
    """What does not look as if items had been drawn one by one.

    name : `copies`, of items in closed groups, far from all others; `clusters`, of neighbours that are nearer up to
        some rank than beyond it; `repeats`, of things that come too evenly, a few times each; `order`, of nearest
        neighbours that follow on each other in an order.
    share : of items in such groups, or with exact copies; how much longer spacings are up to the rank; of neighbours
        within 5 places.
    usual : what the share reaches in sets of items drawn one by one; of an order, what it is in a random one.
    size : the items of a group; of an order, which of those looked at it is."""

    name: str
    share: float
    usual: float
    size: int


@dataclass(frozen=True)
class Suspicion:
    """What was found in a reference set.

    looked_at : so many items, all or a random sample.
    repeats, near_copies : how many calibrating items are another one exactly, or nearly.
    copy_distance : the distance up to which items are near copies, a tenth of what the farther neighbours let expect.
    findings : what does not look as if items had been drawn one by one."""

    looked_at: int = 0
    repeats: int = 0
    near_copies: int = 0
    copy_distance: float = 0.0
    findings: tuple[Finding, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers, as `model.json` has them."""
        return {**vars(self), "findings": [finding._asdict() for finding in self.findings]}

    @classmethod
    def from_dict(cls, recorded: Any) -> Self:
        """Restore what `as_dict` gave.  Raises ValueError, TypeError or KeyError for anything else."""
        findings = tuple(Finding(**finding) for finding in recorded["findings"])
        suspicion = cls(**{**recorded, "findings": findings})
        counts = [suspicion.looked_at, suspicion.repeats, suspicion.near_copies, *(found.size for found in findings)]
        numbers = [suspicion.copy_distance, *(number for found in findings for number in found[1:3])]
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(f"counts of what was looked at must be whole numbers, got {counts}")
        if not all(type(number) is float and math.isfinite(number) and number >= 0 for number in numbers):
            raise ValueError(f"shares and distances must be numbers, got {numbers}")
        if not {finding.name for finding in findings} <= {"copies", "clusters", "repeats", "order"}:
            raise ValueError("findings of another name")
        return suspicion


def look(reference: ReferenceSet, orders: Sequence[Positions] = (), keys: Draws | None = None) -> Suspicion:
    """Look for what breaks exchangeability in a reference set.

    orders : the rank of each item, (n,), in each order in which neighbours may follow on each other.
    keys : of the part of each item, (n,): an item has then no neighbour of its own part, and one of each other."""
    if reference.windows is not None:
        return Suspicion()
    of_items = reference.learnt is None or not reference.learnt.has_centroids
    nearest = reference.loo.distances[:, 0] if of_items else np.empty(0, np.float32)
    repeats = int((nearest == 0).sum())
    around = Surroundings.of(reference, keys)
    near, alike = look_around(around), find_repeats(around.contents, around.units)
    if near is None:
        return Suspicion(repeats=repeats, findings=() if alike is None else (alike,))
    order = _find_order(near, orders, around)
    spacings = Spacings.of(near.distances)
    if spacings is None:
        return Suspicion(len(near.members), repeats, findings=tuple(one for one in (alike, order) if one))
    found = (_find_copies(near, spacings, around), _find_clusters(spacings), alike, order)
    copy_distance = 0.0 if around.is_rounded else COPY_SHARE * spacings.expected_nearest(near.distances)
    near_copies = int(((nearest > 0) & (nearest <= copy_distance**2)).sum())
    return Suspicion(len(near.members), repeats, near_copies, copy_distance, tuple(one for one in found if one))


def look_around(around: Surroundings) -> Near | None:
    """Return the nearest others of a random sample of items."""
    worth_while = MOST_COMPARED // max(1, len(around.searched))
    return around.nearest(around.sample(min(MOST_LOOKED_AT, max(FEWEST_LOOKED_AT, worth_while))), NEIGHBORS)


def find_repeats(contents: Draws, units: Positions) -> Finding | None:
    """Test whether exact copies come too evenly: each thing a few times, and hardly any once.

    contents : (n,) equal for copies; units : (n,) the part of each, of which one with the same content counts.
    Of things that are drawn one by one, those that are as usual as each other come as often as Poisson's distribution
    without 0 says, and any others more unevenly."""
    once = np.unique(np.stack([contents, units.astype(np.uint64)]), axis=1)[0]
    counts = np.unique(once, return_counts=True)[1]
    mean = float(counts.mean())
    if len(counts) < FEWEST_REPEATED or mean < LEAST_REPEATED:
        return None
    from scipy.optimize import brentq

    rate = brentq(lambda rate: rate / -math.expm1(-rate) - mean, TINY, mean)
    statistic = np.square(counts - mean).sum() / (mean * (1 + rate - mean))
    if scipy.special.chdtr(len(counts) - 1, statistic) > ERROR_OF_REPEATS:
        return None
    usual = 1 - math.exp(-rate)
    return Finding("repeats", float(counts[counts > 1].sum() / counts.sum()), usual, round(mean))


@dataclass(frozen=True)
class Spacings:
    """The log distances from neighbour to neighbour, times their rank.

    lengths : (m, k - 1).  means : (m,) of the farthest ranks, which hardly any group reaches.
    ranks : how many of the nearest are tested."""

    lengths: Numbers
    means: Scores
    ranks: int

    @classmethod
    def of(cls, distances: Numbers) -> Self | None:
        """Measure distances, (m, k) nearest first; None of too few neighbours, or where all lie as far."""
        k = distances.shape[1]
        if k < FEWEST_NEIGHBORS:
            return None
        lengths = np.arange(1, k) * np.diff(np.log(distances), axis=1)
        ranks = 2 * (k - 1) // 3
        far = lengths[:, ranks:]
        overall = far.mean()
        means = (far.sum(axis=1) + PRIOR * overall) / (far.shape[1] + PRIOR)
        return cls(lengths, means, ranks) if overall > 0 else None

    def longest(self) -> tuple[Positions, Flags]:
        """Return after how many neighbours the longest comes, (m,), and whether it is far too long."""
        relative = self.lengths[:, : self.ranks] / self.means[:, None]
        return relative.argmax(axis=1) + 1, relative.max(axis=1) > GAP

    def expected_nearest(self, distances: Numbers) -> float:
        """Return at which distance a nearest neighbour should be, as the farthest tell."""
        return float(np.median(distances[:, -1]) * distances.shape[1] ** -self.means.mean())


def _find_copies(near: Near, spacings: Spacings, around: Surroundings) -> Finding | None:
    """Test how many items lie in closed groups: each of them finds the others before its longest spacing."""
    sizes, are_gaps = spacings.longest()
    candidates = np.flatnonzero(are_gaps)
    if len(candidates) <= USUAL_SHARE * len(sizes):
        return None
    asked = np.random.default_rng(0).permutation(candidates)
    asked = asked[: max(1, int(np.searchsorted(np.cumsum(sizes[asked]), MOST_MATES)))]
    mates = {int(one): [int(near.members[one]), *near.positions[one, : sizes[one]].tolist()] for one in asked}
    theirs = groups_of(around, np.unique(np.concatenate(list(mates.values()))))
    groups = [(frozenset(around.units[items].tolist()), items) for items in mates.values()]
    closed = [group for group, items in groups if all(theirs.get(mate) == group for mate in items)]
    if not closed:
        return None
    share = len(candidates) / len(sizes) * len(closed) / len(asked)
    n_groups = len(set(closed))  # the items of a group are one piece of evidence
    p_value = scipy.special.bdtrc(n_groups - 1, round(n_groups / share), USUAL_SHARE)
    size = int(np.median([len(group) for group in closed]))
    return Finding("copies", share, USUAL_SHARE, size) if p_value <= ERROR else None


def groups_of(around: Surroundings, members: Positions, size: int | None = None) -> dict[int, frozenset[int]]:
    """Return the units of items and of their neighbours before the longest spacing, or of so many that a group has a
    size; of items with too few neighbours nothing."""
    near = around.nearest(members, NEIGHBORS)
    spacings = None if near is None else Spacings.of(near.distances)
    if near is None or spacings is None:
        return {}
    sizes = spacings.longest()[0] if size is None else np.full(len(near.members), size - 1)
    units = around.units[np.concatenate([near.members[:, None], near.positions], axis=1)].tolist()
    groups = zip(near.members.tolist(), units, sizes.tolist(), strict=True)
    return {one: frozenset(row[: count + 1]) for one, row, count in groups}


def _find_clusters(spacings: Spacings) -> Finding | None:
    """Test whether spacings up to some rank are longer than those beyond it."""
    lengths = np.minimum(spacings.lengths, LONGEST * spacings.means[:, None])
    ranks = np.arange(1, spacings.ranks)
    before = np.stack([lengths[:, max(0, rank - BEFORE) : rank].mean(axis=1) for rank in ranks])
    beyond = np.stack([lengths[:, rank : rank + BEYOND].mean(axis=1) for rank in ranks])
    # Spacings are exponential at least; about half of the items of a group are taken for one.
    spread = np.maximum(_spread(before), 1 / np.minimum(ranks, BEFORE)) + np.maximum(_spread(beyond), 1 / BEYOND)
    errors = np.sqrt((ranks / 2 + 1) / len(lengths) * spread)
    ratios = before.mean(axis=1) / np.maximum(beyond.mean(axis=1), TINY)
    excess = np.log(np.maximum(ratios, TINY)) + scipy.special.ndtri(ERROR / len(ranks)) * errors
    best = int(np.argmax(excess))
    found = excess[best] > math.log(USUAL_RATIO)
    return Finding("clusters", float(ratios[best]), USUAL_RATIO, int(ranks[best]) + 1) if found else None


def _spread(values: Numbers) -> Scores:
    """Return the variance of each row, (r, m), beside its squared mean."""
    return np.asarray(values.var(axis=1) / np.maximum(values.mean(axis=1), TINY) ** 2)


def _find_order(near: Near, orders: Sequence[Positions], around: Surroundings) -> Finding | None:
    """Test whether nearest neighbours lie within a few places far more often than within many."""
    pairs = np.unique(np.sort(np.stack([near.members, near.positions[:, 0]], axis=1), axis=1), axis=0)
    best, smallest = None, ERROR / max(1, len(orders))
    for number, ranks in enumerate(orders):
        apart = np.abs(ranks[pairs[:, 0]] - ranks[pairs[:, 1]])
        close, wide = int((apart <= CLOSE).sum()), int((apart <= WIDE).sum())
        share, chance, chance_of_wide = close / len(pairs), _chance(CLOSE, len(ranks)), _chance(WIDE, len(ranks))
        odds = USUAL_ODDS * chance / max(chance_of_wide - chance, TINY)
        p_value = scipy.special.bdtrc(close - 1, wide, odds / (1 + odds))
        if p_value <= smallest and share >= max(FEWEST_CLOSE, USUAL_ODDS * chance):
            best, smallest = Finding("order", share, chance, number), p_value
    if best is None:
        return None
    items = around.sample(len(around.searched))
    first = items[np.argsort(orders[best.size][items])][:MOST_LOOKED_AT]
    return None if _is_sorted(around.rows(first)) else best


def _chance(places: int, n: int) -> float:
    """Return the share of all pairs of n items in an order that lie so many places apart at most."""
    apart = min(places, n - 1)
    return apart * (2 * n - apart - 1) / (n * (n - 1))


def _is_sorted(rows: Vectors) -> bool:
    """Tell whether a column sorts rows, which then lie near to each other for no other reason."""
    steps = np.diff(rows, axis=0)
    ascents, descents = (steps > 0).sum(axis=0), (steps < 0).sum(axis=0)
    changes = ascents + descents
    one_way = np.maximum(ascents, descents) >= SORTED_SHARE * changes
    return bool((one_way & (changes >= FEWEST_CHANGES)).any())
