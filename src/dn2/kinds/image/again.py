"""Pictures that were scored before, found and judged once more for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from dn2.arrays import Progress, Vector
from dn2.inputs.items import Item
from dn2.kinds.exchange import Batch, Belonging, Judge, Judgement
from dn2.kinds.image.embedder import PlainImageEmbedder
from dn2.kinds.image.embedding import embed, in_batches
from dn2.kinds.image.pictures import MOST_PICTURES
from dn2.kinds.image.pipeline import EmbeddedPicture
from dn2.kinds.image.pooling import Pooling
from dn2.neighbors.membership import Keys
from dn2.results.context import places_on_map
from dn2.results.rows import Row

SAME_SHARE = 0.05  # a score of the same file may differ by this share of it, or of the threshold
AT_ONCE = 64  # so that progress is told


class OfPictures(Protocol):
    """What a kind of pictures does here: see `dn2.kinds.image.kind.ImageKind`."""

    @property
    def embedder(self) -> PlainImageEmbedder:
        """What embeds pictures."""

    @property
    def pooling(self) -> Pooling | None:
        """How groups become items."""

    @property
    def queries_at_once(self) -> int:
        """How many pictures are judged together."""

    def batch_of(self, pairs: Sequence[tuple[Item, EmbeddedPicture]], /) -> Batch:
        """Put embedded pictures together."""

    def judge(self, judge: Judge, batch: Batch, parts: Keys | None, /) -> Judgement:
        """Score the readable ones."""


class JudgedAgain(NamedTuple):
    """The score and the vector of an item that was scored before, and what else explains it."""

    score: float
    vector: Vector
    found: Any


def find_files_again(
    kind: OfPictures, files: list[Item | None], rows: Sequence[Row], judge: Judge, progress: Progress | None
) -> tuple[Sequence[Item | None], dict[int, Vector]]:
    """Find the files of scored items: see `dn2.kinds.kind.Kind.found_again`.

    files : of each row, None where there is none.  Only those that a page shows are looked into: those on the map, and
    of the most anomalous items."""
    vectors: dict[int, Vector] = {}
    on_map = set(places_on_map(len(rows)).tolist())
    by_score = sorted(range(len(rows)), key=lambda place: rows[place].anomaly_score or 0, reverse=True)
    wanted = sorted(on_map.union(by_score[:MOST_PICTURES]))
    shown = [(place, item) for place in wanted if (item := files[place]) is not None]
    again = judged_again(kind, judge, [item for _, item in shown], [rows[place].part for place, _ in shown])
    for done, ((place, _), judged) in enumerate(zip(shown, again, strict=True), 1):
        if judged is None or not _scores_alike(judge, judged.score, rows[place].anomaly_score or 0):
            files[place] = None
        elif place in on_map:
            vectors[place] = judged.vector
        if progress is not None:
            progress(done, len(shown))
    return files, vectors


def judged_again(
    kind: OfPictures, judge: Judge, items: Sequence[Item], parts: Sequence[str | None]
) -> Iterator[JudgedAgain | None]:
    """Score items once more, in order, most from the cache; None for one that cannot be read any more.

    parts : what each belongs to."""
    embedded = embed(kind.embedder, items, pooling=kind.pooling)
    labelled = zip(items, embedded, parts, strict=True)
    for some in in_batches(labelled, min(AT_ONCE, kind.queries_at_once)):
        batch = kind.batch_of([(item, result) for item, result, _ in some])
        belonging = Belonging([part for _, _, part in some] if any(parts) else None).at(batch.places)
        judgement = kind.judge(judge, batch, belonging.membership.parts)
        found = judgement.found if judgement.found is not None else [None] * len(batch.vectors)
        judged = map(JudgedAgain, judgement.scores.tolist(), batch.vectors, found)
        by_place = dict(zip(batch.places.tolist(), judged, strict=True))
        yield from map(by_place.get, range(len(some)))


def _scores_alike(judge: Judge, again: float, score: float) -> bool:
    """Tell whether an item scores as before, up to the rounding of another processor."""
    calibration = judge.calibration
    threshold = calibration.threshold(calibration.rate(judge.detector.steps.false_alarm_rate))
    return abs(again - score) <= SAME_SHARE * max(score, threshold)
