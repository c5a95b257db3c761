"""The interfaces of protocols: progress, and the methods that they compare."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from dn2.arrays import Progress, Scores
from dn2.bench.split import Split

# Shows the progress of a phase, given its name; gives a function to call with (done, total).
ProgressFactory = Callable[[str], AbstractContextManager[Progress]]


class Method(Protocol):
    """A way to score queries against reference items."""

    @property
    def name(self) -> str:
        """The column of the table."""

    @property
    def random(self) -> bool:
        """Whether the method draws at random itself, besides the split."""

    def scores(self, split: Split, seed: int) -> Scores:
        """Score the queries of a split.

        Parameters
        ----------
        split : Split
            Which items are the reference, and which are queries.
        seed : int
            Of the method's random draws.

        Returns
        -------
        ndarray of shape (n_queries,)
            Anomaly scores; higher is more anomalous."""
