"""Sources of a picture: a file, its bytes, or pixels in memory, all opened alike."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from dn2.arrays import Array
from dn2.errors import UnreadableItem
from dn2.networks.decoding import check_length, file_bytes, from_memory, open_decoded, picture_size

JPEG = b"\xff\xd8"

Picture = bytes | bytearray | memoryview | Array | Image.Image  # in memory


class View(NamedTuple):
    """How a picture is looked at, beside what is said of all pictures: see `dn2.networks.pixels.Preprocessing`."""

    region: bytes | None = None
    turned: float = 0.0


PLAIN_VIEW = View()


@dataclass(frozen=True)
class Viewed:
    """A picture of which not all is looked at, or that is turned.

    picture : its source; mask : gives the region of its `View`, and raises UnreadableItem where that cannot be had."""

    picture: str | os.PathLike[str] | Picture
    mask: Callable[[], bytes] | None = None
    turned: float = 0.0


Source = str | os.PathLike[str] | Picture | Viewed


@dataclass(frozen=True)
class EncodedPicture:
    """A picture as a file holds it; white : see `dn2.networks.decoding.open_decoded`; view : how it is looked at."""

    data: bytes
    white: int | None = None
    view: View = PLAIN_VIEW

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def scales(self) -> bool:
        """Whether `decoded` depends on the size asked for, as it does for a JPEG."""
        return self.data.startswith(JPEG)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as it is stored, told without decoding it.  Raises UnreadableItem."""
        return picture_size(self.data)

    def decoded(self, size: tuple[int, int] | None) -> AbstractContextManager[Image.Image]:
        """Decode it inside: see `dn2.networks.decoding.open_decoded`."""
        return open_decoded(self.data, size, self.white)


@dataclass(frozen=True)
class PixelPicture:
    """A picture whose pixels are in memory; see `EncodedPicture`."""

    image: Image.Image
    view: View = PLAIN_VIEW
    scales = False

    @property
    def digest(self) -> str:
        """The SHA-256 of shape and pixels, in hexadecimal."""
        pixels = np.asarray(self.image)
        digest = hashlib.sha256(f"{pixels.shape} ".encode())
        digest.update(pixels.data)
        return digest.hexdigest()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.image.size

    def decoded(self, size: tuple[int, int] | None) -> AbstractContextManager[Image.Image]:
        """Give the picture."""
        return nullcontext(self.image)


def is_picture(value: Any) -> bool:
    """Tell whether the type of a value is one of `Picture`."""
    return isinstance(value, (bytes, bytearray, memoryview, np.ndarray, Image.Image))


@contextmanager
def open_picture(source: Source, white: int | None = None) -> Iterator[EncodedPicture | PixelPicture]:
    """Open a picture, and count its memory as taken inside.

    white : see `dn2.networks.decoding.open_decoded`.
    Raises UnreadableItem for a picture that cannot be read, and for any error inside."""
    if isinstance(source, Viewed):
        with open_picture(source.picture, white) as picture:
            yield replace(picture, view=View(None if source.mask is None else source.mask(), source.turned))
    elif isinstance(source, (str, os.PathLike)):
        with file_bytes(source) as data:
            yield EncodedPicture(data, white)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        check_length(len(data), "the encoded picture")
        yield EncodedPicture(data, white)
    elif isinstance(source, (np.ndarray, Image.Image)):
        with from_memory(source, white) as image:
            yield PixelPicture(image)
    else:
        raise UnreadableItem(
            "a picture is a path, the bytes of a file, a picture of Pillow or an array of uint8, got "
            f"{type(source).__name__}"
        )
