"""What may be asked where items are colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dn2.kinds.options import CleaningOptions, option


@dataclass(frozen=True, kw_only=True)
class ToyOptions(CleaningOptions):
    """The options of colours."""

    heading: ClassVar[str] = "Colours"

    shade: float | None = option(None, "What brightness counts beside red, green and blue. Default: nothing.")
