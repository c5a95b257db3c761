"""Anomaly maps as files: below a folder, a map and an overlay for each picture, as it is scored."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Self

from PIL import Image

from dn2.errors import InputError, UnreadableItem
from dn2.inputs.items import Item
from dn2.kinds.image.evidence import RegionEvidence
from dn2.kinds.image.patches.drawing import ENDS_AT, LARGEST_GREY, overlaid, to_grey
from dn2.networks.sources import open_picture
from dn2.results.writing import choose_writer, write_file, write_text
from dn2.system.interface import option
from dn2.system.processes import cpu_count

logger = logging.getLogger("dn2")

ABOUT = "maps.json"
LONGEST_PART = 120  # characters of a folder or a file in a name
UNFIT = re.compile(r'[\x00-\x1f\x7f<>:"\\|?*]')  # in names of files, on one system or another


@dataclass(frozen=True)
class MapFolder:
    """A folder that the maps of pictures are written into.

    threshold : of regions, which the scale of the grey values rests on; white : see `open_decoded`.
    names : the path of each picture's files below the folder, without their endings, by item."""

    folder: Path
    threshold: float = 1.0
    white: int | None = None
    names: Mapping[str, str] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        """Raise InputError, before the work, unless the folder can be made, or is one that maps were written to."""
        choose_writer(self.folder / ABOUT, {".json": None}, "the scale of maps")
        if not self.folder.is_dir():
            return
        try:
            is_filled = any(self.folder.iterdir())
        except OSError as error:
            raise InputError(f"{self.folder} cannot be written: {error.strerror or error}") from error
        if is_filled and not (self.folder / ABOUT).is_file():
            raise InputError(
                f"maps are written to a folder of their own, and {self.folder} holds other files; give "
                f"{option('maps')} a folder that is new, empty, or of maps written before"
            )

    def opened(self, items: Sequence[Item], threshold: float, white: int | None) -> Self:
        """Return it ready for the maps of some pictures, once the folder says what their grey values mean.

        Raises InputError where it cannot be written, and for pictures within it, which maps must not be mixed with."""
        inside = os.path.realpath(self.folder) + os.sep
        if within := [item for item in items if os.path.realpath(item.origin or os.devnull).startswith(inside)]:
            raise InputError(
                f"{within[0].name!r} lies in {self.folder}, which the maps are written to; leave it out, or give "
                f"{option('maps')} another folder"
            )
        names = dict(zip((item.name for item in items), place_names([item.name for item in items]), strict=True))
        about = {
            "scale": f"value of the anomaly map = grey value * largest / {LARGEST_GREY}",
            "largest": ENDS_AT * threshold,
            "threshold": threshold,
            "renamed": {item: name for item, name in names.items() if name != str(PurePath(item).with_suffix(""))},
        }
        text = json.dumps(about, indent=1, ensure_ascii=False)
        write_text(self.folder / ABOUT, lambda file: file.writelines([text, "\n"]))
        return replace(self, threshold=threshold, white=white, names=names)

    def write(self, items: Iterable[Item], found: Iterable[Any]) -> None:
        """Write the map and the overlay of pictures; found : the evidence of each, None for one that was not read.

        Raises InputError where one cannot be written."""
        with ThreadPoolExecutor(cpu_count(), "dn2-maps") as pool:
            pairs = zip(items, found, strict=True)
            for _ in pool.map(lambda pair: self._write(*pair), [pair for pair in pairs if pair[1] is not None]):
                pass

    def _write(self, item: Item, found: RegionEvidence) -> None:
        assert found.anomaly_map is not None
        assert found.size is not None
        target = self.folder / self.names[item.name]
        grey = Image.fromarray(to_grey(found.anomaly_map, *found.size, self.threshold))
        write_file(f"{target}.png", partial(grey.save, format="PNG", compress_level=3))
        del grey  # before the picture is decoded
        try:
            with open_picture(item.source, self.white) as source, source.decoded(None) as picture:
                drawn = overlaid(picture, found.anomaly_map, self.threshold, found.regions)
        except UnreadableItem as error:
            logger.warning("no overlay of %s: %s", item.name, error)
            return
        write_file(f"{target}_overlay.jpg", partial(drawn.save, format="JPEG", quality=90))


def place_names(items: Sequence[str]) -> list[str]:
    """Name the files of items: as the items, without their endings where these are not needed to tell them apart.

    Each is a relative path without `..`, and no two are equal, whether or not a file system tells cases apart."""
    whole = ["/".join(map(_fit, PurePath(item).parts)) or "picture" for item in items]
    short = [str(PurePath(name).with_suffix("")) for name in whole]
    count = Counter(map(str.casefold, short))
    names = [one if count[one.casefold()] == 1 else full for one, full in zip(short, whole, strict=True)]
    count = Counter(map(str.casefold, names))
    return [
        name if count[name.casefold()] == 1 else f"{name}-{_digest(item)}"
        for name, item in zip(names, items, strict=True)
    ]


def _fit(part: str) -> str:
    """Return a part of a path that every system takes as the name of a file or a folder."""
    fit = UNFIT.sub("_", part).strip(" ")
    fit = "_" * len(fit) if not fit.strip("./") else fit
    return fit if len(fit) <= LONGEST_PART else f"{fit[: LONGEST_PART - 9]}-{_digest(part)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
