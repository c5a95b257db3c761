"""Protocol: series with known anomalies, each compared with itself, or with its own first points.

There is no point adjustment: each point counts by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dn2.bench.context import ProgressFactory
from dn2.bench.result import FurtherRow, Measurement, Result
from dn2.bench.scoring import average_precision, roc_auc
from dn2.errors import InputError
from dn2.kinds.series.bench import SERIES, PointsOptions
from dn2.kinds.series.bench.data import LabelledSeries, read_labelled
from dn2.kinds.series.bench.methods import SeriesMethod, own_method, rival_methods, window_of
from dn2.kinds.series.bench.vus import LARGEST_BUFFER, vus_pr
from dn2.kinds.series.kind import USUAL_NEIGHBORS

VUS, AREA = "VUS-PR", "AUC-PR"


def run(data: Path, options: PointsOptions, progress_of: ProgressFactory) -> Result:
    """Run the protocol; see `Protocol`."""
    k = options.neighbors or USUAL_NEIGHBORS
    return series(read_labelled(data), k, options.rivals, options.reference, progress_of=progress_of)


def series(
    sets: Sequence[LabelledSeries], n_neighbors: int, rivals: bool, n_reference: int, *, progress_of: ProgressFactory
) -> Result:
    """Score the points of each series.

    Parameters
    ----------
    sets : sequence of LabelledSeries
    n_neighbors : int
        Number k of neighbours.
    rivals : bool
        Whether to run other methods, too.
    n_reference : int
        Number of first points that are the normal reference and are not scored; 0 compares a series with itself.
    progress_of : ProgressFactory

    Raises
    ------
    MissingExtra
        For rivals whose libraries are not installed.
    InputError
        For series that are too short."""
    methods = [own_method(n_neighbors), *(rival_methods() if rivals else ())]
    for labelled in sets:
        _check(labelled, n_reference)
    groups = dict.fromkeys(labelled.group for labelled in sets)
    rows = [FurtherRow(figure, group) for figure in (AREA, VUS) for group in (*groups, None)]
    result = Result(SERIES.title, "group", further_rows=rows)
    runs = [(labelled, method) for labelled in sets for method in methods]
    with progress_of("series") as show:
        for done, (labelled, method) in enumerate(runs, 1):
            result.measurements.append(_measure(result, labelled, method, n_reference))
            show(done, len(runs))
    points, anomalous = (
        sum(len(labelled.anomalous) for labelled in sets),
        sum(int(labelled.anomalous.sum()) for labelled in sets),
    )
    compared = f"its first {n_reference:,} points, which do not count" if n_reference else "itself"
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


def _check(labelled: LabelledSeries, n_reference: int) -> None:
    """Raise InputError unless the first points give windows, and normal and anomalous points follow them."""
    if n_reference and (
        window_of(0, n_reference) < 2
        or not 0 < labelled.anomalous[n_reference:].sum() < len(labelled.anomalous) - n_reference
    ):
        raise InputError(
            f"{labelled.group}/{labelled.name}: after its first {n_reference:,} points, whose windows are the "
            "reference, there must be normal and anomalous ones"
        )


def _measure(result: Result, labelled: LabelledSeries, method: SeriesMethod, n_first: int) -> Measurement:
    with result.timing(method.name):
        scores = method.score(labelled.values, window_of(len(labelled.values), n_first), n_first)
    scores, truth = np.asarray(scores[n_first:], np.float64), labelled.anomalous[n_first:]
    figures = {AREA: average_precision(scores, truth), VUS: vus_pr(scores, truth)}
    n_reference = n_first or len(labelled.values)
    return Measurement(method.name, labelled.group, labelled.name, None, n_reference, roc_auc(scores, truth), figures)
