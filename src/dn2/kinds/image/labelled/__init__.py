"""Labelled data sets of pictures, read as they are laid out: what is normal, what is not, and where the defects are.

The layouts were checked against stored copies of public readers and documents.
MVTec AD and MVTec AD 2: anomalib's readers; the files `SCENE_LIGHT.png` of the latter: notes of those who read it.
BTech: anomalib's reader, which expects masks as PNG, and another that has them as BMP; both are read.
VisA: `prepare_data.py` of amazon-science/spot-diff, which makes every number but 0 of a mask a defect; for the columns
of its CSV files other public readers.
KolektorSDD: anomalib's reader; KolektorSDD2: that of its authors, vicoslab/mixed-segdec-net-comind2021.
Manifests: "Defining JSON lines for image segmentation" in the developer guide of Lookout for Vision."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from dn2.errors import InputError
from dn2.kinds.image.labelled import kolektor
from dn2.kinds.image.labelled.folders import has_classes, has_splits, read_classes, read_splits
from dn2.kinds.image.labelled.lookout import read_manifest
from dn2.kinds.image.labelled.pairs import subfolders
from dn2.kinds.image.labelled.sets import LabelledSet
from dn2.kinds.image.labelled.visa import is_visa, read_visa
from dn2.system.interface import option

# Layouts that take masks from a folder as well, and then those that have their own; the first that fits is read.
ANY_MASKS: tuple[tuple[Callable[[Path], bool], Callable[[Path, Path | None], LabelledSet]], ...] = (
    (has_splits, read_splits),
    (has_classes, read_classes),
)
OWN_MASKS: tuple[tuple[Callable[[Path], bool], Callable[[Path], LabelledSet]], ...] = (
    (is_visa, read_visa),
    (kolektor.is_second, kolektor.read_second),
    (kolektor.is_first, kolektor.read_first),
)
EXPECTED = (
    "train/good and test/KIND (MVTec AD, BTech), test_public/ (MVTec AD 2), Data/Images/Normal (VisA), "
    "kos01/Part0_label.bmp (KolektorSDD), train/1_GT.png (KolektorSDD2), normal/ and anomalous/, or a manifest of "
    "Lookout for Vision"
)
MOST_NAMED = 20


def read_labelled(
    folder: str | os.PathLike[str],
    category: str | None = None,
    masks: str | os.PathLike[str] | None = None,
    images: str | os.PathLike[str] | None = None,
) -> LabelledSet:
    """Read a labelled data set by its layout.

    Parameters
    ----------
    folder : path
        The data set, one category of it, or a manifest.
    category : str, optional
        Which category of several.
    masks : path, optional
        A folder of masks, for plain folders and those of MVTec AD: each at its picture's path, or as much of the end of
        that as there is, with `_mask`, `_GT`, `_label` or nothing after the name.
    images : path, optional
        The folder with the pictures and masks of a manifest, by default the manifest's own.

    Returns
    -------
    LabelledSet
        Its pictures, and what could not be used.  What does not fit together is warned of.

    Raises
    ------
    InputError
        If the layout is none that is known, a category must be chosen, or there is no picture."""
    place = Path(folder)
    if place.is_file():
        _refuse(f"the manifest {place}", category=category, masks=masks)
        return read_manifest(place, place.parent if images is None else Path(images))
    _refuse("a folder", images=images)
    if not place.is_dir():
        raise InputError(f"{place} must be the folder of a labelled data set, or a manifest; nothing is there")
    if masks is not None and not Path(masks).is_dir():
        raise InputError(f"{option('masks')} names a folder of masks, got {os.fspath(masks)!r}, which is none")
    return _read(_choose(place, category), None if masks is None else Path(masks))


def _refuse(what: str, **given: object) -> None:
    """Refuse options that do not belong to what is read."""
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{option(name)} does not belong to {what}; leave it out")


def _is_known(folder: Path) -> bool:
    return any(fits(folder) for fits, _ in (*ANY_MASKS, *OWN_MASKS))


def find_categories(folder: str | os.PathLike[str]) -> list[str]:
    """Return the names of the categories of a data set; none where it is a single one."""
    place = Path(folder)
    return [] if _is_known(place) else [name for name in subfolders(place) if _is_known(place / name)]


def _choose(folder: Path, category: str | None) -> Path:
    """Return the folder of the data set, or of the category in it that is asked for or the only one."""
    if _is_known(folder):
        _refuse(f"{folder}, which is one data set", category=category)
        return folder
    categories = find_categories(folder)
    if category is None and len(categories) == 1:
        return folder / categories[0]
    if category in categories:
        return folder / str(category)
    if categories:
        came = "" if category is None else f", got {category!r}"
        way_out = option("category", categories[0])
        raise InputError(f"{folder} holds the categories {_list(categories)}; choose one, as by {way_out}{came}")
    held = subfolders(folder)
    raise InputError(
        f"{folder} must be laid out as a labelled data set: {EXPECTED}; it holds "
        f"{'the folders ' + _list(held) if held else 'no folder'}"
    )


def _read(folder: Path, masks: Path | None) -> LabelledSet:
    for fits, read in ANY_MASKS:
        if fits(folder):
            return read(folder, masks)
    _refuse(f"{folder}, which has masks of its own", masks=masks)
    return next(read for fits, read in OWN_MASKS if fits(folder))(folder)


def _list(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
