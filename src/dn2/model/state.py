"""The state of a model: a change makes a new state, and readers of the old one go on undisturbed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from dn2.arrays import Positions
from dn2.inputs.part_names import orders_of
from dn2.kinds.exchange import ReferenceItem
from dn2.kinds.kind import Kind
from dn2.model.belonging import Rules
from dn2.model.told import NOTHING_TOLD, Told
from dn2.model.words import suspicion_in_words
from dn2.neighbors.calibration import Calibration, mean_squared_distance
from dn2.neighbors.detector import Detector
from dn2.neighbors.suspicion import Suspicion
from dn2.results.decisions import check_fixed, check_warn_rate
from dn2.results.rows import Neighbor, Row
from dn2.results.suspects import Suspect
from dn2.store.shards import Shard, removed_rows, shards_of
from dn2.system.processes import cached_property


@dataclass(frozen=True)
class Origin:
    """The saved model that a model in memory came from: its folder, its digest, and its files by block.

    backbone : the name that the user gave in place of the model's, if any."""

    folder: Path
    digest: str
    shards: Sequence[Shard] = field(default=(), repr=False, compare=False)
    backbone: str | None = None


_as_saved: WeakKeyDictionary[Detector, Origin] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class State:
    """The parts of a model: see `dn2.model.model.Model`.  Neither the state nor its parts are ever changed.

    known : what breaks exchangeability, where the reference set was looked at already.
    told : what people said of scored items.
    changes : in words, what was done since the model was loaded or saved.
    forgets : whether what left it since is to be forgotten."""

    kind: Kind[Any]
    detector: Detector
    items: list[ReferenceItem] = field(repr=False)
    unreadable: list[Row] = field(default_factory=list, repr=False)
    origin: Origin | None = None
    rules: Rules = Rules()  # noqa: RUF009  nothing changes it
    known: Suspicion | None = field(default=None, repr=False)
    told: Told = NOTHING_TOLD
    changes: tuple[str, ...] = ()
    forgets: bool = False

    @property
    def is_saved(self) -> bool:
        """Whether the model is as the saved one of `origin` was, when it was loaded or saved."""
        return self.origin is not None and _as_saved.get(self.detector) is self.origin

    def mark_saved(self) -> None:
        """Note that the model is as the saved one of `origin` is."""
        assert self.origin is not None
        _as_saved[self.detector] = self.origin

    @property
    def calibration(self) -> Calibration:
        """What the p-values rest on."""
        return self.kind.calibration(self.detector)

    @property
    def false_alarm_rate(self) -> float:
        """The rate to decide at by default."""
        return self.calibration.rate(self.detector.steps.false_alarm_rate)

    @property
    def set_aside(self) -> list[str]:
        """The names of the items that the cleaning of a contaminated reference set leaves out."""
        return [self.items[position].name for position in self.detector.aside]

    def suspects(self) -> list[Suspect]:
        """See `Model.suspects`."""
        if not len(self.detector.suspects):
            return []
        positions, distances, neighbors = self.detector.judge_suspects()
        is_aside = np.isin(positions, self.detector.aside).tolist()
        lengths = np.sqrt(distances.astype(np.float64)).tolist()
        ranked = zip(positions, is_aside, mean_squared_distance(distances).tolist(), lengths, neighbors, strict=True)
        return [
            Suspect(self.items[position].name, aside, score, self._named(near, apart))
            for position, aside, score, apart, near in ranked
        ]

    def _named(self, positions: Positions, lengths: Sequence[float]) -> tuple[Neighbor, ...]:
        return tuple(Neighbor(self.items[one].name, far) for one, far in zip(positions, lengths, strict=True))

    @cached_property
    def suspicion(self) -> Suspicion:
        """What breaks exchangeability in the reference set."""
        if self.known is not None:
            return self.known
        return self.detector.suspicion(orders_of([item.name for item in self.items]))

    def near_duplicates(self) -> list[tuple[str, str]]:
        """List pairs (item, its near copy) in the reference set."""
        return [
            (self.items[position].name, self.items[nearest].name)
            for position, nearest in self.detector.near_duplicates(self.suspicion.copy_distance)
        ]

    @property
    def is_all_alike(self) -> bool:
        """Whether all reference items have one and the same embedding."""
        if self.detector.leave_one_out.distances.any():
            return False
        blocks = self.detector.blocks
        first = np.asarray(blocks[0])[:1]
        return all(bool((np.asarray(block) == first).all()) for block in blocks)

    def rate(self, asked: float | None, warn_rate: float | None = None) -> float:
        """Return the false-alarm rate to decide at; asked : None takes the model's.

        Raises InputError, ReferenceTooSmall, also for a rate to warn at that is not laxer."""
        rate = self.false_alarm_rate if asked is None else self.calibration.rate(asked)
        check_fixed(rate, self.false_alarm_rate, self.calibration.confidence)
        calibration = self.calibration
        is_plain = calibration.parts is None and not calibration.strata and not calibration.is_smoothed
        check_warn_rate(warn_rate, rate, calibration.sample_size if is_plain else None, calibration.confidence)
        return rate

    def assumptions(self) -> list[str]:
        """Say what p-values rest on, and what speaks against it."""
        found = suspicion_in_words(self.suspicion, self.calibration.sample_size)
        return [*self.kind.assumptions(self.calibration), *found]

    def describe(self) -> dict[str, Any]:
        """See `Model.describe`."""
        share = self.detector.contamination
        shards = () if self.origin is None else self.origin.shards
        removed = removed_rows(self.detector.blocks, shards_of(self.detector.blocks, shards))
        words = {"assumptions": self.assumptions()}
        return {
            **self.kind.describe(),
            "detector": self.detector.steps.as_dict(),
            "search": self.detector.describe_search(),
            "calibration": self.calibration.as_dict(self.false_alarm_rate) | words,
            "membership": asdict(self.rules),
            "suspicion": self.suspicion.as_dict(),
            "contamination": None if share is None else asdict(share) | self._count_suspects(),
            "removed_in_files": len(removed),
            "told": self.told.counts,
        }

    def _count_suspects(self) -> dict[str, int]:
        return {"aside": len(self.detector.aside), "suspects": len(self.detector.suspects)}
