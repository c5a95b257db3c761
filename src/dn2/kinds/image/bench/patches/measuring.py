"""Figures of what a method says of pictures whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from dn2.arrays import Flags, Scores
from dn2.bench.scoring import roc_auc
from dn2.errors import InputError, UnreadableItem
from dn2.kinds.image.bench.patches.methods import Fitted, Seen
from dn2.kinds.image.known import Defect, count, first_in_a_region
from dn2.kinds.image.labelled.sets import LabelledPicture
from dn2.results.evaluation import share_of, weights_of
from dn2.results.rows import Row
from dn2.results.segmentation import AUPRO_LIMIT, DEFECT, SegmentationEvaluator, SegmentationFigures

FLAGGED = 0.05  # share of the normal test pictures that a threshold may flag, where the test itself sets it


@dataclass
class Watched:
    """What a method said of the pictures that it could read.

    pictures, seen : (n,) each; unreadable : the others, and those whose mask cannot be used.
    segmentation : how well its maps show the defects, None without maps."""

    pictures: list[LabelledPicture] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    unreadable: list[Row] = field(default_factory=list)
    segmentation: SegmentationFigures | None = None

    @property
    def truth(self) -> Flags:
        """Whether each picture is anomalous, (n,)."""
        return np.array([picture.is_anomalous for picture in self.pictures], bool)

    @property
    def scores(self) -> Scores:
        """The anomaly score of each, (n,)."""
        return np.array([one.score for one in self.seen], np.float64)

    def roc_auc(self) -> float:
        """Return the ROC AUC of the scores.  Raises InputError unless pictures of both sorts could be read."""
        if self.truth.all() or not self.truth.any():
            raise InputError("of both normal and anomalous pictures to test, at least one must be readable")
        return roc_auc(self.scores, self.truth)

    def decided(self, rate: float) -> tuple[float, float] | None:
        """Return the shares of anomalous and of normal pictures that are flagged at a rate, averaged over parts; None
        of a method that decides nothing."""
        flagged = self._flagged(rate)
        return None if flagged is None else (self._share(flagged, self.truth), self._share(flagged, ~self.truth))

    def figures(self, rate: float | None) -> Iterator[tuple[str, float]]:
        """Give figures by name, each in [0, 1]; rate : that the method decides at."""
        if self.segmentation is not None and (pixels := self.segmentation.pixels) is not None:
            yield "ROC AUC of pixels", pixels.roc_auc
            yield f"AUPRO up to {AUPRO_LIMIT}", pixels.aupro
            yield "best F1 of pixels", pixels.best_f1
            if pixels.seg_f1 is not None:
                yield "F1 of pixels in regions", pixels.seg_f1
        yield f"found where {FLAGGED:.0%} of normal ones are flagged", self._found_beside(FLAGGED)
        if rate is not None and (shares := self.decided(rate)) is not None:
            yield "found", shares[0]
            yield "false alarms", shares[1]
        regions = [one.has_region for one in self.seen]
        if None not in regions:
            yield "normal pictures with a region", self._share(np.array(regions, bool), ~self.truth)

    def by_defect(self, rate: float | None) -> Iterator[tuple[str, float]]:
        """Give figures by name, of each kind of defect and each class of area; rate : as for `figures`."""
        truth, scores = self.truth, self.scores
        kinds = np.array([picture.kind or DEFECT for picture in self.pictures])
        flagged = None if rate is None else self._flagged(rate)
        for kind in sorted(set(kinds[truth].tolist())):
            own = truth & (kinds == kind)
            yield f"{kind}: ROC AUC", roc_auc(scores[~truth | own], truth[~truth | own])
            if flagged is not None:
                yield f"{kind}: found", float(flagged[own].mean())
            if self.segmentation is not None and (pixels := self.segmentation.by_kind[kind].pixels) is not None:
                yield f"{kind}: AUPRO", pixels.aupro
        for area, group in ({} if self.segmentation is None else self.segmentation.by_area).items():
            if group.n_found is not None and group.n_pictures:
                yield f"{area}: found", group.n_found / group.n_pictures
            if group.pixels is not None:
                yield f"{area}: AUPRO", group.pixels.aupro

    def _flagged(self, rate: float) -> Flags | None:
        p_values = [one.p_value for one in self.seen]
        return None if None in p_values else np.array(p_values, np.float64) <= rate

    def _found_beside(self, share: float) -> float:
        """Return the share of anomalous pictures that score above all normal ones but for a share of these."""
        normal = np.sort(self.scores[~self.truth])[::-1]
        return float((self.scores[self.truth] > normal[int(share * len(normal))]).mean())

    def _share(self, flags: Flags, of: Flags) -> float:
        return share_of(flags, of, weights_of(self.truth, [picture.part for picture in self.pictures]))


def watch(fitted: Fitted, pictures: Sequence[LabelledPicture]) -> Watched:
    """Ask a method that has learnt about pictures, and compare its maps with their masks."""
    watched = Watched()
    evaluator = SegmentationEvaluator(None if fitted.threshold is None else first_in_a_region(fitted.threshold))
    has_maps = False
    for picture, seen in zip(pictures, fitted.see(pictures), strict=True):
        if isinstance(seen, str):
            watched.unreadable.append(Row(picture.name, error=seen))
            continue
        watched.pictures.append(picture)
        if seen.anomaly_map is not None:
            has_maps = True
            is_found = None if fitted.rate is None or seen.p_value is None else seen.p_value <= fitted.rate
            try:
                count(evaluator, seen, Defect(picture.kind, picture.mask), picture.is_anomalous, is_found)
            except (InputError, UnreadableItem) as error:
                watched.unreadable.append(Row(picture.name, error=str(error)))
        watched.seen.append(seen._replace(anomaly_map=None))  # which is large
    if has_maps:
        watched.segmentation = evaluator.figures()
    return watched
