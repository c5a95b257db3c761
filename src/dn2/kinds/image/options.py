"""The options of pictures, and of groups of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

from dn2.errors import InputError
from dn2.kinds.image.presets import PRESETS
from dn2.kinds.options import CleaningOptions, option
from dn2.system.interface import option as named

BACKBONES = "lite0, lite1, lite2, timm/NAME, the path of an .onnx file, or several joined by +."
LARGEST_WHITE = (1 << 16) - 1


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
    groups: bool = option(False, "Take each subfolder as one item: a group of pictures.")

    def check(self) -> None:
        """See `Options`."""
        super().check()
        check_white(self.white)
        if self.groups and self.whiten:
            raise InputError(f"groups are not whitened: leave out {named('whiten')}, or {named('groups')}")
        if self.preset != "default" and not self._is_preset_used():
            raise InputError(
                f"{named('preset')} decides nothing where {named('backbone')} is given and the number of neighbours is "
                f"settled by other options: leave it out"
            )

    def _is_preset_used(self) -> bool:
        """Tell whether the preset decides on the backbone, on the number of neighbours, or on whitening."""
        settled = self.neighbors is not None or self.contaminated or self.index.startswith("kmeans:")
        whitens = PRESETS[self.preset].whiten and self.whiten is None and not (self.contaminated or self.groups)
        return self.backbone is None or not settled or whitens
