"""Items to rows: the search of their neighbours, their scores and p-values, and the evidence beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from dn2.arrays import Scores
from dn2.kinds.exchange import NOTHING, Batch, Belonging, Judge, Judgement
from dn2.neighbors.detector import Detector
from dn2.neighbors.membership import Keys
from dn2.results.rows import Evidence, Neighbor, Row


class Explainer(Protocol):
    """What a kind of data does with embedded items: see `dn2.kinds.kind.Kind`."""

    def judge(self, judge: Judge, batch: Batch, parts: Keys | None, /) -> Judgement:
        """Score items."""

    def explain(self, judge: Judge, batch: Batch, judgement: Judgement, /) -> Iterator[Evidence | None]:
        """Give the evidence of each item."""


def rows_of(kind: Explainer, judge: Judge, batch: Batch, belonging: Belonging = NOTHING) -> Iterator[Row]:
    """Give the row of each item of a batch; belonging : what the items belong to."""
    detector = judge.detector
    membership = belonging.at(batch.places).membership
    judgement = kind.judge(judge, batch, membership.parts)
    scores, positions = judgement.scores, judgement.positions
    lengths = np.sqrt(judgement.distances.astype(np.float64))
    chances = chances_of(detector, [batch.names[place] for place in batch.places.tolist()])
    p_values = judge.calibration.p_value(scores, membership.strata, chances)
    verdicts = zip(scores, p_values, lengths, positions, strict=True)
    explained = kind.explain(judge, batch, judgement)
    for place, (name, evidence) in enumerate(zip(batch.names, explained, strict=True)):
        part, per = belonging.of(place)
        if place in batch.errors:
            yield Row(name, error=batch.errors[place], evidence=evidence, part=part, per=per)
            continue
        score, p_value, apart, near = next(verdicts)
        nearest = zip(apart, near, strict=True)
        known = ((judge.items[position], float(far)) for far, position in nearest if position >= 0)
        neighbors = tuple(Neighbor(item.name, far, item.part or None) for item, far in known)
        decided = None if np.isnan(p_value) else float(p_value)
        yield Row(name, float(score), decided, None, neighbors, evidence=evidence, part=part, per=per)


def chances_of(detector: Detector, names: Sequence[str]) -> Scores | None:
    """Draw, where ties are smoothed, a number in (0, 1) for each item, by its name and the seed alone: (n,)."""
    step = detector.steps.calibrate
    if not step.smooth:
        return None
    seed = int(step.seed).to_bytes(8, "big")
    texts = (name.encode("utf-8", "surrogatepass") for name in names)
    drawn = (int.from_bytes(hashlib.blake2b(text, digest_size=8, key=seed).digest(), "big") for text in texts)
    chances: Scores = (np.fromiter(drawn, np.float64, len(names)) + 0.5) / 2.0**64
    return chances
