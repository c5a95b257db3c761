"""Scores of items that are known to be normal or anomalous."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from dn2.arrays import Flags, Progress, Scores
from dn2.errors import InputError
from dn2.kinds.exchange import KnownItems
from dn2.kinds.kind import Kind
from dn2.kinds.registry import room_of
from dn2.model.scoring import check_apart, find_items
from dn2.results.evaluation import Evaluation, evaluate, share_of, weights_of
from dn2.results.rows import Row
from dn2.results.segmentation import SegmentationFigures
from dn2.system.interface import option

logger = logging.getLogger("dn2")

REFERENCE_ITEMS = (
    "%d of %d %s items are reference items, or copies of them: such an item has itself as a neighbour, and the figures "
    "are not those of new items; keep some items back from fit, and give those"
)


class KnownScores(NamedTuple):
    """Scores, p-values and truth of n items, (n,) each.

    unreadable : rows of the unreadable items, which are left out.
    normal_reference, anomalous_reference : how many items are reference items, or copies of them.
    parts : (n,) what the items belong to, where the model tells it.
    has_regions : (n,) whether a region is found in each, where the truth says where defects are.
    segmentation : how well regions show that."""

    scores: Scores
    p_values: Scores
    is_anomalous: Flags
    unreadable: list[Row]
    normal_reference: int
    anomalous_reference: int
    parts: Sequence[str | None] | None = None
    has_regions: Flags | None = None
    segmentation: SegmentationFigures | None = None

    def evaluate(self, rate: float, warn_rate: float | None = None) -> Evaluation:
        """Compare with the truth, decided at a rate, and warn of reference items.  Raises InputError unless
        both classes have items."""
        figures = evaluate(self.scores, self.p_values, self.is_anomalous, rate, warn_rate, self.parts)
        if self.normal_reference:
            logger.warning(REFERENCE_ITEMS, self.normal_reference, figures.n_normal, "normal")
        if self.anomalous_reference:
            logger.warning(REFERENCE_ITEMS, self.anomalous_reference, figures.n_anomalous, "anomalous")
        with_regions = None
        if self.has_regions is not None:
            with_regions = share_of(self.has_regions, ~self.is_anomalous, weights_of(self.is_anomalous, self.parts))
        return replace(
            figures,
            normal_reference=self.normal_reference,
            anomalous_reference=self.anomalous_reference,
            with_regions=with_regions,
            segmentation=self.segmentation,
        )


class Truth(NamedTuple):
    """What a person says of the truth: items of each sort, or a labelled data set; and where masks lie."""

    normal: Any = None
    anomalous: Any = None
    data: Any = None
    category: str | None = None
    images: Any = None
    masks: Any = None

    def find(self, kind: Kind[Any], progress: Progress | None) -> KnownItems:
        """Find the items.

        Raises InputError unless either both sorts are given or a data set, for what does not belong to these, and for
        a file that is given as both normal and anomalous."""
        room = room_of(kind.name, "known")
        if self.data is None:
            return self._find_both(kind, room, progress)
        self._refuse(f"the labelled data set {self.data!s:.200}", "normal", "anomalous")
        if room is None:
            raise InputError(f"labelled data sets are of pictures: give {self._both}, of {kind.many} that are known")
        known: KnownItems = room.read_known(kind, self.data, self.category, self.images, self.masks)
        return known

    def _find_both(self, kind: Kind[Any], room: Any, progress: Progress | None) -> KnownItems:
        if self.normal is None or self.anomalous is None:
            raise InputError(f"give {self._both}, items of which it is known, or a labelled data set of pictures")
        self._refuse(self._both, "category", "images")
        if self.masks is not None and room is None:
            raise InputError(f"masks are of pictures, and the items here are {kind.many}: leave out {option('masks')}")
        known = KnownItems(find_items(kind, self.normal, progress), find_items(kind, self.anomalous, progress))
        check_apart(known.normal, known.anomalous)
        if self.masks is not None:
            known = room.with_masks(kind, known, self.masks)
        return known

    @property
    def _both(self) -> str:
        return f"{option('normal')} and {option('anomalous')}"

    def _refuse(self, what: str, *names: str) -> None:
        for name in names:
            if getattr(self, name) is not None:
                raise InputError(f"{option(name)} does not go together with {what}: leave one of them out")


def segment(
    kind: Kind[Any], known: KnownItems, rows: Sequence[Sequence[Row]], rate: float
) -> tuple[SegmentationFigures | None, Flags | None, list[Row]]:
    """Compare the regions of scored items with what is known of their defects.

    rows : of the normal and of the anomalous items; rate : the false-alarm rate to decide at.
    Returns figures, whether each item with a p-value has a region, both None where nothing is known or no region is
    found by such a model, and a row for each item whose truth cannot be used."""
    if known.defects is None:
        return None, None, []
    figures, problems = room_of(kind.name, "known").segment(kind, known, rows, rate)
    if figures is None:
        return None, None, problems
    decided = [row for rows_of_truth in rows for row in rows_of_truth if row.p_value is not None]
    return figures, np.array([bool(row.regions) for row in decided]), problems
