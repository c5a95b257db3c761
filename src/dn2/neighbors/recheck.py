"""Whether a reference set from elsewhere is what a fit makes: its numbers, its draws, what calibrates it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from dn2.neighbors.blocks import DECODED_AT_ONCE, SCALE_BYTES, Block, Positions, Stored
from dn2.neighbors.checks import check_largest
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.reference import ReferenceSet

# How far distances may lie from those that another processor computed: a share of each, and of the largest.
SHARE, SHARE_OF_LARGEST = 1e-3, 1e-4
A_FEW, MANY = 8, 4_096


def check_rows(blocks: Sequence[Block], *, may_miss: bool) -> None:
    """Raise ValueError for rows that are not finite or too large to be compared, also among those removed.

    may_miss : whether NaN is a value that is missing."""
    for block in blocks:
        step = max(1, DECODED_AT_ONCE // block.stored.shape[1])
        for start in range(0, len(block.stored), step):
            rows = _numbers(block.stored[start : start + step])
            missing = may_miss and bool(np.isnan(rows).any())
            ends = np.array(
                [np.nanmin(rows, initial=0), np.nanmax(rows, initial=0)] if missing else [rows.min(), rows.max()]
            )
            if not np.isfinite(ends).all():  # NaN, too: it is the least and the largest of whatever it is among
                raise ValueError("embeddings that are not finite")
            check_largest(float(np.abs(ends).max()), block.dimension)


def _numbers(stored: Stored) -> Stored:
    """Return the numbers of stored rows: of 8-bit rows both ends of the scale, between which all others lie."""
    if stored.dtype != np.uint8:
        return stored
    least, step = np.ascontiguousarray(stored[:, -SCALE_BYTES:]).view(np.float32).T
    with np.errstate(over="ignore", invalid="ignore"):
        return np.stack([least, least + 255 * step], axis=1)


def check_draws(blocks: Sequence[Block], thorough: bool) -> None:
    """Raise ValueError for draws that are not those of the rows; thorough : see `some_of`, of each block."""
    for block in blocks:
        for place in some_of(len(block.stored), thorough).tolist():
            digest = hashlib.blake2b(np.ascontiguousarray(block.stored[place]).data, digest_size=8).digest()
            if int(block.all_draws[place]) != int.from_bytes(digest, "big"):
                raise ValueError("draws that are not those of the rows")


def check_leave_one_out(reference: ReferenceSet, thorough: bool) -> None:
    """Raise ValueError where calibrating items have other neighbours than were recorded; thorough : see `some_of`.

    Of an approximate search half of them may: processors that round otherwise may find others."""
    some = some_of(len(reference.loo.members), thorough)
    members, recorded = reference.loo.members[some], reference.loo.distances[some]
    found = _searched_again(reference, members).distances
    largest = max(float(found.max()), float(np.finfo(np.float32).tiny))
    alike = np.isclose(recorded, found, rtol=SHARE, atol=SHARE_OF_LARGEST * largest).all(axis=1)
    approximate = reference.learnt is not None and bool(reference.learnt.search)
    if alike.mean() < (0.5 if approximate else 1):
        raise ValueError("leave-one-out distances that are not those of the reference set")


def _searched_again(reference: ReferenceSet, members: Positions) -> LeaveOneOut:
    k = reference.loo.distances.shape[1]
    if reference.line is not None:
        overlapping = reference.line.overlapping[members]
        return LeaveOneOut.of(reference.blocks, reference.index, members, k, overlapping)
    if reference.learnt is not None:
        return reference.learnt.leave_one_out(reference.blocks, reference.index, members, k)
    return LeaveOneOut.of(reference.blocks, reference.index, members, k)


def some_of(n: int, thorough: bool) -> Positions:
    """Choose places among n, evenly: a few that are looked at whenever a model is loaded, or many, these among them."""
    counts = (A_FEW, MANY) if thorough else (A_FEW,)
    chosen = [np.linspace(0, n - 1, min(n, count)).astype(np.int64) for count in counts]
    return np.unique(np.concatenate(chosen))
