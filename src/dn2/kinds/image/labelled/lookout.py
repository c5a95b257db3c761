"""Manifests of Amazon Lookout for Vision: JSON Lines that name pictures, labels and masks; nothing is fetched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dn2.errors import InputError, UnreadableItem
from dn2.inputs.json_files import read_records
from dn2.kinds.image.labelled.masks import Mask, read_color_map
from dn2.kinds.image.labelled.sets import Gathering, LabelledPicture, LabelledSet
from dn2.system.interface import option
from dn2.system.naming import find_spelling, is_possible

S3 = "s3://"
LONGEST_KEY = 1024  # bytes of a key in S3
SOURCE, METADATA, REFERENCE = "source-ref", "-metadata", "-ref"
LABEL, MASK = "anomaly-label", "anomaly-mask-ref"
CLASSES = {"normal": False, "anomaly": True}


def read_manifest(path: Path, images: Path) -> LabelledSet:
    """Read a manifest; a line that cannot be used is an error, named by its number.

    images : the folder that holds the objects of the bucket; an object is the file at the longest end of its key that
        is there.
    Raises InputError if the manifest cannot be read, or no line can be used."""
    if not images.is_dir():
        raise InputError(f"{option('images')} names the folder of the pictures in {path}, got {images}, which is none")
    set_read = Gathering("manifest of Lookout for Vision", images, path)
    lines: dict[Path, int] = {}
    for number, record, problem in read_records(path):
        try:
            picture = _read(_check_record(record, problem), images)
            if picture.path in lines:
                raise UnreadableItem(
                    f"each line names a picture of its own, and line {lines[picture.path]:,} leads to {picture.path}, "
                    "too"
                )
        except UnreadableItem as error:
            set_read.errors[f"line {number}"] = str(error)
            continue
        lines[picture.path] = number
        set_read.pictures.append(picture)
    return set_read.finish()


def _check_record(record: Any, problem: str | None) -> Mapping[str, Any]:
    if problem is not None:
        raise UnreadableItem(problem)
    if not isinstance(record, dict):
        raise UnreadableItem(f"a line is an object with {SOURCE}, got {type(record).__name__}")
    return record


def _read(record: Mapping[str, Any], images: Path) -> LabelledPicture:
    """Read one line.  Raises UnreadableItem."""
    path = _find(record.get(SOURCE), SOURCE, images)
    is_anomalous = _label(record)
    mask = _mask(record, images)
    kind = None
    if is_anomalous and mask is not None and mask.color_map is not None:
        several = len(set(mask.color_map.kinds.values())) > 1
        kind = ", ".join(mask.kinds() if several else mask.color_map.kinds.values()) or None
    return LabelledPicture(path.relative_to(images).as_posix(), path, None, is_anomalous, kind, mask)


def _label(record: Mapping[str, Any]) -> bool:
    """Return whether a picture is anomalous, by the `class-name` alone.

    The number is not used, as Lookout's documentation says, whose own manifests turn it around."""
    found = {
        key.removesuffix(METADATA): value
        for key, value in record.items()
        if key.endswith(METADATA) and not key.endswith(REFERENCE + METADATA) and isinstance(value, dict)
    }
    if len(found) > 1 and LABEL in found:
        found = {LABEL: found[LABEL]}
    if len(found) != 1:
        raise UnreadableItem(f"a line has one label with metadata, such as {LABEL}{METADATA}, got {len(found):,}")
    (metadata,) = found.values()
    name = metadata.get("class-name")
    if not isinstance(name, str) or name not in CLASSES:
        raise UnreadableItem(f"its class-name must be normal or anomaly, got {name!r:.80}")
    return CLASSES[name]


def _mask(record: Mapping[str, Any], images: Path) -> Mask | None:
    found = [key for key in record if key.endswith(REFERENCE) and key != SOURCE]
    if len(found) > 1 and MASK in found:
        found = [MASK]
    if not found:
        return None
    if len(found) > 1:
        raise UnreadableItem(f"a line has one mask, such as {MASK}, got {len(found):,}")
    metadata = record.get(found[0] + METADATA)
    if not isinstance(metadata, dict):
        raise UnreadableItem(f"a mask has its internal-color-map in {found[0] + METADATA:.80}, and there is none")
    color_map = read_color_map(metadata.get("internal-color-map"))
    return Mask(_find(record[found[0]], found[0], images), color_map)


def _find(address: Any, name: str, images: Path) -> Path:
    """Return the file at the longest end of a key that is there.  Raises UnreadableItem."""
    if not isinstance(address, str) or not address.startswith(S3):
        raise UnreadableItem(f"{name:.80} must be an address such as {S3}BUCKET/KEY, got {address!r:.80}")
    key = address.removeprefix(S3).partition("/")[2]
    parts = key.split("/")
    # A part that the system reads as more than a name would lead out of the folder.
    if any(part in ("", ".", "..") or Path(part).name != part for part in parts) or not is_possible(key):
        raise UnreadableItem(f"{name:.80} must lead to a file below the folder of the pictures, got {address!r:.80}")
    if len(os.fsencode(key)) > LONGEST_KEY:
        raise UnreadableItem(f"a key must have at most {LONGEST_KEY:,} bytes, got {len(os.fsencode(key)):,}")
    for first in range(len(parts)):
        path = Path(find_spelling(str(images.joinpath(*parts[first:]))))
        if path.is_file():
            return path
    raise UnreadableItem(
        f"no end of the key {key!r:.200} is a file in {images}; name the folder of the pictures with {option('images')}"
    )
