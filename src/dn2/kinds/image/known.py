"""Pictures whose truth is known: which are normal, and where the defects of the others are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dn2.errors import InputError, UnreadableItem
from dn2.inputs.items import Item
from dn2.kinds.exchange import KnownItems
from dn2.kinds.image.evidence import RegionEvidence
from dn2.kinds.image.labelled import read_labelled
from dn2.kinds.image.labelled.masks import Mask
from dn2.kinds.image.labelled.pairs import WHERE_MASKS_LIE, FoundMask, MaskFolder, refuse_shared
from dn2.kinds.image.labelled.sets import LabelledPicture, LabelledSet
from dn2.kinds.image.reading import FoundImages
from dn2.neighbors.patches.joining import resize
from dn2.results.rows import Row
from dn2.results.segmentation import SegmentationEvaluator, SegmentationFigures
from dn2.results.words import count_in_words
from dn2.system.interface import option

logger = logging.getLogger("dn2")


@dataclass(frozen=True)
class Defect:
    """What is known of the defects of a picture: their kind, and where they are; problem : why that is not known."""

    kind: str | None = None
    mask: Mask | None = None
    problem: str | None = None


def read_known(kind: Any, data: Any, category: str | None, images: Any, masks: Any) -> KnownItems:
    """Read the pictures of a labelled data set that are to be tested: see `dn2.kinds.image.labelled.read_labelled`.

    Raises InputError unless there are normal and anomalous ones, for masks that a model cannot be compared with, and
    for a model of groups."""
    if kind.pooling is not None:
        raise InputError(
            f"a labelled data set holds single pictures, and the model compares groups: give {option('normal')} and "
            f"{option('anomalous')}"
        )
    if masks is not None:
        _check_regions(kind)
    found = read_labelled(data, category, masks, images)
    pictures = [[one for one in tested(found) if one.is_anomalous is truth] for truth in (False, True)]
    if not all(pictures):
        raise InputError(
            f"{found.folder}, read as {found.layout}, must hold normal and anomalous pictures to test, got "
            f"{len(pictures[0]):,} and {len(pictures[1]):,}"
        )
    normal, anomalous = (FoundImages([one.item for one in of_truth]) for of_truth in pictures)
    defects = [[Defect(one.kind, one.mask) for one in of_truth] for of_truth in pictures]
    return KnownItems(normal, anomalous, (defects[0], defects[1]), found.errors)


def tested(found: LabelledSet) -> list[LabelledPicture]:
    """Return the pictures of a data set that test a model: those of its test, or all where it has no split."""
    has_split = any(one.split is not None for one in found.pictures)
    return [one for one in found.pictures if not has_split or one.split == "test"]


def with_masks(kind: Any, known: KnownItems, masks: Any) -> KnownItems:
    """Find the masks of pictures in a folder, as `read_labelled` does; the kind of a defect is the folder in which its
    picture lies, where there are several.

    Raises InputError for a model without regions, and unless an anomalous picture has a mask."""
    _check_regions(kind)
    if not Path(masks).is_dir():
        raise InputError(f"{option('masks')} names a folder of masks, got {masks!s:.200}, which is none")
    folder, (normal, anomalous) = MaskFolder(Path(masks)), _items(known)
    found = folder.find_each([*normal, *anomalous])
    of_normal, of_anomalous = found[: len(normal)], found[len(normal) :]
    if not any(mask.path for mask in of_anomalous):
        problems = [mask.problem for mask in of_anomalous if mask.problem]
        raise InputError(
            f"{masks} must hold masks of the anomalous pictures, each {WHERE_MASKS_LIE}; {known.anomalous.names[0]} "
            "has none" + (f": {problems[0]}" if problems else "")
        )
    if folder.unused:
        words = count_in_words(len(folder.unused), "mask belongs", "masks belong")
        logger.warning("%s: %s to no picture, such as %s", masks, words, folder.unused[0])
    defects = [
        [_defect(*pair, is_anomalous) for pair in zip(items, masks_found, strict=True)]
        for items, masks_found, is_anomalous in (
            (normal, of_normal, False),
            (anomalous, refuse_shared(of_anomalous), True),
        )
    ]
    return replace(known, defects=(defects[0], defects[1]))


def segment(
    kind: Any, known: KnownItems, rows: tuple[Sequence[Row], Sequence[Row]], rate: float
) -> tuple[SegmentationFigures | None, list[Row]]:
    """Compare the anomaly maps of scored pictures with what is known of their defects.

    rows : of the normal and of the anomalous pictures; rate : the false-alarm rate to decide at.
    Returns figures, None of a model without regions, and a row for each picture whose mask cannot be used: that
    counts for no figure of pixels."""
    if kind.evidence is not RegionEvidence or known.defects is None:
        return None, []
    evaluator = SegmentationEvaluator(first_in_a_region(kind.learnt.threshold(rate)))
    problems = []
    for is_anomalous, of_truth, defects in zip((False, True), rows, known.defects, strict=True):
        for row, defect in zip(of_truth, defects, strict=True):
            if row.p_value is None:
                continue
            try:
                count(evaluator, row.evidence, defect, is_anomalous, row.p_value <= rate)
            except (InputError, UnreadableItem) as error:
                problems.append(Row(row.item, error=str(error)))
                if is_anomalous:
                    count(evaluator, row.evidence, Defect(defect.kind), True, row.p_value <= rate)
    return evaluator.figures(), problems


def first_in_a_region(threshold: float) -> float:
    """Return the lowest value of a map, in float32, that lies in a region, of the highest one that does not."""
    return float(np.nextafter(np.float32(threshold), np.float32(np.inf)))


def count(
    evaluator: SegmentationEvaluator, found: Any, defect: Defect, is_anomalous: bool, is_found: bool | None
) -> None:
    """Count the anomaly map of one picture at the pixels of the picture; found : its `anomaly_map` and its `size`.

    Raises UnreadableItem, InputError, and counts nothing, for a mask that cannot be used."""
    width, height = found.size
    if defect.problem is not None:
        raise UnreadableItem(defect.problem)
    mask = None if defect.mask is None else defect.mask.read(found.size)
    evaluator.add(resize(found.anomaly_map, height, width), mask, is_anomalous, defect.kind, is_found)


def _check_regions(kind: Any) -> None:
    if kind.evidence is not RegionEvidence:
        raise InputError(
            f"masks are compared with where a model finds defects, and this one compares whole {kind.many}: leave out "
            f"{option('masks')}, or fit a model with {option('patches')}"
        )


def _items(known: KnownItems) -> tuple[Sequence[Item], Sequence[Item]]:
    found: Any = known  # of pictures, which are items
    return found.normal.items, found.anomalous.items


def _defect(item: Item, found: FoundMask, is_anomalous: bool) -> Defect:
    """Return what is known of the defects of a picture; their kind is the folder in which it lies, if any."""
    within = PurePosixPath(item.name).parent.as_posix() if item.in_folder else "."
    kind = within if is_anomalous and within != "." else None
    return Defect(kind, None if found.path is None else Mask(found.path), found.problem)
