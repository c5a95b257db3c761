"""VisA as published: `Data/Images/{Normal,Anomaly}`, `Data/Masks/Anomaly`, kinds in `image_anno.csv`, splits beside."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from dn2.errors import InputError, UnreadableItem
from dn2.inputs.csv_files import open_csv
from dn2.kinds.image.labelled.masks import Mask
from dn2.kinds.image.labelled.pairs import MaskFolder, list_pictures
from dn2.kinds.image.labelled.sets import Gathering, LabelledPicture, LabelledSet
from dn2.system.naming import absolute

IMAGES, MASKS = PurePosixPath("Data/Images"), PurePosixPath("Data/Masks/Anomaly")
FOLDERS = {"Normal": False, "Anomaly": True}
KINDS_FILE, SPLIT_FILE = "image_anno.csv", "split_csv/1cls.csv"
SPLITS = ("train", "test")


def is_visa(folder: Path) -> bool:
    """Tell whether a folder is laid out as a category of VisA."""
    return any((folder / IMAGES / name).is_dir() for name in FOLDERS)


def read_visa(folder: Path) -> LabelledSet:
    """Read a category of VisA.

    The split is that for one class, `split_csv/1cls.csv` beside the category, where it is there; the kinds of defects
    are those of `image_anno.csv`, where several are joined by commas.
    Raises InputError if one of these files is there and cannot be used."""
    set_read = Gathering("VisA", folder, folder)
    whole = Path(absolute(folder))  # which has a name and a parent, as `.` has not
    kinds = _column_by_image(whole / KINDS_FILE, whole.name, "label")
    splits = _column_by_image(whole.parent / SPLIT_FILE, whole.name, "split")
    masks = MaskFolder(folder / MASKS)
    for name, is_anomalous in FOLDERS.items():
        for path in list_pictures(folder / IMAGES / name):
            picture_name = set_read.name_of(path)
            within = path.relative_to(folder / IMAGES / name).as_posix()
            try:
                mask = masks.find(PurePosixPath(within)) if is_anomalous else None
                split = _split(splits, picture_name)
            except UnreadableItem as error:
                set_read.errors[picture_name] = str(error)
                continue
            kind = kinds.get(picture_name) if is_anomalous and kinds else None
            found = None if mask is None else Mask(mask)
            set_read.pictures.append(LabelledPicture(picture_name, path, split, is_anomalous, kind, found))
    set_read.unused_masks = masks.unused
    return set_read.finish()


def _split(splits: dict[str, str] | None, name: str) -> str | None:
    """Return the split of a picture, None where there are no splits.  Raises UnreadableItem."""
    if splits is None:
        return None
    if splits.get(name) not in SPLITS:
        raise UnreadableItem(f"{SPLIT_FILE} must say train or test for each picture, got {splits.get(name)!r:.80}")
    return splits[name]


def _column_by_image(path: Path, category: str, column: str) -> dict[str, str] | None:
    """Read a column by the column `image`, for the rows of a category, whose name its paths begin with; None without a
    file.

    These paths lead nowhere: without the category they are compared with the names of pictures."""
    if not path.exists():
        return None
    file = open_csv(path)
    names = ["image", column]
    if missing := [name for name in names if name not in file.names]:
        raise InputError(f"{path} must have the columns image and {column}, and has no {missing[0]}")
    columns = file.read(names, names, verbatim=names).columns
    images, values = columns["image"], columns[column]
    assert images is not None  # as a column of texts always is
    assert values is not None
    found = {
        str(image).removeprefix(f"{category}/"): str(value).strip()
        for image, value in zip(images, values, strict=True)
        if image is not None and value is not None and str(image).startswith(f"{category}/")
    }
    if not found:
        raise InputError(f"{path} must name pictures of {category}, the name of their folder, and names none")
    return found
