"""Splits of a data set into reference items and queries."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dn2.arrays import Flags, Positions


def _no_positions() -> Positions:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Split:
    """The role of each item, by its position in the data.

    Parameters
    ----------
    reference : ndarray of shape (n_reference,)
        Normal items that queries are compared with.
    queries : ndarray of shape (n_queries,)
        Items that are scored.
    truth : ndarray of shape (n_queries,), bool
        Whether each query is anomalous.
    others : ndarray of shape (n_others,)
        Items of other classes that are not queries; they can pollute the reference set."""

    reference: Positions
    queries: Positions
    truth: Flags
    others: Positions = field(default_factory=_no_positions)

    def with_others(self, rng: np.random.Generator) -> Split:
        """Return a split with others: by default a random half of the anomalous queries."""
        if len(self.others):
            return self
        anomalous = rng.permutation(np.flatnonzero(self.truth))
        taken = np.sort(anomalous[: len(anomalous) // 2])
        queries, truth = np.delete(self.queries, taken), np.delete(self.truth, taken)
        return Split(self.reference, queries, truth, self.queries[taken])


def halve_normal(anomalous: Flags, seed: int) -> Split:
    """Take a random half of the normal items as reference; the other half and all anomalies are queries.

    Parameters
    ----------
    anomalous : ndarray of shape (n,), bool
    seed : int
        Of the draw."""
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(~anomalous))
    reference: Positions = np.sort(normal[: len(normal) // 2])
    queries = np.setdiff1d(np.arange(len(anomalous), dtype=np.int64), reference)
    return Split(reference, queries, anomalous[queries])
