"""Whether a reference set of a file is what a fit makes: its numbers, its draws, what calibrates it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from dn2.arrays import Positions
from dn2.neighbors.blocks import DECODED_AT_ONCE, SCALE_BYTES, Block, Stored
from dn2.neighbors.checks import check_largest
from dn2.neighbors.reference import ReferenceSet

# How far distances may lie from those that another processor computed: a share of each, and of the largest.
SHARE, SHARE_OF_LARGEST = 1e-3, 1e-4
A_FEW, MANY = 8, 4_096


def check_stored_rows(blocks: Sequence[Block], *, may_miss: bool) -> None:
    """Raise ValueError unless all stored rows, also the rows removed, are finite and small enough to be compared.

    may_miss : whether NaN is a value that is missing."""
    for block in blocks:
        step = max(1, DECODED_AT_ONCE // block.stored.shape[1])
        for start in range(0, len(block.stored), step):
            rows = _extremes(block.stored[start : start + step])
            missing = may_miss and bool(np.isnan(rows).any())
            ends = np.array(
                [np.nanmin(rows, initial=0), np.nanmax(rows, initial=0)] if missing else [rows.min(), rows.max()]
            )
            if not np.isfinite(ends).all():  # NaN, too: it is the least and the largest of whatever it is among
                raise ValueError("embeddings must be finite")
            check_largest(float(np.abs(ends).max()), block.dimension)


def _extremes(stored: Stored) -> Stored:
    """Return stored rows as numbers whose extremes are those of the rows: of 8-bit rows both ends of the scale."""
    if stored.dtype != np.uint8:
        return stored
    least, step = np.ascontiguousarray(stored[:, -SCALE_BYTES:]).view(np.float32).T
    with np.errstate(over="ignore", invalid="ignore"):
        return np.stack([least, least + 255 * step], axis=1)


def check_draws(blocks: Sequence[Block], thorough: bool) -> None:
    """Raise ValueError unless draws are digests of the rows; thorough : see `evenly_placed`, of each block."""
    for block in blocks:
        for place in evenly_placed(len(block.stored), thorough).tolist():
            digest = hashlib.blake2b(np.ascontiguousarray(block.stored[place]).data, digest_size=8).digest()
            if int(block.all_draws[place]) != int.from_bytes(digest, "big"):
                raise ValueError("draws must be digests of the rows")


def check_leave_one_out(reference: ReferenceSet, thorough: bool) -> None:
    """Raise ValueError where calibrating items have other neighbours than were recorded.

    thorough : see `evenly_placed`.  Of an approximate search half of the neighbours may be others: processors round
    otherwise."""
    looked_at = evenly_placed(len(reference.loo.members), thorough)
    members, recorded = reference.loo.members[looked_at], reference.loo.distances[looked_at]
    searched = reference.leave_one_out(members).distances
    largest = max(float(searched.max()), float(np.finfo(np.float32).tiny))
    alike = np.isclose(recorded, searched, rtol=SHARE, atol=SHARE_OF_LARGEST * largest).all(axis=1)
    approximate = reference.learnt is not None and reference.learnt.is_approximate
    if alike.mean() < (0.5 if approximate else 1):
        raise ValueError("leave-one-out distances must be those of the reference set")


def evenly_placed(n: int, thorough: bool) -> Positions:
    """Choose places among n, evenly: a few that are looked at whenever a model is loaded, or many, these among them."""
    counts = (A_FEW, MANY) if thorough else (A_FEW,)
    chosen = [np.linspace(0, n - 1, min(n, count)).astype(np.int64) for count in counts]
    return np.unique(np.concatenate(chosen))
