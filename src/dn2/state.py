"""What a model is at a moment: a change makes a new state, and whoever reads the old one is not disturbed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dn2.kinds.kind import Kind, ReferenceItem
from dn2.neighbors.conformal import Calibration
from dn2.neighbors.detector import KNNDetector
from dn2.store.rows import Row
from dn2.store.shards import Shard, removed_rows, shards_of


@dataclass(frozen=True)
class Origin:
    """The saved model that one in memory came from, by folder and digest, and its files by block."""

    folder: Path
    digest: str
    shards: Sequence[Shard] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True)
class State:
    """What fits together of a model: see `dn2.model.Model`.  Nothing changes it, nor what it holds."""

    kind: Kind
    detector: KNNDetector
    items: list[ReferenceItem]
    unreadable: list[Row] = field(default_factory=list)
    origin: Origin | None = None

    @property
    def calibration(self) -> Calibration:
        """What the p-values rest on."""
        return self.detector.calibration_

    @property
    def false_alarm_rate(self) -> float:
        """The rate to decide at by default."""
        return float(self.detector.false_alarm_rate_)

    @property
    def set_aside(self) -> list[str]:
        """The names of the items that the cleaning of a contaminated reference set leaves out."""
        return [self.items[position].name for position in self.detector.aside_]

    def near_duplicates(self) -> list[tuple[str, str]]:
        """List pairs (item, its near copy) in the reference set."""
        return [(self.items[one].name, self.items[other].name) for one, other in self.detector.near_duplicates()]

    def describe(self) -> dict[str, Any]:
        """Do what `Model.describe` does."""
        share = self.detector.contamination_
        known = () if self.origin is None else self.origin.shards
        removed = removed_rows(self.detector.blocks_, shards_of(self.detector.blocks_, known))
        return {
            **self.kind.describe(),
            "detector": self.detector.get_params(),
            "search": self.detector.search_,
            "calibration": self.calibration.as_dict(self.false_alarm_rate),
            "contamination": None if share is None else asdict(share) | {"aside": len(self.detector.aside_)},
            "removed_in_files": len(removed),
        }
