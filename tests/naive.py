"""The slow, obviously right version of each fast path: plain loops, float64, no code of dn2."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np


def squared_distance(a: Any, b: Any) -> float:
    """Return the squared L2 distance of two rows."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return float((difference * difference).sum())


Excluded = int | Sequence[int] | None  # a position, positions, or none


def nearest(query: Any, reference: Any, k: int, exclude: Excluded = None) -> list[tuple[float, int]]:
    """Return (squared distance, position) of the k nearest rows, nearest first, the lower position first in a tie."""
    excluded = exclude if isinstance(exclude, Sequence) else [exclude]
    pairs = [(squared_distance(query, row), place) for place, row in enumerate(reference) if place not in excluded]
    return sorted(pairs)[:k]


def search(queries: Any, reference: Any, k: int, exclude: Sequence[Excluded] | None = None) -> tuple[Any, Any]:
    """Return squared distances and positions, both (n_queries, k)."""
    left_out = [None] * len(queries) if exclude is None else exclude
    found = [nearest(query, reference, k, out) for query, out in zip(queries, left_out, strict=True)]
    distances = np.array([[distance for distance, _ in near] for near in found], np.float64).reshape(-1, k)
    positions = np.array([[place for _, place in near] for near in found], np.int64).reshape(-1, k)
    return distances, positions


def excluded_of(groups: Any, wanted: Any) -> list[list[int]]:
    """Return for each query the positions of the rows of its group."""
    return [[place for place, group in enumerate(groups) if group == one] for one in wanted]


def merged_search(query: Any, blocks: Sequence[Any], k: int) -> list[tuple[float, int]]:
    """Search each block by itself, then merge; positions count through all blocks."""
    found: list[tuple[float, int]] = []
    start = 0
    for block in blocks:
        found += [(distance, start + place) for distance, place in nearest(query, block, k)]
        start += len(block)
    return sorted(found)[:k]


def mean_squared_distance(query: Any, reference: Any, k: int, exclude: int | None = None) -> float:
    """Return the anomaly score of one query."""
    return sum(distance for distance, _ in nearest(query, reference, k, exclude)) / k


def leave_one_out_scores(reference: Any, k: int) -> list[float]:
    """Score each row against all the others."""
    return [mean_squared_distance(row, reference, k, exclude=place) for place, row in enumerate(reference)]


def p_value(score: float, calibration: Iterable[float]) -> Fraction:
    """Return the share of scores at least as large, the query's own among them."""
    calibration = list(calibration)
    as_large = sum(1 for other in calibration if other >= score)
    return Fraction(1 + as_large, 1 + len(calibration))


def leave_part_out_scores(reference: Any, parts: Sequence[Any], k: int) -> list[float]:
    """Score each row against the rows of all other parts."""
    return [
        sum(distance for distance, _ in nearest(row, reference, k, excluded_of(parts, [part])[0])) / k
        for row, part in zip(reference, parts, strict=True)
    ]


def p_value_by_part(score: float, calibration: Sequence[float], parts: Sequence[Any]) -> Fraction:
    """Return the mean, over the parts and the query's own, of the share of a part's scores at least as large."""
    shares = [
        Fraction(sum(other >= score for other in own), len(own))
        for part in set(parts)
        for own in [[other for other, its_part in zip(calibration, parts, strict=True) if its_part == part]]
    ]
    return (1 + sum(shares)) / (1 + len(shares))


def share_of_beta_below(value: float, rank: int, m: int) -> float:
    """Return P(X <= value) of X distributed as Beta(rank, m + 1 - rank): of m coins, at least `rank` come up."""
    return math.fsum(math.comb(m, heads) * value**heads * (1 - value) ** (m - heads) for heads in range(rank, m + 1))


def smallest_reference(rate: float) -> int:
    """Return the smallest n for which the smallest p-value, 1 / (n + 1), is no larger than the rate."""
    n = 1
    while 1 / (n + 1) > rate:
        n += 1
    return n


def nearest_others(reference: Any, place: int, k: int, keys: Any = None) -> list[int]:
    """Return the positions of the k nearest rows that differ, and differ in key, from a row and from each other."""
    rows = [tuple(row) for row in np.asarray(reference).tolist()]
    order = sorted(range(len(rows)), key=lambda other: (squared_distance(reference[place], reference[other]), other))
    found: list[int] = []
    for other in order:
        known = [place, *found]
        if rows[other] not in [rows[one] for one in known] and (
            keys is None or keys[other] not in [keys[one] for one in known]
        ):
            found.append(other)
    return found[:k]


def benjamini_hochberg(p_values: Sequence[Fraction], level: Fraction) -> list[bool]:
    """Reject the hypotheses of the i smallest p-values, i the largest with p_(i) <= i * level / n."""
    n = len(p_values)
    ascending = sorted(p_values)
    rejected = max((i for i in range(1, n + 1) if ascending[i - 1] <= i * level / n), default=0)
    return [rejected > 0 and p <= ascending[rejected - 1] for p in p_values]


def roc_auc(scores: Sequence[float], truth: Sequence[bool]) -> float:
    """Return the share of (anomalous, normal) pairs in the right order; a tie counts half."""
    anomalous = [score for score, is_anomalous in zip(scores, truth, strict=True) if is_anomalous]
    normal = [score for score, is_anomalous in zip(scores, truth, strict=True) if not is_anomalous]
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in anomalous for b in normal)
    return won / (len(anomalous) * len(normal))


def fpr_at_tpr(scores: Sequence[float], truth: Sequence[bool], share: float) -> float:
    """Return the share of normals flagged at the highest threshold that finds at least a share of the anomalies."""
    anomalous = sorted(score for score, is_anomalous in zip(scores, truth, strict=True) if is_anomalous)
    normal = [score for score, is_anomalous in zip(scores, truth, strict=True) if not is_anomalous]
    threshold = max(t for t in scores if sum(score >= t for score in anomalous) / len(anomalous) >= share)
    return sum(score >= threshold for score in normal) / len(normal)


def average_precision(scores: Sequence[float], truth: Sequence[bool]) -> float:
    """Return the mean, over the anomalies, of the precision where all that score no lower are flagged."""
    precisions = []
    for own, anomalous in zip(scores, truth, strict=True):
        if anomalous:
            flagged = [other for score, other in zip(scores, truth, strict=True) if score >= own]
            precisions.append(sum(flagged) / len(flagged))
    return sum(precisions) / len(precisions)


def regions(mask: Any) -> list[list[tuple[int, int]]]:
    """Return the places of each region of a mask; pixels that touch at a corner are of one region."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = []
    while left:
        region, waiting = [], [left.pop()]
        while waiting:
            y, x = waiting.pop()
            region.append((y, x))
            touching = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= touching
            waiting += touching
        found.append(region)
    return found


def per_region_overlap(maps: Sequence[Any], masks: Sequence[Any], limit: float) -> float:
    """Return the area under the mean found share of regions, over false-positive rates up to a limit, as its share."""
    outside = [float(s) for one, mask in zip(maps, masks, strict=True) for s in one[~mask]]
    inside = [
        [float(one[place]) for place in region]
        for one, mask in zip(maps, masks, strict=True)
        for region in regions(mask)
    ]
    points = [(0.0, 0.0)]
    for threshold in sorted({float(score) for one in maps for score in one.ravel()}, reverse=True):
        shares = [sum(score >= threshold for score in region) / len(region) for region in inside]
        points.append((sum(score >= threshold for score in outside) / len(outside), sum(shares) / len(shares)))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x1 > limit > x0:
            x1, y1 = limit, y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
        if x1 <= limit:
            area += (x1 - x0) * (y0 + y1) / 2
    return area / limit


def f1(scores: Sequence[float], truth: Sequence[bool], threshold: float) -> float:
    """Return the harmonic mean of precision and recall of the scores that reach a threshold."""
    right = sum(score >= threshold and is_inside for score, is_inside in zip(scores, truth, strict=True))
    return 2 * right / (sum(score >= threshold for score in scores) + sum(truth))


def f1_of_as_many(scores: Sequence[float], truth: Sequence[bool]) -> float:
    """Return the F1 of flagging as many as there are anomalies, of equal scores the normal ones first."""
    ranked = sorted(zip(scores, truth, strict=True), key=lambda one: (-one[0], one[1]))
    count = sum(truth)
    hits = sum(anomalous for _, anomalous in ranked[:count])
    misses, false_alarms = count - hits, count - hits
    return 2 * hits / (2 * hits + misses + false_alarms)


def mean_distance(query: Any, reference: Any, chosen: Sequence[bool], k: int, own: int | None = None) -> float:
    """Return the mean squared distance to the k nearest chosen rows other than the query's own, or to all of them."""
    others = [row for place, row in enumerate(reference) if chosen[place] and place != own]
    k = min(k, len(others))
    return sum(distance for distance, _ in nearest(query, others, k)) / k


def largest(scores: Sequence[float], count: int) -> list[bool]:
    """Mark so many of the largest scores."""
    order = sorted(range(len(scores)), key=lambda place: scores[place])
    marked = set(order[len(order) - count :])
    return [place in marked for place in range(len(scores))]


def papers_cleaning(reference: Any, count: int, k: int) -> tuple[list[bool], float]:
    """Mark the rows farthest from their k nearest others; return also the score of the farthest that stays."""
    scores = leave_one_out_scores(reference, k)
    aside = largest(scores, count)
    return aside, max(score for score, gone in zip(scores, aside, strict=True) if not gone)


def many_judges(reference: Any, count: int, k: int, passes: int, weighings: int, weighed_by: int) -> list[bool]:
    """Mark rows far from k rows that are not marked themselves, again and again; then those nearer to marked rows."""
    suspect = [False] * len(reference)

    def distance(place: int) -> float:
        return mean_distance(reference[place], reference, [not one for one in suspect], k, place)

    def weight(place: int) -> float:
        within = [not one for one in suspect]
        inside = mean_distance(reference[place], reference, within, min(weighed_by, len(suspect) - count - 1), place)
        return inside / mean_distance(reference[place], reference, suspect, min(weighed_by, count - 1), place)

    for judge in [distance] * (passes + 1) + [weight] * (weighings if 1 < count < len(reference) - 1 else 0):
        suspect = largest([judge(place) for place in range(len(reference))], count)
    return suspect


def lying_alone(reference: Any) -> list[bool]:
    """Mark rows that are far out by their three nearest, none of which is, unless most of those far out have others."""
    near = [nearest(row, reference, 3, own) for own, row in enumerate(reference)]
    scores = [sum(distance for distance, _ in found) / 3 for found in near]
    quarter, three_quarters = np.quantile(scores, [0.25, 0.75])
    far = [quarter > 0 and score > three_quarters * max(4, (three_quarters / quarter) ** 3) for score in scores]
    alone = [out and not any(far[place] for _, place in found) for out, found in zip(far, near, strict=True)]
    return alone if 2 * sum(alone) > sum(far) else [False] * len(reference)


def voted(reference: Any, suspect: Sequence[bool], voters: int, rounds: int) -> list[bool]:
    """Keep or make suspect only rows whose nearest others all are, so many times."""
    near = [[place for _, place in nearest(row, reference, voters, own)] for own, row in enumerate(reference)]
    for _ in range(rounds):
        suspect = [all(suspect[place] for place in places) for places in near]
    return list(suspect)


def split_scores(reference: Any, standing: Sequence[int], calibrating: Iterable[int], k: int) -> list[float]:
    """Score the calibrating items of a set against those of its items that stand, themselves left out."""
    return [
        sum(squared_distance(reference[one], reference[other]) for other in near) / k
        for one in calibrating
        for near in [
            sorted(
                (other for other in standing if other != one),
                key=lambda other, one=one: squared_distance(reference[one], reference[other]),
            )[:k]
        ]
    ]


def whitened(rows: Any, reference: Any, k: int, power: float) -> Any:
    """Divide the coordinates of rows, along the main directions in which a reference set's rows differ from the mean
    of their k nearest, by a power of how much more they do there than on average."""
    near = [nearest(row, reference, min(k, len(reference) - 1), place) for place, row in enumerate(reference)]
    means = [mean_row([reference[place] for _, place in found]) for found in near]
    covariance = np.cov(np.asarray(reference, np.float64) - means, rowvar=False).reshape(len(reference[0]), -1)
    variances, directions = np.linalg.eigh(covariance)
    mean = sum(variances) / len(variances)
    result = np.array(rows, np.float64)
    for variance, direction in zip(variances, directions.T, strict=True):
        if variance > mean:
            for row in result:
                row += ((mean / variance) ** power - 1) * float(row @ direction) * direction
    return result


def scaled_columns(rows: Any, reference: Any) -> Any:
    """Write each value as its z-score and as the normal value of its place among a reference column's values, the
    middle one of equals, between two of them in proportion, both divided by the reference's standard deviation."""
    columns = list(zip(*np.asarray(reference, np.float64).tolist(), strict=True))
    spreads = [np.std([normal_value(own, one) for own in one]) or 1 for one in columns]
    result = []
    for row in np.asarray(rows, np.float64).tolist():
        z_scores = [(value - np.mean(one)) / (np.std(one) or 1) for value, one in zip(row, columns, strict=True)]
        normal = [normal_value(value, one) / spread for value, one, spread in zip(row, columns, spreads, strict=True)]
        result.append(z_scores + normal)
    return np.array(result)


def column_distance(one: float, other: float, values: Any, categorical: bool = False) -> float:
    """Return the squared distance of two values of a column whose values elsewhere are known; NaN is a missing one."""
    if categorical:
        return category_distance(one, other, values)
    present = [value for value in values if value == value]
    missing = len(values) - len(present)
    rare = max(1 / 1000, 1 / (len(values) + 1))
    far_out = math.sqrt(2 / rare)

    def views(value: float) -> list[float]:
        share = min(max(missing / len(values), rare), 1 - rare)
        marked = math.sqrt(2 / (share * (1 - share)))
        if value != value:
            return [0, 0, marked] if missing else [-far_out, 0, 0]
        normal = [normal_value(single, present) for single in present] or [0.0]
        place = normal_value(value, present) / (np.std(normal) or 1) if present else 0.0
        if len(set(present)) < 2:
            constant = present[0] if present else 0
            return [far_out * float(np.sign(value - constant)), place, 0]
        return [(value - np.mean(present)) / np.std(present), place, 0]

    return sum((a - b) ** 2 for a, b in zip(views(one), views(other), strict=True))


def category_distance(one: float, other_value: float, values: Any) -> float:
    """Return the squared distance of two categories, NaN among them: 0 for the same, else the sum of 1 / share of each,
    but 1,000 or n + 1 at most, scaled so that two values of two categories are as far apart as z-scores twice would be.

    The others are those beyond the 50 most frequent, each as rare as they are on average, and those not among the
    values; two of them are as far apart as their codes, of 16 bits made of their numbers, differ, or the same where no
    category was seen just once."""
    names = ["missing" if value != value else value for value in values]
    counts = {name: names.count(name) for name in names}
    ascending = sorted(counts, key=lambda name: (name == "missing", name))
    common = sorted(ascending, key=lambda name: -counts[name])[:50]
    rare, once = len(counts) - len(common), sum(count == 1 for count in counts.values())
    other = sum(counts[name] for name in counts if name not in common) / rare if rare else once

    def named(value: float) -> tuple[Any, float]:
        name = "missing" if value != value else value
        return (name, counts[name] / len(names)) if name in common else ("others", other / len(names))

    (first, share), (second, other_share) = named(one), named(other_value)
    least = max(1 / 1000, 1 / (len(names) + 1))
    apart = 2 / max(1, len(counts) - 1) * (1 / max(share, least) + 1 / max(other_share, least))
    if first == second == "others" and (rare or once):
        first, second = (
            (0 if value != value else int(value)) * 0x9E3779B97F4A7C15 % 2**64 >> 48 for value in (one, other_value)
        )
        return apart * (first ^ second).bit_count() / 8
    return apart if first != second else 0.0


def normal_value(value: float, values: Any) -> float:
    """Return the normal value of a value's place, in [0, 1], among others."""
    ordered, last = sorted(values), len(values) - 1
    equal = [place for place, one in enumerate(ordered) if one == value]
    if equal:
        place = (equal[0] + equal[-1]) / 2
    elif value < ordered[0] or value > ordered[-1]:
        place = 0 if value < ordered[0] else last
    else:
        below = max(place for place, one in enumerate(ordered) if one < value)
        place = below + (value - ordered[below]) / (ordered[below + 1] - ordered[below])
    edge = 0.5 / len(values)
    return NormalDist().inv_cdf(min(1 - edge, max(edge, place / max(last, 1))))


def mean_row(rows: Any) -> list[float]:
    """Return the mean of rows, feature by feature."""
    return [sum(float(row[place]) for row in rows) / len(rows) for place in range(len(rows[0]))]


def geometric_mean_row(rows: Any) -> list[float]:
    """Return the geometric mean of rows, feature by feature, once 1 / sqrt(d) is added to them."""
    shift = 1 / math.sqrt(len(rows[0]))
    return [math.prod(float(row[place]) + shift for row in rows) ** (1 / len(rows)) for place in range(len(rows[0]))]


def geometric_contributions(members: Any, neighbors: Any) -> list[float]:
    """Split the mean squared distance of the members' geometric mean to its neighbours into one part for each member:
    of a feature's part in it, each member gets as much as its logarithm differs from the neighbour's."""
    pooled, shift = geometric_mean_row(members), 1 / math.sqrt(len(members[0]))
    parts = [0.0] * len(members)
    for near in neighbors:
        for place, n in enumerate(map(float, near)):
            logarithms = [math.log(float(member[place]) + shift) - math.log(n) for member in members]
            if sum(logarithms):
                part = (pooled[place] - n) ** 2 / sum(logarithms) / len(neighbors)
                parts = [one + part * logarithm for one, logarithm in zip(parts, logarithms, strict=True)]
    return parts


def contributions(members: Any, neighbors: Any) -> list[float]:
    """Split the mean squared distance of the members' mean to its neighbours into one part for each member.

    By its definition: what is left of the sum over features of (x_i - n) (mean - n) / m."""
    mean = mean_row(members)
    return [
        sum(
            (float(x) - float(n)) * (q - float(n))
            for near in neighbors
            for x, n, q in zip(member, near, mean, strict=True)
        )
        / (len(members) * len(neighbors))
        for member in members
    ]


def first_leaves(query: Any, means: Any, first_child: Any, n_children: Any, count: int) -> list[int]:
    """Return the first leaves of a tree of means, depth first, the nearest child of each node first."""
    leaves: list[int] = []
    waiting = [0]
    while waiting and len(leaves) < count:
        node = waiting.pop()
        children = range(first_child[node], first_child[node] + n_children[node])
        waiting += sorted(children, key=lambda child: (squared_distance(query, means[child]), child), reverse=True)
        leaves += [node] * (not children)
    return leaves


def leaf_of(row: Any, means: Any, first_child: Any, n_children: Any) -> int:
    """Return the leaf to which a row falls, at each node to the nearest child."""
    return first_leaves(row, means, first_child, n_children, 1)[0]


class BranchAndBound:
    """The search of Fukunaga and Narendra (1975), with the two rules of Kamgar-Parsi and Kanal (1985), one distance at
    a time, to count them: those to means and those to rows."""

    def __init__(self, rows: Any, means: Any, first_child: Any, n_children: Any) -> None:
        self.rows, self.means = np.asarray(rows, np.float64).tolist(), np.asarray(means, np.float64).tolist()
        self.first_child, self.n_children = first_child, n_children
        self.members: dict[int, list[int]] = {}
        self.radii: dict[int, list[float]] = {0: []}
        self.radius = [0.0] * len(rows)
        for place, row in enumerate(self.rows):
            node = 0
            while self.n_children[node]:
                self.radius[place], node = self._ordered(row, node)[0]
                self.radii.setdefault(node, []).append(self.radius[place])
            self.members.setdefault(node, []).append(place)

    def _ordered(self, query: Any, node: int) -> list[tuple[float, int]]:
        children = range(self.first_child[node], self.first_child[node] + self.n_children[node])
        return sorted((math.dist(query, self.means[child]), child) for child in children)

    def search(self, query: Any, k: int) -> tuple[list[tuple[float, int]], int]:
        """Return (distance, position) of the k nearest rows, and how many distances were computed."""
        best, count = [(math.inf, -1)] * k, 0
        waiting = [(0.0, 0)]
        while waiting:
            length, node = waiting.pop()
            bound = best[-1][0]
            if node and (length > bound + max(self.radii[node]) or length + bound < min(self.radii[node])):
                continue
            children = self._ordered(query, node)
            count += len(children)
            waiting += [(far, child) for far, child in reversed(children) if child in self.radii]
            for place in self.members.get(node, []):
                if abs(length - self.radius[place]) <= best[-1][0]:
                    count += 1
                    best = sorted([*best, (math.dist(query, self.rows[place]), place)])[:k]
        return best, count


def hashed_grams(text: str, shortest: int, longest: int, width: int) -> list[float]:
    """Count the n-grams of a text by a hash of each, with its sign; the roots, at unit length."""
    counts = [0] * width
    for length in range(shortest, longest + 1):
        for start in range(len(text) - length + 1):
            number = 0
            for character in text[start : start + length]:
                number = (number * 0x01000193 + ord(character)) % 2**32
            number = mixed_bits((number + length) % 2**32)
            counts[number % width] += -1 if number >= 2**31 else 1
    roots = [math.copysign(math.sqrt(abs(count)), count) for count in counts]
    norm = math.sqrt(sum(root * root for root in roots)) or 1.0
    return [root / norm for root in roots]


def mixed_bits(number: int) -> int:
    """Return the finalizer of MurmurHash3 for 32 bits."""
    number = (number ^ number >> 16) * 0x85EBCA6B % 2**32
    number = (number ^ number >> 13) * 0xC2B2AE35 % 2**32
    return number ^ number >> 16


def form_of(text: str) -> str:
    """Write A for capitals, a for other letters, 0 for numbers, a blank for blanks, * for symbols of no other kind."""
    kinds = {
        "Lu": "A",
        "Lt": "A",
        "Ll": "a",
        "Lm": "a",
        "Lo": "a",
        "Nd": "0",
        "Nl": "0",
        "No": "0",
        "Zs": " ",
        "So": "*",
    }
    return "".join(kinds.get(unicodedata.category(one), one) for one in text)


def point_scores(scores: Sequence[float], places: Sequence[int], window: int) -> list[float]:
    """Score each point by the mean over the windows that cover it, NaN where none does; windows lie at some places."""
    points = []
    for point in range(places[0], places[-1] + window):
        covering = [score for score, place in zip(scores, places, strict=True) if place <= point < place + window]
        points.append(sum(covering) / len(covering) if covering else math.nan)
    return points


def window_distance(a: Any, b: Any, scale: Sequence[float], level_weight: float) -> float:
    """Return the squared distance of two windows, (w, c) each: of each column the mean squared difference of the values
    less their means, plus that of the means times the weight squared, in units of the column's scale."""
    total = 0.0
    for column, unit in enumerate(scale):
        one, other = ([float(row[column]) / unit for row in rows] for rows in (a, b))
        mean, mean_of_other = sum(one) / len(one), sum(other) / len(other)
        shape = [(x - mean) - (y - mean_of_other) for x, y in zip(one, other, strict=True)]
        total += sum(x * x for x in shape) / len(shape) + (level_weight * (mean - mean_of_other)) ** 2
    return total


def vus_pr(scores: Sequence[float], truth: Sequence[bool], largest: int, thresholds: int = 250) -> float:
    """Return the volume under the precision-recall surface by its definition, threshold by threshold."""
    n = len(scores)
    anomalies = []
    for place in range(n):
        if truth[place]:
            if place and truth[place - 1]:
                anomalies[-1][1] = place
            else:
                anomalies.append([place, place])
    descending = sorted(scores, reverse=True)
    limits = [descending[int(step)] for step in np.linspace(0, n - 1, thresholds)]
    areas = []
    for width in range(largest + 1):
        half = width // 2
        labels = [1.0 if one else 0.0 for one in truth]
        for first, last in anomalies:
            for place in range(n):
                away = first - place if place < first else place - last
                if not truth[place] and 0 < away <= half:
                    labels[place] += math.sqrt(1 - away / width)
        labels = [min(one, 1.0) for one in labels]
        merged = [[max(anomalies[0][0] - half, 0), min(anomalies[0][1] + half, n - 1)]]
        for (_, before), (first, last) in pairwise(anomalies):
            if before + half >= first - half:
                merged[-1][1] = min(last + half, n - 1)
            else:
                merged.append([max(first - half, 0), min(last + half, n - 1)])
        area = recall_before = 0.0
        for limit in limits:
            flagged = [place for place in range(n) if scores[place] >= limit]
            inside = sum(labels[place] for place in flagged)
            soft = sum(labels[place] for place in flagged if not truth[place])
            found = sum(any(scores[place] >= limit for place in range(a, b + 1)) for a, b in merged) / len(merged)
            recall = min(inside / (sum(map(bool, truth)) + soft / 2), 1) * found
            area += (recall - recall_before) * inside / len(flagged)
            recall_before = recall
        areas.append(area)
    return sum(areas) / len(areas)


def bert(weights: dict[str, np.ndarray], tokens: list[int], heads: int, epsilon: float, first: int) -> np.ndarray:
    """Encode tokens: (length, d) in double precision.

    weights : by the names that transformers gives them; first : the position of the first token."""
    double = {name: values.astype(np.float64) for name, values in weights.items()}

    def linear(x, name):
        return x @ double[f"{name}.weight"].T + double[f"{name}.bias"]

    def normalize(x, name):
        away = x - x.mean(axis=1, keepdims=True)
        scaled = away / np.sqrt(np.square(away).mean(axis=1, keepdims=True) + epsilon)
        return scaled * double[f"{name}.LayerNorm.weight"] + double[f"{name}.LayerNorm.bias"]

    x = np.array(
        [
            double["embeddings.word_embeddings.weight"][token]
            + double["embeddings.position_embeddings.weight"][first + place]
            + double["embeddings.token_type_embeddings.weight"][0]
            for place, token in enumerate(tokens)
        ]
    )
    x = normalize(x, "embeddings")
    layer, width = 0, x.shape[1] // heads
    while f"encoder.layer.{layer}.output.dense.weight" in double:
        name = f"encoder.layer.{layer}"
        parts = [linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
        attended = []
        for head in range(heads):
            q, k, v = (part[:, head * width : (head + 1) * width] for part in parts)
            strength = np.exp(q @ k.T / math.sqrt(width))
            attended.append(strength / strength.sum(axis=1, keepdims=True) @ v)
        joined = linear(np.concatenate(attended, axis=1), f"{name}.attention.output.dense")
        x = normalize(x + joined, f"{name}.attention.output")
        hidden = linear(x, f"{name}.intermediate.dense")
        hidden = np.array([[0.5 * h * (1 + math.erf(h / math.sqrt(2))) for h in row] for row in hidden])
        x = normalize(x + linear(hidden, f"{name}.output.dense"), f"{name}.output")
        layer += 1
    return x


def reduced(rows: Any, mean: Any, axes: Any) -> Any:
    """Tell rows (..., d) by how far they lie along each axis, (d, r), from the mean, and how far off all axes."""
    new = np.empty((*rows.shape[:-1], axes.shape[1] + 1))
    for place in np.ndindex(rows.shape[:-1]):
        rest = np.asarray(rows[place], np.float64) - mean
        for number, axis in enumerate(np.asarray(axes, np.float64).T):
            new[(*place, number)] = along = rest @ axis
            rest = rest - along * axis
        new[(*place, -1)] = np.sqrt(rest @ rest)
    return new


def interpolated(values: Any, height: int, width: int) -> Any:
    """Interpolate (h, w, ...) linearly between the middles of cells, first down, then across."""
    old = np.asarray(values, np.float64)
    new = np.empty((height, width, *old.shape[2:]))
    for row in range(height):
        for column in range(width):
            total: Any = 0.0
            for down, own_down in _linear(row, height, old.shape[0]):
                for across, own_across in _linear(column, width, old.shape[1]):
                    total = total + own_down * own_across * old[down, across]
            new[row, column] = total
    return new


def _linear(place: int, size: int, old_size: int) -> list[tuple[int, float]]:
    """Return the old cells around the middle of a new one, and their weights."""
    middle = min(max((place + 0.5) * old_size / size - 0.5, 0.0), old_size - 1.0)
    low = math.floor(middle)
    return [(low, 1 - (middle - low)), (min(low + 1, old_size - 1), middle - low)]


def farthest_first(rows: Any, count: int, first: int) -> list[int]:
    """Choose rows greedily, each the one farthest from all that were chosen before."""
    chosen = [first]
    while len(chosen) < count:
        gaps = [min(squared_distance(row, rows[one]) for one in chosen) for row in rows]
        chosen.append(max(range(len(rows)), key=gaps.__getitem__))
    return chosen


def top_mean(values: Any, share: float) -> float:
    """Return the mean of the highest share of values, at least of one; the last counts by its part."""
    descending = sorted(np.ravel(values).tolist(), reverse=True)
    count = max(1.0, share * len(descending))
    weights = [min(1.0, max(0.0, count - place)) for place in range(len(descending))]
    return sum(weight * value for weight, value in zip(weights, descending, strict=True)) / count


def truncated(score: float) -> float:
    """Keep ten binary digits of a number, as far as they are told apart where a stream is watched."""
    mantissa, exponent = math.frexp(float(np.float32(score)))
    return math.ldexp(math.trunc(mantissa * 2**10) / 2**10, exponent)


def sequential_ranks(calibrating: Sequence[float], scores: Sequence[float], chances: Sequence[float]) -> list[float]:
    """Rank each score among those that calibrate and all before it: the share that is higher, ties by chance."""
    known = [truncated(score) for score in calibrating]
    ranks = []
    for score, chance in zip(map(truncated, scores), chances, strict=True):
        higher = sum(1 for other in known if other > score)
        equal = sum(1 for other in known if other == score)
        ranks.append((higher + chance * (equal + 1)) / (len(known) + 1))
        known.append(score)
    return ranks


def bets_on(rank: float) -> list[float]:
    """Return what each bet wins by a rank: the mean of its density over the 64th part of [0, 1) in which it lies."""
    low = math.floor(rank * 64) / 64
    inside = [low + (place + 0.5) / 64 / 1_000 for place in range(1_000)]

    def sloped(slope: float, u: float) -> float:
        return slope * math.exp(-slope * u) / (1 - math.exp(-slope))

    def bulging(a: int, u: float) -> float:
        return math.gamma(2 * a) / math.gamma(a) ** 2 * (u * (1 - u)) ** (a - 1)

    densities = [
        *([sloped(sign * slope, u) for u in inside] for slope in (0.6, 1.5, 4, 10) for sign in (1, -1)),
        *([(sloped(slope, u) + sloped(-slope, u)) / 2 for u in inside] for slope in (4, 12)),
        *([bulging(a, u) for u in inside] for a in (2, 5)),
    ]
    return [sum(density) / len(density) for density in densities]


def wealth(ranks: Sequence[float]) -> float:
    """Return what bets have won that are placed from each item on, on each density, and what is not yet bet."""

    def left(n: int) -> float:
        return 1 / (1 + math.log2(1 + n / 100))

    wins = [bets_on(rank) for rank in ranks]
    total = left(len(ranks))
    for start in range(len(ranks)):
        for bet in range(12):
            stake = (left(start) - left(start + 1)) / 12
            total += stake * math.prod(won[bet] for won in wins[start:])
    return total


def likeliest_start(ranks: Sequence[float]) -> int:
    """Return the place from which one bet has won most."""
    wins = [bets_on(rank) for rank in ranks]
    won = {
        (start, bet): math.prod(one[bet] for one in wins[start:]) for start in range(len(ranks)) for bet in range(12)
    }
    return max(won, key=won.__getitem__)[0]
