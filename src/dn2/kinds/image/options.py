"""The options of pictures, and of groups of pictures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

from dn2.errors import InputError
from dn2.kinds.image.presets import PRESETS
from dn2.kinds.options import CleaningOptions, Masks, option
from dn2.system.interface import option as named

BACKBONES = "lite0, lite1, lite2, timm/NAME, the path of an .onnx file, or several joined by +."
LARGEST_WHITE = (1 << 16) - 1
DEFAULT_RESOLUTION = 256
RESOLUTIONS = range(64, 4097)
MOST_ROTATIONS = 36
OF_PATCHES = ("resolution", "light", "bank", "mask", "rotations")


def parse_resolution(resolution: str | int | None) -> int | None:
    """Return the side of a square that has as many pixels as pictures are scaled to; None where they keep their size.

    Raises InputError for anything else."""
    if resolution is None:
        return DEFAULT_RESOLUTION
    if resolution == "full":
        return None
    try:
        side = int(resolution)
    except ValueError:
        side = 0
    if side not in RESOLUTIONS:
        raise InputError(
            f"{named('resolution')} must be full, or the side of a square of {RESOLUTIONS.start} to "
            f"{RESOLUTIONS.stop - 1:,} pixels, got {resolution!r:.80}"
        )
    return side


def check_white(white: int | None) -> int | None:
    """Return the value that is white.  Raises InputError unless it fits into 16 bits."""
    if white is not None and not (isinstance(white, Integral) and white is not True and 0 < white <= LARGEST_WHITE):
        raise InputError(f"{named('white')} must be an integer in 1 ... {LARGEST_WHITE:,}, got {white!r:.80}")
    return None if white is None else int(white)


@dataclass(frozen=True, kw_only=True)
class ImageOptions(CleaningOptions):
    """The options of pictures."""

    heading: ClassVar[str] = "Pictures"

    preset: str = option(
        "default",
        "A backbone and a number of neighbours that go together; {backbone} and {neighbors} take their place.",
        choices=tuple(PRESETS),
    )
    backbone: str | None = option(
        None, f"The network: {BACKBONES} Default: that of {{preset}}.", metavar="NAME", embeds=True
    )
    precision: str = option(
        "auto",
        "The arithmetic of the network. f32 makes a model that moves between machines; auto takes the fastest here.",
        choices=("auto", "f32", "bf16"),
        embeds=True,
    )
    white: int | None = option(
        None,
        "The value that is white in grey pictures of more than 8 bits whose files do not say it: 1023 for 10 bits, "
        "4095 for 12. Default: 65535.",
        metavar="VALUE",
        minimum=1,
        embeds=True,
    )
    normalize: str | None = option(
        None,
        "How embeddings are normalised. Default: as measures best with the backbone.",
        choices=("none", "unit", "root-unit"),
    )
    whiten: bool | None = option(
        None,
        "Count directions for less in which near items differ much. Default: yes with the preset accurate, from 10,000 "
        "items on; else no.",
    )
    patches: bool = option(
        False,
        "Compare pictures patch by patch: for small defects, and to see where they are. Half of the pictures teach "
        "what is normal at each place, the other half calibrates.",
        tells=True,
    )
    resolution: str | int | None = option(
        None,
        "With {patches}: pictures are scaled to have as many pixels as a square of this side, such as 384; full leaves "
        "them at their size. Default: 256.",
        metavar="PIXELS",
    )
    light: str | None = option(
        None,
        "With {patches}: even brings every picture to one brightness and contrast, so that the lamp's strength says "
        "nothing; as-is does not. Default: even.",
        choices=("even", "as-is"),
    )
    bank: int | None = option(
        None,
        "With {patches}: how many normal patches are kept to compare with, of each pair of maps of a network. "
        "Default: 2000, with {preset} accurate 4000.",
        metavar="PATCHES",
        minimum=1,
    )
    mask: Masks | None = option(
        None,
        "With {patches}: a picture that is white where pictures are looked at, and black elsewhere; it is scaled to "
        "each. Or a folder with a mask for each picture, at its path or as much of the end of that as there is.",
        metavar="FILE",
    )
    rotations: int | None = option(
        None,
        "With {patches}: in how many rotations, evenly spaced, each picture teaches what is normal, for parts that lie "
        "anyhow: 4 for quarter turns, 8, or more. Default: 1, as photographed.",
        metavar="NUMBER",
        minimum=1,
    )
    groups: bool = option(False, "Take each subfolder as one item: a group of pictures.")

    @property
    def masks(self) -> Any:
        """The masks of each picture; None where there is one for all, or none."""
        return None if isinstance(self.mask, str) and not os.path.isdir(self.mask) else self.mask

    def check(self) -> None:
        """See `Options`."""
        super().check()
        check_white(self.white)
        self._check_patches()
        if self.groups and self.whiten:
            raise InputError(f"groups are not whitened: leave out {named('whiten')}, or {named('groups')}")
        if self.preset != "default" and not self._is_preset_used():
            raise InputError(
                f"{named('preset')} decides nothing where {named('backbone')} is given and the number of neighbours is "
                f"settled by other options: leave it out"
            )

    def _check_patches(self) -> None:
        if not self.patches:
            if given := [name for name in OF_PATCHES if getattr(self, name) is not None]:
                raise InputError(f"{named(given[0])} is of patches: say {named('patches')}, too, or leave it out")
            return
        parse_resolution(self.resolution)
        if (self.rotations or 1) > MOST_ROTATIONS:
            raise InputError(f"{named('rotations')} must be at most {MOST_ROTATIONS}, got {self.rotations:,}")
        unfit = {
            "groups": "patches are those of single pictures",
            "contaminated": "patches are learnt from pictures that are normal; clean a set without them first",
            "whiten": "patches are compared as they are",
            "normalize": "patches are compared as they are",
        }
        if given := [name for name in unfit if getattr(self, name) not in (None, False)]:
            raise InputError(f"{unfit[given[0]]}: leave out {named(given[0])}, or {named('patches')}")
        if self.index not in ("auto", "exact"):
            raise InputError(f"the bank of patches is searched whole: leave out {named('index')}, got {self.index}")

    def _is_preset_used(self) -> bool:
        """Tell whether the preset decides on the backbone, on the number of neighbours, or on whitening."""
        settled = self.neighbors is not None or self.contaminated or self.index.startswith("kmeans:")
        whitens = PRESETS[self.preset].whiten and self.whiten is None and not (self.contaminated or self.groups)
        return self.backbone is None or not settled or whitens
