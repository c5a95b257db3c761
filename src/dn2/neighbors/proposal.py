"""Parts that reference items may belong to, proposed by how near they lie to each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy

from dn2.arrays import Positions
from dn2.neighbors.reference import ReferenceSet
from dn2.neighbors.surroundings import Near, Surroundings
from dn2.neighbors.suspicion import CLOSE, Suspicion, groups_of

SHARED = 0.5  # of the members of two items' groups, where they are linked


def agreement(near: Near, labels: Positions) -> tuple[float, float]:
    """Tell how far labels of items, (n,), are parts, as neighbours tell.

    Returns, over items of which 1 to 40 others have the same label, the mean share of so many nearest neighbours that
    have it, and what it is by chance; 0 where there is hardly any such item."""
    counts = np.bincount(labels)
    others = counts[labels[near.members]] - 1
    some = (others >= 1) & (others <= near.positions.shape[1])
    if some.mean() < SHARED:
        return 0.0, 0.0
    same = np.cumsum(labels[near.positions[some]] == labels[near.members[some], None], axis=1)
    shares = same[np.arange(len(same)), others[some] - 1] / others[some]
    return float(shares.mean()), float(others[some].mean() / (len(labels) - 1))


def propose_parts(reference: ReferenceSet, suspicion: Suspicion, orders: Sequence[Positions]) -> Positions:
    """Return a part for each reference item, (n,): items that are linked, on the way over others, too.

    Linked are copies; where neighbours follow on each other in an order, those that do; else those of two groups that
    are mostly the same, as far as the longest spacing, or of the size of clusters where these are all that shows."""
    around = Surroundings.of(reference)
    found = {finding.name: finding for finding in suspicion.findings}
    sizes = [found[name].size for name in ("copies", "clusters") if name in found]
    members = around.sample(len(around.searched))
    pairs = _links_of_copies(around)
    if "order" in found:
        ranks, size = orders[found["order"].size], max(sizes, default=CLOSE + 1)
        groups = groups_of(around, members, size)
        mates = ((one, mate) for one, group in groups.items() for mate in group)
        pairs += [(one, mate) for one, mate in mates if abs(ranks[one] - ranks[mate]) < size]
    else:
        groups = groups_of(around, members, sizes[0] if "clusters" in found and "copies" not in found else None)
        pairs += [
            (one, mate)
            for one, group in groups.items()
            for mate in group
            if one < mate and one in (others := groups.get(mate, frozenset())) and _are_alike(group, others)
        ]
    n = len(reference)
    firsts, seconds = np.array(pairs, np.int64).reshape(-1, 2).T
    links = scipy.sparse.coo_array((np.ones(len(firsts), np.bool_), (firsts, seconds)), shape=(n, n))
    labels: Positions = scipy.sparse.csgraph.connected_components(links, directed=False)[1].astype(np.int64)
    return labels


def _are_alike(group: frozenset[int], other: frozenset[int]) -> bool:
    return len(group & other) >= SHARED * len(group | other)


def _links_of_copies(around: Surroundings) -> list[tuple[int, int]]:
    _, first, which = np.unique(around.contents, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[which] != np.arange(len(which)))
    return list(zip(first[which[again]].tolist(), again.tolist(), strict=True))
