"""What a stream is scored by: neighbours that hold none of the items that calibrate, and stay as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dn2.arrays import Positions, Scores
from dn2.errors import InputError
from dn2.kinds.exchange import Batch, Belonging, Judgement
from dn2.model.state import State
from dn2.monitor.pool import heights_of
from dn2.neighbors.detector import Detector
from dn2.neighbors.steps import Search, Steps
from dn2.system.processes import cached_property

EVERYTHING = ""  # the stratum of items that have none


@dataclass(frozen=True)
class Frozen:
    """A model at a moment, and what scores a stream by it.

    detector : the model's own; scoring : the model with items held out, or the same where it holds them out."""

    detector: Detector
    scoring: State

    @classmethod
    def of(cls, now: State) -> Self:
        """Hold items out, unless the model does.  Raises InputError for series, whose windows overlap."""
        if now.detector.steps.windows is not None:
            raise InputError(
                f"drift is watched in single items, and {now.kind.many} are near in time and so alike: score them, "
                "and compare how many are flagged with what the model has measured"
            )
        return cls(now.detector, now if is_held_out(now) else _holding_out(now))

    @cached_property
    def heights(self) -> dict[str, Positions]:
        """The scores of the items that calibrate, by stratum, as heights: of each part, that of its first item."""
        positions, scores = self.scoring.kind.calibrating(self.scoring.detector)
        by_stratum: dict[str, list[int]] = {}
        seen: set[str] = set()
        for position, height in zip(positions.tolist(), heights_of(scores).tolist(), strict=True):
            item = self.scoring.items[position]
            if item.part not in seen:
                by_stratum.setdefault(item.per or EVERYTHING, []).append(height)
            if item.part:
                seen.add(item.part)
        return {stratum: np.array(own, np.int64) for stratum, own in by_stratum.items()}

    @cached_property
    def parts(self) -> frozenset[str]:
        """The parts of the reference items."""
        return frozenset(item.part for item in self.scoring.items if item.part)

    @cached_property
    def digest(self) -> str:
        """What tells it from that of another model, also in another process."""
        hashed = hashlib.blake2b(str(len(self.scoring.items)).encode(), digest_size=16)
        for stratum in sorted(self.heights):
            hashed.update(f"{stratum}\0".encode("utf-8", "surrogatepass") + np.sort(self.heights[stratum]).tobytes())
        return hashed.hexdigest()

    def scores(self, batch: Batch, judgement: Judgement) -> Scores:
        """Return the scores of the readable items of a batch; judgement : what the model itself found for them."""
        if self.scoring.detector is self.detector:
            return judgement.scores
        return self.scoring.kind.judge(self.scoring, batch, None).scores

    def strata(self, batch: Batch, belonging: Belonging) -> Iterator[tuple[str | None, str]]:
        """Give the stratum and the part of each readable item of a batch; None for an item that tells nothing: of no
        known stratum, without a part where others have one, or of a part that the reference set has."""
        rules = self.scoring.rules
        for place in batch.places.tolist():
            part, per = belonging.of(place)
            stratum = EVERYTHING if rules.per is None else per
            strange = rules.part is not None and (part is None or part in self.parts)
            yield None if strange or stratum not in self.heights else stratum, part or ""


def is_held_out(now: State) -> bool:
    """Tell whether the items that calibrate are no neighbours of anything."""
    learnt, detector = now.detector.learnt, now.detector
    by_centroids = learnt is not None and learnt.has_centroids and not now.kind.learns_beside
    return detector.steps.holds_out or by_centroids


def _holding_out(now: State) -> State:
    reference = now.detector.reference
    steps = _steps(reference.plan.steps)
    reference = replace(reference, plan=replace(reference.plan, steps=steps))
    detector = replace(now.detector, steps=steps, reference=reference).holding_out()
    return replace(now, detector=detector, kind=now.kind.completed(detector, now.items))


def _steps(steps: Steps) -> Steps:
    """Return steps that any set can hold items out with: at no rate, and without trees, which find what is exact."""
    if steps.search.method.name in ("kdtree", "kmeans-tree"):
        steps = replace(steps, search=Search("exact", storage=steps.search.storage, memory=steps.search.memory))
    return replace(steps, false_alarm_rate=None)
