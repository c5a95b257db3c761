"""KolektorSDD and KolektorSDD2, whose pictures lie beside masks that alone say whether there is a defect."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from dn2.errors import UnreadableItem
from dn2.kinds.image.labelled.masks import Mask
from dn2.kinds.image.labelled.pairs import list_pictures, pair_beside, subfolders
from dn2.kinds.image.labelled.sets import Gathering, LabelledPicture, LabelledSet

SPLITS = ("train", "test")


def is_first(folder: Path) -> bool:
    """Tell whether a folder is laid out as KolektorSDD: `kos01/Part0.jpg` beside `kos01/Part0_label.bmp`."""
    return any(folder.glob("*/*_label.bmp"))


def is_second(folder: Path) -> bool:
    """Tell whether a folder is laid out as KolektorSDD2: `train/10000.png` beside `train/10000_GT.png`."""
    return any(chain.from_iterable((folder / split).glob("*_GT.png") for split in SPLITS))


def read_first(folder: Path) -> LabelledSet:
    """Read KolektorSDD: a folder is a part, photographed from several sides; there is no split."""
    set_read = Gathering("KolektorSDD", folder, folder)
    for part in subfolders(folder):
        _add(set_read, folder / part, None, part)
    return set_read.finish()


def read_second(folder: Path) -> LabelledSet:
    """Read KolektorSDD2: a folder is a split."""
    set_read = Gathering("KolektorSDD2", folder, folder)
    for split in SPLITS:
        if (folder / split).is_dir():
            _add(set_read, folder / split, split, None)
    return set_read.finish()


def _add(set_read: Gathering, folder: Path, split: str | None, part: str | None) -> None:
    for path, mask_path in pair_beside(list_pictures(folder)):
        name = set_read.name_of(path)
        if mask_path is None:
            set_read.errors[name] = "no mask lies beside it, which alone says whether it has a defect"
            continue
        mask = Mask(mask_path)
        try:
            is_anomalous = bool(mask.read().any())
        except UnreadableItem as error:
            set_read.errors[name] = str(error)
        else:
            set_read.pictures.append(LabelledPicture(name, path, split, is_anomalous, None, mask, part))
