"""What bytes are that no decoder takes, in words."""

from __future__ import annotations

import re

from PIL import Image, features

from dn2.networks.limits import PictureBytes
from dn2.networks.tiff import is_tiff, why_unread

FORMATS_READ = "JPEG, PNG, BMP, TIFF, WebP, GIF, JPEG 2000, AVIF, PBM, PGM, PPM"

# By a pattern that the first bytes match: a format that dn2 reads, and its name for Pillow.
_KNOWN = (
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"GIF8[79]a", "GIF"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG2000"),
    (rb"....ftypavi[fs]", "AVIF"),
)

# The same of formats that dn2 does not read, with their names in a sentence.
_FOREIGN = (
    (rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", "a HEIC picture"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (rb"8BPS", "a Photoshop file"),
    (rb"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (rb".{128}DICM", "a DICOM file"),
    (rb"P7\n|P[Ff]\n", "a PAM or PFM picture"),
    (rb"%PDF", "a PDF"),
    (rb"\s*<(?:\?xml|svg)", "an SVG or XML file"),
    (rb"....ftyp", "a film"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"\x93NUMPY", "an array of numpy, which dn2 takes from memory or as vectors"),
)


def why_unidentified(data: bytes | memoryview) -> str:
    """Say why no decoder takes a file."""
    head = bytes(data[:200])
    if is_tiff(data) and bytes(data[2:4]) in (b"*\0", b"\0*", b"+\0", b"\0+"):
        return why_unread(data)
    for pattern, name in _KNOWN:
        if re.match(pattern, head, re.DOTALL):
            if name == "AVIF" and not features.check("avif"):
                return "an AVIF picture, which the Pillow installed here does not decode; save it as PNG or JPEG"
            return f"damaged picture: the header of this {name} cannot be read{_words_of_pillow(data, name)}"
    for pattern, words in _FOREIGN:
        if re.match(pattern, head, re.DOTALL):
            return f"{words}, which dn2 does not read; save it as PNG or JPEG"
    return f"not a picture in a format that dn2 reads ({FORMATS_READ})"


def _words_of_pillow(data: bytes | memoryview, name: str) -> str:
    """Return what the decoder says, which Pillow keeps to itself where it tries several."""
    try:
        Image.OPEN[name][0](PictureBytes(data), "")
    except Exception as error:
        return f" ({str(error)[:100] or type(error).__name__})"
    return ""
