"""Items to rows: the search of their neighbours, their scores and p-values, and the evidence beside them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, Protocol

import numpy as np

from dn2.arrays import Positions, Progress, Scores, Vectors
from dn2.kinds.exchange import NOTHING, Batch, Belonging, FoundT, Judge, Judgement, Reference, ScoredItems
from dn2.neighbors.calibration import mean_squared_distance
from dn2.neighbors.detector import Detector
from dn2.neighbors.membership import Keys
from dn2.results.context import places_on_map
from dn2.results.rows import Evidence, Neighbor, Row
from dn2.system.workers import each

See = Callable[[Judge, Batch, Judgement, Belonging], None]

_seeing: ContextVar[See | None] = ContextVar("seeing", default=None)


@contextmanager
def seeing(see: See) -> Iterator[None]:
    """Let a function see each batch that this thread judges inside, in the order of the items; series have none.

    see : called with what judged them, the items, what was found, and what they belong to."""
    token = _seeing.set(see)
    try:
        yield
    finally:
        _seeing.reset(token)


class Explainer(Protocol):
    """What a kind of data does with embedded items: see `dn2.kinds.kind.Kind`."""

    def judge(self, judge: Judge, batch: Batch, parts: Keys | None, /) -> Judgement:
        """Score items."""

    def explain(self, judge: Judge, batch: Batch, judgement: Judgement, /) -> Iterator[Evidence | None]:
        """Give the evidence of each item."""


class EmbedsParts(Explainer, Protocol):
    """A kind that embeds parts of what is scored: see `dn2.kinds.kind.Kind`."""

    def embed_part(self, part: Any, /) -> Iterable[Batch]:
        """Embed a part."""


class JudgeOfKind(Judge, Protocol):
    """What scores items of a kind: a model at a moment."""

    @property
    def kind(self) -> EmbedsParts:
        """How items become vectors and evidence."""


class OpenedApart(Protocol):
    """A model that each worker of a cluster opens for itself."""

    @property
    def state(self) -> JudgeOfKind:
        """The model as it is in this process."""


class ScoredInBatches(ABC, Generic[FoundT]):
    """The methods of a kind that score items: see `dn2.kinds.kind.Kind`."""

    @abstractmethod
    def embed(self, found_items: FoundT, progress: Progress | None) -> Iterator[Batch]:
        """Embed items in order."""

    def score(
        self, judge: Judge, found_items: FoundT, progress: Progress | None, belonging: Belonging = NOTHING
    ) -> ScoredItems:
        """Score items among the reference set; belonging : what they belong to."""
        scored, mapped = ScoredItems(), places_on_map(len(found_items.names))
        for batch in self.embed(found_items, progress):
            start = len(scored.rows)
            own = belonging.at(start + np.arange(len(batch.names)))
            scored.extend(scored_batch(self, judge, batch, own, mapped - start))
        self.tell(scored.noticed)
        return scored

    def score_apart(
        self,
        judge: Judge,
        model: OpenedApart,
        found_items: FoundT,
        progress: Progress | None,
        belonging: Belonging = NOTHING,
    ) -> ScoredItems:
        """Do what `score` does by the workers of a cluster; model : the same model, as each of them opens it."""
        scored, n, mapped = ScoredItems(), len(found_items.names), places_on_map(len(found_items.names))

        def parts() -> Iterator[tuple[Any, Belonging, Positions]]:
            start = 0
            for part, size in self.parts(found_items):
                shown = mapped[(mapped >= start) & (mapped < start + size)] - start
                yield part, belonging.at(start + np.arange(size)), shown
                start += size

        for some in each(score_part, model, parts()):
            scored.extend(some)
            if progress is not None:
                progress(len(scored.rows), n)
        self.tell(scored.noticed)
        return scored

    def parts(self, found_items: FoundT) -> Iterator[tuple[Any, int]]:
        """Cut items into parts, each with its number of items, that workers judge; by default they are embedded here,
        which takes little."""
        return ((batch, len(batch.names)) for batch in self.embed(found_items, None))

    def embed_part(self, part: Any) -> Iterable[Batch]:
        """Embed one of `parts`."""
        return [part]

    def tell(self, noticed: Sequence[Any]) -> None:
        """Say what a person should know of items that were embedded."""

    def judge(self, judge: Judge, batch: Batch, parts: Keys | None) -> Judgement:
        """Score the readable items of a batch; parts : (m,) the keys of the parts that they belong to, if any."""
        if not len(batch.vectors):
            return Judgement.of_none(int(judge.detector.steps.n_neighbors))
        distances, positions = judge.detector.search(self.recalled(judge.detector, batch), parts=parts)
        return Judgement(mean_squared_distance(distances), distances, positions)

    def recalled(self, detector: Detector, embedded: Batch | Reference) -> Vectors:
        """Return the vectors of embedded items, (m, d), those of copies of reference items as the set has them.

        A copy lies at distance 0 then, although another machine may have embedded the reference set."""
        return embedded.vectors

    def explain(self, judge: Judge, batch: Batch, judgement: Judgement) -> Iterator[Evidence | None]:
        """Give the evidence of each item of a batch, in order; judgement : of the readable items."""
        return (None for _ in batch.names)


def score_part(model: OpenedApart, part: tuple[Any, Belonging, Positions]) -> ScoredItems:
    """Score a part of the items, in a worker.

    part : what `Kind.parts` gave, what the items belong to, and the places of those that a map shows."""
    state, (content, belonging, mapped), scored = model.state, part, ScoredItems()
    for batch in state.kind.embed_part(content):
        start = len(scored.rows)
        own = belonging.at(start + np.arange(len(batch.names)))
        scored.extend(scored_batch(state.kind, state, batch, own, mapped - start))
    return scored


def scored_batch(kind: Explainer, judge: Judge, batch: Batch, belonging: Belonging, mapped: Positions) -> ScoredItems:
    """Score a batch; belonging : what its items belong to; mapped : the places of those that a map shows."""
    shown = np.isin(batch.places, mapped)
    # Copies: a view would keep the whole batch in memory.
    vectors = {
        int(place): vector.copy() for place, vector in zip(batch.places[shown], batch.vectors[shown], strict=True)
    }
    files = None if batch.files is None else list(batch.files)
    rows = list(rows_of(kind, judge, batch, belonging))
    return ScoredItems(rows, vectors, list(batch.digests), files, noticed=list(batch.noticed))


def rows_of(kind: Explainer, judge: Judge, batch: Batch, belonging: Belonging = NOTHING) -> Iterator[Row]:
    """Give the row of each item of a batch; belonging : what the items belong to."""
    detector = judge.detector
    membership = belonging.at(batch.places).membership
    judgement = kind.judge(judge, batch, membership.parts)
    if (see := _seeing.get()) is not None:
        see(judge, batch, judgement, belonging)
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
