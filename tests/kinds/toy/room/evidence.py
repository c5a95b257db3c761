"""Why a colour is strange: the channel that differs most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dn2.results.rows import Evidence, Neighbor, in_line


@dataclass(frozen=True)
class ToyEvidence(Evidence):
    """channel : red, green or blue; None of a colour that cannot be read."""

    file_columns: ClassVar[tuple[str, ...]] = ("channel",)
    channel: str | None = None

    def as_record(self) -> dict[str, Any]:
        """See `Evidence`."""
        return {"channel": self.channel}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """See `Evidence`."""
        return cls(record.get("channel") or None)

    def say(self, neighbors: tuple[Neighbor, ...], name: str) -> tuple[str, str]:
        """See `Evidence`."""
        return name, f"most by {self.channel}; {in_line(neighbors)}"
