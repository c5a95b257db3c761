"""Data sets whose folders name the split and the kind of defect: MVTec AD, MVTec AD 2, BTech, and plain folders."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from dn2.errors import UnreadableItem
from dn2.kinds.image.labelled.masks import Mask
from dn2.kinds.image.labelled.pairs import MaskFolder, called, list_pictures, pair_beside, pictures_in, subfolders
from dn2.kinds.image.labelled.sets import Gathering, LabelledPicture, LabelledSet
from dn2.kinds.image.layout import GOOD, OTHERS
from dn2.results.words import join_words

logger = logging.getLogger("dn2")

SPLITS = {"train": "train", "validation": "validation", "test": "test", "test_public": "test"}
GROUND_TRUTH = "ground_truth"


def has_splits(folder: Path) -> bool:
    """Tell whether a folder holds `train` or `test` with normal pictures in a folder of their own."""
    return any(called(subfolders(folder / split), GOOD) for split in SPLITS)


def read_splits(folder: Path, masks: Path | None) -> LabelledSet:
    """Read `SPLIT/KIND/` with masks in `ground_truth/KIND/`, of MVTec AD 2 in `test_public/ground_truth/KIND/`.

    MVTec AD 2 shows each scene under several lights, in files named `SCENE_LIGHT`: there a scene is a part.
    masks : the folder of the masks, where they lie elsewhere."""
    is_second = (folder / "test_public").is_dir()
    is_btech = not is_second and (folder / "train" / "ok").is_dir()
    set_read = Gathering("MVTec AD 2" if is_second else "BTech" if is_btech else "MVTec AD", folder, folder)
    given = None if masks is None else MaskFolder(masks)
    if others := [name for name in subfolders(folder) if name not in (*SPLITS, GROUND_TRUTH)]:
        logger.info("%s: %s passed over, which have no labels", folder, join_words(others))
    mask_folders = [] if given is None else [given]
    for split in SPLITS:
        beside = folder / split if split == "test_public" else folder
        for path in pictures_in(folder / split):
            set_read.errors[set_read.name_of(path)] = (
                "it must lie in the folder of a kind, as good, and lies beside them"
            )
        for kind in subfolders(folder / split):
            if kind == GROUND_TRUTH:
                continue
            is_anomalous = not called([kind], GOOD)
            found = given
            if found is None and is_anomalous:
                found = MaskFolder(beside / GROUND_TRUTH / kind)
                mask_folders.append(found)
            inner = folder / split / kind
            for path in list_pictures(inner):
                part = f"{split}/{kind}/{path.stem.partition('_')[0]}" if is_second else None
                picture = LabelledPicture(
                    set_read.name_of(path), path, SPLITS[split], is_anomalous, kind if is_anomalous else None, part=part
                )
                within = PurePosixPath(set_read.name_of(path) if given else path.relative_to(inner).as_posix())
                _add(set_read, picture, found, within)
    set_read.unused_masks = [path for one in mask_folders for path in one.unused]
    return set_read.finish()


def has_classes(folder: Path) -> bool:
    """Tell whether a folder holds one of normal pictures, and beside it one of others."""
    names = subfolders(folder)
    return bool(called(names, GOOD) and _anomalous(names))


def read_classes(folder: Path, masks: Path | None) -> LabelledSet:
    """Read `normal/` and `anomalous/`, or in place of this one folder for each kind of defect.

    Folders below `anomalous/` are kinds of defects, too.
    masks : the folder of the masks; by default `masks/`, or that of another such name, or beside each picture."""
    set_read = Gathering("folders of normal and anomalous pictures", folder, folder)
    names = subfolders(folder)
    own = called(names, OTHERS["masks"])
    if masks is None and own:
        masks = folder / own[0]
    found = None if masks is None else MaskFolder(masks)
    are_masks = set() if found is None else set(found.paths)
    for name in [*called(names, GOOD), *_anomalous(names)]:
        is_anomalous = not called([name], GOOD)
        inner = folder / name
        paths = [path for path in list_pictures(inner) if path not in are_masks]
        for path, mask in pair_beside(paths) if found is None else [(path, None) for path in paths]:
            kind = _kind_in(inner, path) if is_anomalous else None
            picture = LabelledPicture(
                set_read.name_of(path), path, None, is_anomalous, kind, None if mask is None else Mask(mask)
            )
            _add(set_read, picture, found, PurePosixPath(picture.name))
    set_read.unused_masks = [] if found is None else found.unused
    return set_read.finish()


def _kind_in(folder: Path, path: Path) -> str | None:
    """Return the kind of defect of a picture below a folder, whose own name is the kind unless it means any defect."""
    if called([folder.name], OTHERS["defects"]):
        kind = path.relative_to(folder).parent.as_posix()
        return None if kind == "." else kind
    return folder.name


def _anomalous(names: Iterable[str]) -> list[str]:
    return [name for name in names if not called([name], GOOD | OTHERS["masks"] | OTHERS["tests"])]


def _add(set_read: Gathering, picture: LabelledPicture, found: MaskFolder | None, within: PurePosixPath) -> None:
    """Add a picture with its mask; within : its path as the masks' folder has it."""
    try:
        mask = None if found is None else found.find(within)
    except UnreadableItem as error:
        set_read.errors[picture.name] = str(error)
        return
    set_read.pictures.append(picture if mask is None else replace(picture, mask=Mask(mask)))
