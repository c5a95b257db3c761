"""The options of vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dn2.kinds.options import CleaningOptions, option


@dataclass(frozen=True, kw_only=True)
class VectorOptions(CleaningOptions):
    """The options of vectors."""

    heading: ClassVar[str] = "Vectors"

    normalize: str | None = option(
        None, "How vectors are normalised. Default: none.", choices=("none", "unit", "root-unit")
    )
    whiten: bool | None = option(None, "Count directions for less in which near items differ much. Default: no.")
