"""Measures of how well anomaly maps show where the defects lie, against masks, picture by picture.

Sources: pixel ROC AUC and AUPRO as the evaluation code of MVTec AD computes them (Bergmann et al., "The MVTec Anomaly
Detection Dataset", IJCV 2021): regions joined also at corners, and their overlap over the false-positive rate of the
pixels outside of all defects in all pictures, integrated by trapezoids.  There all pictures are of one size; here they
need not be, and pixels count as shares of their pictures, so that all pictures count alike.  SegF1: Heckler-Kram et
al., "The MVTec AD 2 Dataset", 2025."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dn2.arrays import Array, Flags, Numbers
from dn2.errors import InputError
from dn2.results.tally import NOTHING, Tally, tally_inside, tally_outside, total

AUPRO_LIMIT = 0.3
DEFECT = "defect"  # the kind of a defect that has no name
# Shares of the picture at which classes of area begin, the first at 0.
AREAS = {
    "below 0.01 %": 0.0,
    "0.01 % to 0.1 %": 1e-4,
    "0.1 % to 1 %": 1e-3,
    "1 % to 10 %": 1e-2,
    "10 % and more": 1e-1,
}


@dataclass(frozen=True)
class PixelFigures:
    """Figures of merit of the scores of pixels; every one but counts and thresholds lies in [0, 1].

    roc_auc, average_precision : of all pixels of all pictures, ties counted half, and as one threshold.
    aupro : the mean share of a region that is found, over false-positive rates up to `AUPRO_LIMIT`; 1 is perfect, and
        a map that is the same everywhere has 0.15.
    best_f1 : the largest F1 of pixels at any threshold, best_f1_threshold : where, of scores that reach it.
    seg_f1 : F1 of the pixels at the threshold given, of scores that reach it; None without one.
    defective_share : of the pixels, by which all is a matter of chance.
    rounding_error : no figure above is farther than this from that of scores that are not rounded to levels."""

    n_regions: int
    defective_share: float
    roc_auc: float
    average_precision: float
    aupro: float
    best_f1: float
    best_f1_threshold: float
    seg_f1: float | None
    rounding_error: float


@dataclass(frozen=True)
class DefectFigures:
    """Figures of the pictures with one kind of defect, or of the defects of one class of area.

    n_pictures : how many there are; n_found : how many of them the decision finds, None where there was none.
    pixels : of these defects against all pixels without any: of a kind, of its own pictures and the normal ones; of an
        area, of all pictures.  None without a mask with defects, or without other pixels."""

    n_pictures: int
    n_found: int | None
    pixels: PixelFigures | None


@dataclass(frozen=True)
class SegmentationFigures:
    """Figures of merit of anomaly maps.

    n_normal, n_anomalous : pictures; n_without_mask : anomalous pictures of which no mask was given, which count for
        what is found and for no figure of pixels.
    by_kind : by the kind of defect, in order of names.
    by_area : by the area of regions, a share of the picture (see `AREAS`); a picture counts where its largest region
        does."""

    n_normal: int
    n_anomalous: int
    n_without_mask: int
    pixels: PixelFigures | None
    by_kind: dict[str, DefectFigures]
    by_area: dict[str, DefectFigures]

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as plain dicts and numbers, as JSON takes them."""
        return asdict(self)


class SegmentationEvaluator:
    """Takes anomaly maps and masks one by one, of any sizes, and keeps counts of their scores alone.

    threshold : of the binary maps that `seg_f1` is of, None for none.
    Memory: some megabytes for each kind of defect and class of area, whatever the number of pictures."""

    def __init__(self, threshold: float | None = None) -> None:
        self._threshold = threshold
        self._normal = NOTHING
        self._outside: dict[str, Tally] = {}  # by kind, of anomalous pictures
        self._inside: dict[tuple[str, str], Tally] = {}  # by kind and class of area
        self._pictures: Counter[tuple[str, str]] = Counter()  # by kind and class of their largest region, "" for none
        self._found: Counter[tuple[str, str]] = Counter()
        self._n_normal = self._n_without_mask = 0
        self._has_decisions = False

    def add(
        self,
        anomaly_map: Array,
        mask: Flags | None,
        is_anomalous: bool,
        kind: str | None = None,
        is_found: bool | None = None,
    ) -> None:
        """Count one picture.

        anomaly_map : (height, width), finite, higher is more anomalous; read as float32.
        mask : (height, width) bool, where the defects are; None where nothing is known, and for a normal picture.
        kind : of the defect; is_found : whether the decision is that the picture is anomalous, if there is one.
        Raises InputError, and counts nothing, for a map or a mask that cannot be used."""
        scores = _check_map(anomaly_map)
        known = mask if mask is not None or is_anomalous else np.zeros(scores.shape, bool)
        if known is not None:
            _check_mask(known, scores.shape, is_anomalous)
        if not is_anomalous:
            self._n_normal += 1
            self._normal += tally_outside(scores.ravel(), scores.size, self._count_reaching(scores))
            return
        kind, largest = kind or DEFECT, ""
        if known is None:
            self._n_without_mask += 1
        else:
            largest = self._add_defects(scores, np.asarray(known, bool), kind)
        self._pictures[kind, largest] += 1
        self._found[kind, largest] += bool(is_found)
        self._has_decisions |= is_found is not None

    def figures(self) -> SegmentationFigures:
        """Measure what was added so far."""
        outside = total([self._normal, *self._outside.values()])
        kinds = sorted({kind for kind, _ in self._pictures})
        areas = [area for area in AREAS if any(area == key[1] for key in self._inside)]
        return SegmentationFigures(
            n_normal=self._n_normal,
            n_anomalous=self._pictures.total(),
            n_without_mask=self._n_without_mask,
            pixels=self._measure(outside + total(self._inside.values())),
            by_kind={kind: self._of_kind(kind) for kind in kinds},
            by_area={area: self._of_area(area, outside) for area in areas},
        )

    def _of_kind(self, kind: str) -> DefectFigures:
        inside = total(tally for (other, _), tally in self._inside.items() if other == kind)
        pixels = self._measure(self._normal + self._outside.get(kind, NOTHING) + inside)
        return self._group({key for key in self._pictures if key[0] == kind}, pixels)

    def _of_area(self, area: str, outside: Tally) -> DefectFigures:
        inside = total(tally for (_, other), tally in self._inside.items() if other == area)
        return self._group({key for key in self._pictures if key[1] == area}, self._measure(outside + inside))

    def _group(self, keys: set[tuple[str, str]], pixels: PixelFigures | None) -> DefectFigures:
        n_found = sum(self._found[key] for key in keys) if self._has_decisions else None
        return DefectFigures(sum(self._pictures[key] for key in keys), n_found, pixels)

    def _add_defects(self, scores: Array, mask: Flags, kind: str) -> str:
        """Count the pixels of an anomalous picture, and return the class of area of its largest region, "" for none."""
        from scipy.ndimage import label

        outside, inside = scores[~mask], scores[mask]
        counted = tally_outside(outside, mask.size, self._count_reaching(outside))
        self._outside[kind] = self._outside.get(kind, NOTHING) + counted
        if not len(inside):
            return ""
        regions, n_regions = label(mask, np.ones((3, 3)))
        owners = regions[mask] - 1
        sizes = np.bincount(owners, minlength=n_regions)
        classes = np.searchsorted(list(AREAS.values()), sizes / mask.size, side="right") - 1
        for place, area in enumerate(AREAS):
            if (classes == place).any():
                chosen = classes[owners] == place
                found = tally_inside(
                    inside[chosen],
                    1 / sizes[owners[chosen]],
                    mask.size,
                    int((classes == place).sum()),
                    self._count_reaching(inside[chosen]),
                )
                self._inside[kind, area] = self._inside.get((kind, area), NOTHING) + found
        return list(AREAS)[int(classes.max())]

    def _measure(self, tally: Tally) -> PixelFigures | None:
        return measure_pixels(tally, with_threshold=self._threshold is not None)

    def _count_reaching(self, scores: Array) -> int:
        return 0 if self._threshold is None else int((scores >= np.float32(self._threshold)).sum())


def measure_pixels(tally: Tally, *, with_threshold: bool = False) -> PixelFigures | None:
    """Measure counted pixels; None unless there are pixels both inside and outside of defects."""
    outside, inside, _ = tally.counts.sum(axis=0)
    if not (outside and inside):
        return None
    # From the highest score down, each with a zero in front: the pixels, and shares of regions, that reach a level.
    false, true, overlap = np.concatenate([np.zeros((1, 3)), np.cumsum(tally.counts[::-1], axis=0)]).T
    unsure = ~tally.is_exact[::-1]
    false_positive, recall = false / outside, true / inside
    roc_auc, roc_error = _area(false_positive, recall, 1.0, unsure)
    aupro, aupro_error = _area(false_positive, overlap / overlap[-1], AUPRO_LIMIT, unsure)
    precision = true[1:] / (true[1:] + false[1:])
    f1 = 2 * true[1:] / (true[1:] + false[1:] + inside)
    best = int(np.argmax(f1))
    precision_error, f1_error = _errors_at_levels(false, true, unsure)
    flagged_outside, flagged_inside = tally.reaching
    seg_f1 = float(2 * flagged_inside / (flagged_inside + flagged_outside + inside)) if with_threshold else None
    return PixelFigures(
        n_regions=tally.n_regions,
        defective_share=float(inside / (inside + outside)),
        roc_auc=roc_auc,
        average_precision=float(np.diff(recall) @ precision),
        aupro=aupro,
        best_f1=float(f1[best]),
        best_f1_threshold=float(tally.lowest[::-1][best]),
        seg_f1=seg_f1,
        rounding_error=max(roc_error, aupro_error, precision_error, f1_error),
    )


def _area(x: Numbers, y: Numbers, limit: float, unsure: Flags) -> tuple[float, float]:
    """Return the area under a curve up to `limit`, as a share of the largest, and how far it may be off.

    x, y : (n + 1,) ascending from 0; unsure : (n,) whether the curve may take any way between two points."""
    cut = np.minimum(x, limit)
    heights = np.where(x <= limit, y, np.interp(limit, x, y))
    area = np.diff(cut) @ (heights[1:] + heights[:-1]) / 2
    error = np.diff(cut)[unsure] @ np.diff(y)[unsure]
    return float(area / limit), float(error / limit)


def _errors_at_levels(false: Numbers, true: Numbers, unsure: Flags) -> tuple[float, float]:
    """Return how far the average precision and the best F1 may be off, from the order of scores within levels."""
    inside = true[-1]
    precision = true[1:] / (true[1:] + false[1:])
    # Of a level, the best order has all inside first.  In the worst one precision rises along a concave curve.
    least = np.finfo(np.float64).tiny
    above = true[1:] / np.maximum(true[1:] + false[:-1], least) - precision
    below = (precision - true[:-1] / np.maximum(true[:-1] + false[1:], least)) / 2
    error = (np.diff(true) / inside)[unsure] @ np.maximum(above, below)[unsure]
    f1 = 2 * true[1:] / (true[1:] + false[1:] + inside)
    best = 2 * true[1:] / (true[1:] + false[:-1] + inside)
    return float(error), float(max(best[unsure].max(initial=0) - f1.max(), 0))


def _check_map(anomaly_map: Array) -> Array:
    """Return a map as float32.  Raises InputError."""
    anomaly_map = np.asarray(anomaly_map)
    if anomaly_map.ndim != 2 or anomaly_map.dtype.kind not in "iuf":
        raise InputError(
            f"an anomaly map is an array of numbers of shape (height, width), got {anomaly_map.dtype} of "
            f"{anomaly_map.shape}"
        )
    with np.errstate(over="ignore"):
        scores = anomaly_map.astype(np.float32)
    if not np.isfinite(scores).all():
        raise InputError("an anomaly map must hold finite numbers of float32, got NaN, infinite or larger ones")
    return scores


def _check_mask(mask: Flags, shape: tuple[int, ...], is_anomalous: bool) -> None:
    if np.shape(mask) != shape:
        raise InputError(f"a mask must have the size of its anomaly map, {shape}, got {np.shape(mask)}")
    if not is_anomalous and np.any(mask):
        raise InputError(f"a normal picture has no defects, got a mask of {np.count_nonzero(mask):,} defective pixels")
