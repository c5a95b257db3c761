"""The steps of a detector that the options of any kind ask for."""

from __future__ import annotations

from typing import Any

from dn2.kinds.options import CleaningOptions, ItemOptions
from dn2.neighbors.search.method import parse_index
from dn2.neighbors.steps import DEFAULT_RECALL, Calibrate, Clean, Search, Steps

# Where the reference items may include anomalies, the few that cleaning misses must not decide.
NEIGHBORS_IF_CONTAMINATED = 10


def asked_neighbors(options: Any) -> int | None:
    """Return the number of neighbours that options settle; None where the kind and the size of the set decide."""
    if options.neighbors is not None:
        return int(options.neighbors)
    if parse_index(options.index).name == "kmeans":
        return 1
    contaminated = isinstance(options, CleaningOptions) and options.contaminated
    return NEIGHBORS_IF_CONTAMINATED if contaminated else None


def usual_steps(options: Any, n_neighbors: int) -> Steps:
    """Return the steps.  Raises InputError for options that do not go together."""
    clean = None
    if isinstance(options, CleaningOptions):
        clean = Clean.of(options.contaminated, options.drop, options.first_neighbors)
    calibrate = Calibrate()
    if isinstance(options, ItemOptions):
        calibrate = Calibrate(options.confidence, options.smooth, options.seed)
    recall = DEFAULT_RECALL if options.recall is None else options.recall
    return Steps(
        n_neighbors,
        options.false_alarm_rate,
        clean=clean,
        search=Search(options.index, recall, options.storage, options.memory),
        calibrate=calibrate,
    )
