"""Other methods on the same pictures."""

from __future__ import annotations

from dn2.arrays import Scores, Vectors
from dn2.bench.context import ProgressFactory
from dn2.bench.rivals import (
    Rival,
    deep_svdd,
    isolation_forest,
    local_outlier_factor,
    mahalanobis,
    note_missing_deep_svdd,
    one_class_svm,
)
from dn2.bench.scoring import nearest_distances
from dn2.kinds.image.bench.embeddings import read_pixels
from dn2.kinds.image.bench.pictures import Bench
from dn2.kinds.kind import USUAL_NEIGHBORS
from dn2.neighbors.calibration import mean_squared_distance
from dn2.neighbors.prepare.normalize import normalize


def find_rivals(bench: Bench, progress_of: ProgressFactory) -> tuple[list[Rival], list[str]]:
    """Make the rivals that are installed.

    Returns
    -------
    list of Rival
    list of str
        A line for each rival that is left out."""
    pixels, vectors = read_pixels(bench.data.items, progress_of), bench.vectors
    rivals = [
        Rival("OC-SVM", False, vectors, one_class_svm),
        Rival("Isolation Forest", True, vectors, isolation_forest),
        Rival("LOF", False, vectors, local_outlier_factor),
        Rival("Mahalanobis, Ledoit-Wolf", False, vectors, mahalanobis),
        Rival(f"pixels, k = {USUAL_NEIGHBORS}", False, pixels, _pixel_neighbors),
    ]
    if without := note_missing_deep_svdd():
        return rivals, without
    return [*rivals, Rival("DeepSVDD", True, normalize(bench.embeddings, "unit"), deep_svdd)], []


def _pixel_neighbors(reference: Vectors, queries: Vectors, seed: int) -> Scores:
    return mean_squared_distance(nearest_distances(reference, queries, USUAL_NEIGHBORS))
