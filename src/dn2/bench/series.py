"""Protocol: series with known anomalies, each compared with itself, or with its own first points.

Nothing is adjusted: a point is right or wrong by itself, whatever its neighbours are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dn2.bench.context import timed
from dn2.bench.embeddings import Watch
from dn2.bench.result import Measurement, Result
from dn2.bench.scoring import average_precision, roc_auc
from dn2.bench.series_data import LabelledSeries
from dn2.bench.series_methods import SeriesMethod, own_method, rival_methods, window_of
from dn2.bench.vus import LARGEST_BUFFER, vus_pr
from dn2.errors import InputError

N_NEIGHBORS = 1
VUS, AREA = "VUS-PR", "AUC-PR"


def series(sets: Sequence[LabelledSeries], n_neighbors: int, rivals: bool, known: int, *, watch: Watch) -> Result:
    """Score the points of each series.

    known : how many of the first points are normal and the reference, and are not scored; 0 where a series is compared
    with itself.  Raises MissingExtra for rivals without what they need, InputError for series that are too short."""
    methods = [own_method(n_neighbors), *(rival_methods() if rivals else ())]
    for one in sets:
        _check(one, known)
    result = Result("Series, points as queries", "group", others_below=True, others_by_setting=True)
    runs = [(one, method) for one in sets for method in methods]
    with watch("series") as show:
        for done, (one, method) in enumerate(runs, 1):
            result.measurements.append(_run(result, one, method, known))
            show(done, len(runs))
    points, anomalous = sum(len(one.anomalous) for one in sets), sum(int(one.anomalous.sum()) for one in sets)
    compared = f"its first {known:,} points, which do not count" if known else "itself"
    result.notes = [
        f"{len(sets):,} series, {points:,} points, {anomalous:,} of them anomalous; each series compared with "
        f"{compared}. A row is the mean over the series of a group, the average that over all series.",
        f"{AREA} is the average precision, {VUS} the volume under the precision-recall surface with buffers of 0 to "
        f"{LARGEST_BUFFER} points; both in %, too, and without point adjustment.",
    ]
    if rivals:
        result.notes.append(
            "All on windows of the length that dn2 chooses; position is the number of the point: a control, which says "
            "how far the place of the anomalies in the file gives them away."
        )
    return result


def _check(one: LabelledSeries, known: int) -> None:
    """Raise InputError for a series whose first points are no reference, or leave nothing to score."""
    if known and (window_of(0, known) < 2 or not 0 < one.anomalous[known:].sum() < len(one.anomalous) - known):
        raise InputError(
            f"{one.group}/{one.name}: after its first {known:,} points, whose windows are the reference, there must "
            "be normal and anomalous ones"
        )


def _run(result: Result, one: LabelledSeries, method: SeriesMethod, known: int) -> Measurement:
    with timed(result, method.name):
        scores = method.score(one.values, window_of(len(one.values), known), known)
    scores, truth = np.asarray(scores[known:], np.float64), one.anomalous[known:]
    others = {AREA: average_precision(scores, truth), VUS: vus_pr(scores, truth)}
    n_reference = known or len(one.values)
    return Measurement(method.name, one.group, one.name, None, n_reference, roc_auc(scores, truth), others)
