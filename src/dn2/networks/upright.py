"""Pictures turned as their metadata says."""

from __future__ import annotations

from contextlib import suppress

from PIL import Image, ImageOps

from dn2.networks.limits import MAX_EXIF_BYTES

EXIF_TEXT = "Raw profile type exif"  # the key of EXIF that a PNG holds as a text


def turn_upright(image: Image.Image) -> None:
    """Turn a decoded picture as its metadata says; one whose metadata is damaged or too large stays as it lies."""
    if _has_too_much_exif(image):
        _drop_exif(image)
    with suppress(Exception):  # of damaged metadata; what was read before the damage counts
        image.getexif()
    _drop_exif(image)  # which is in memory now, and need not be written anew
    ImageOps.exif_transpose(image, in_place=True)


def upright_copy(image: Image.Image) -> Image.Image:
    """Return a copy of a picture of Pillow, turned as `turn_upright` does."""
    with suppress(Exception):
        if not _has_too_much_exif(image):
            return ImageOps.exif_transpose(image)
    return image.copy()


def _has_too_much_exif(image: Image.Image) -> bool:
    exif = image.info.get("exif") or image.info.get(EXIF_TEXT, "")
    return len(exif) > MAX_EXIF_BYTES * (1 if isinstance(exif, bytes) else 2)  # in hexadecimal


def _drop_exif(image: Image.Image) -> None:
    for key in ("exif", EXIF_TEXT):
        image.info.pop(key, None)
