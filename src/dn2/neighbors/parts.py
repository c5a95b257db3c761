"""Parts of several items: what each item counts for, which is drawn, and whether enough other parts are left."""

from __future__ import annotations

import numpy as np

from dn2.arrays import Positions, Scores
from dn2.errors import ReferenceTooSmall
from dn2.neighbors.membership import Keys, Membership
from dn2.neighbors.search.excluded import Excluded

WEIGHT_DIGITS = 12  # thirds of a part add up to whole ones


def weights_of(m: int, parts: Positions | None) -> Scores:
    """Return what each of m items counts for, (m,): those of a part share one.

    parts : (m,) the number of each item's part; None where each stands for itself."""
    if parts is None:
        return np.ones(m)
    weights: Scores = 1 / np.bincount(parts)[parts]
    return weights


def own_as_large(scores: Scores, parts: Positions | None) -> Scores:
    """Return for each item the weight of those of its own part that score as high, itself among them, (m,)."""
    m = len(scores)
    if parts is None or not m:
        return np.ones(m)
    order = np.lexsort((scores, parts))
    parts_in_order, ascending = parts[order], scores[order]
    is_first = np.ones(m, bool)
    is_first[1:] = (parts_in_order[1:] != parts_in_order[:-1]) | (ascending[1:] != ascending[:-1])
    firsts = np.maximum.accumulate(np.where(is_first, np.arange(m), 0))
    counts = np.empty(m)
    counts[order] = np.searchsorted(parts_in_order, parts_in_order, side="right") - firsts
    return counts * weights_of(m, parts)


def one_a_part(parts: Keys, seed: int) -> Positions:
    """Draw the place of one item of each part, (p,), by the part and the seed alone."""
    keys, counts = np.unique(parts, return_counts=True)
    order = np.argsort(parts, kind="stable")
    starts = np.cumsum(counts) - counts
    chances = [np.random.default_rng([seed, key]).random() for key in keys.tolist()]
    drawn: Positions = order[starts + (np.array(chances) * counts).astype(np.int64)]
    return drawn


def excluded_among(parts: Keys | None, k: int, learning: Positions | None = None) -> Excluded | None:
    """Return what each of n rows excludes from its neighbours among those that are learnt from: all of its part.

    learning : positions of the rows that are learnt from, by default all.  None where rows have no parts, or so large
    ones that fewer than k would be left."""
    if parts is None:
        return None
    counts = np.unique(parts if learning is None else parts[learning], return_counts=True)[1]
    return Excluded.of_groups(parts, parts) if counts.sum() - counts.max(initial=0) >= k else None


def check_parts_left(membership: Membership, indexed: Positions, members: Positions, k: int) -> None:
    """Raise ReferenceTooSmall unless each of some items has k neighbours, (n,) indexed, of other parts."""
    if membership.parts is None:
        return
    keys, counts = np.unique(membership.parts[indexed], return_counts=True)
    largest = int(counts[np.isin(keys, membership.parts[members])].max(initial=0))
    if len(indexed) - largest < k:
        raise ReferenceTooSmall(
            f"an item is compared with those of other parts: {k} neighbours need at least {k} of these, and beside the "
            f"largest part, of {largest:,}, there are {len(indexed) - largest:,}; add other parts"
        )
