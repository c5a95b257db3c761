"""A model: an embedder, a detector, and the items that the detector calls normal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.embed.embedder import ImageEmbedder
from dn2.embed.images import SUFFIXES
from dn2.embed.pipeline import Embedded
from dn2.embedding import EmbeddedItems, Progress, Vectors, embed, embed_items, unreadable_members
from dn2.errors import InputError
from dn2.inputs import Inputs, Item, find_groups, find_items
from dn2.neighbors.conformal import Calibration, false_discoveries, mean_squared_distance
from dn2.neighbors.detector import KNNDetector
from dn2.neighbors.exact import Positions
from dn2.neighbors.groups import Pooling
from dn2.neighbors.metrics import Evaluation, evaluate
from dn2.store.cache import Cache
from dn2.store.packed import PackedBytes
from dn2.store.results import Member, Neighbor, Results, Row

QUERIES_AT_ONCE = 1024
MEMBERS_NAMED = 10


class ReferenceItem(NamedTuple):
    """A normal item: its name, where its file was, and the SHA-256 of the file's bytes."""

    name: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Origin:
    """The saved model that one in memory came from, by folder and digest."""

    folder: Path
    digest: str


class Model:
    """What normal looks like; made by `dn2.fit` or `dn2.load`.

    embedder, detector : the parts; items, thumbnails : the reference set in the detector's order, and a small JPEG
        of each item.  pooling : how groups become items, None where items are pictures.
    unreadable : rows with the error of each item that the last fit or add could not read.
    origin : the saved model that this one was loaded from or saved as."""

    def __init__(
        self,
        embedder: ImageEmbedder,
        detector: KNNDetector,
        items: Sequence[ReferenceItem],
        thumbnails: PackedBytes,
        pooling: Pooling | None = None,
    ) -> None:
        self.embedder = embedder
        self.detector = detector
        self.items = list(items)
        self.thumbnails = thumbnails
        self.pooling = pooling
        self.unreadable: list[Row] = []
        self.origin: Origin | None = None

    @property
    def calibration(self) -> Calibration:
        """What the p-values rest on."""
        return self.detector.calibration_

    @property
    def false_alarm_rate(self) -> float:
        """The rate at which `score` decides by default."""
        return float(self.detector.false_alarm_rate_)

    def score(
        self,
        inputs: Inputs,
        *,
        false_alarm_rate: float | None = None,
        fdr: float | None = None,
        progress: Progress | None = None,
    ) -> Results:
        """Score items: an anomaly score, a p-value, a decision and the nearest reference items for each.

        inputs : a folder, files, a glob, `@list.txt`, or several of these.
        false_alarm_rate : decide at this rate instead of the model's; fdr : decide the batch by Benjamini-Hochberg
        at this false-discovery rate instead.
        An item that cannot be read gets a row with its error.
        Raises InputError if nothing is found or both rates are given, ReferenceTooSmall for a rate that the reference
        set cannot support."""
        if fdr is not None:
            if false_alarm_rate is not None:
                raise InputError(
                    "a false-alarm rate and a false-discovery rate are two ways to decide; give one of them"
                )
            false_discoveries(np.empty(0), fdr)  # a bad level is refused before the work, not after it
        rate = self.false_alarm_rate if false_alarm_rate is None else self.calibration.rate(false_alarm_rate)
        items = self._find(inputs)
        embedded = embed(self.embedder, items, pooling=self.pooling)
        pairs = zip(items, _watched(embedded, len(items), progress), strict=True)
        rows: list[Row] = []
        while batch := _batch(pairs):
            rows += self._rows(batch)
        results = Results(rows, None, self.calibration.sample_size)
        if fdr is None:
            return results.at(rate)
        return self._discover(results, fdr)

    def _find(self, inputs: Inputs) -> list[Item]:
        return find_items(inputs, SUFFIXES) if self.pooling is None else find_groups(inputs, SUFFIXES)

    def _rows(self, batch: Sequence[tuple[Item, Embedded]]) -> Iterator[Row]:
        vectors = [one.vector for _, one in batch if one.vector is not None]
        found = zip(*self._search(np.stack(vectors)), strict=True) if vectors else iter(())
        for item, one in batch:
            if one.vector is None:
                members = None if self.pooling is None else unreadable_members(item, one)
                yield Row(item.name, error=one.error, members=members)
                continue
            score, p_value, distances, positions = next(found)
            neighbors = tuple(
                Neighbor(self.items[position].name, float(distance))
                for distance, position in zip(distances, positions, strict=True)
            )
            members = None if self.pooling is None else self._members(self.pooling, item, one, positions)
            yield Row(item.name, float(score), float(p_value), None, neighbors, members=members)

    def _members(self, pooling: Pooling, item: Item, one: Embedded, positions: Positions) -> tuple[Member, ...]:
        """List the members that pull a group away from its neighbors most, then those that could not be read."""
        readable = [
            (member.name, embedded.vector)
            for member, embedded in zip(item.members or (), one.members, strict=True)
            if embedded.vector is not None
        ]
        members = np.stack([vector for _, vector in readable])
        shares = pooling.shares(members, self.detector.compared_with(pooling.pool(members), positions))
        most = np.argsort(-shares, kind="stable")[:MEMBERS_NAMED]
        named = [Member(readable[place][0], float(shares[place])) for place in most]
        return (*named, *unreadable_members(item, one))

    def _search(self, vectors: Vectors) -> tuple[Any, Any, Any, Any]:
        distances, positions = self.detector.search(vectors)
        scores = mean_squared_distance(distances)
        return scores, self.calibration.p_value(scores), np.sqrt(distances.astype(np.float64)), positions

    @staticmethod
    def _discover(results: Results, level: float) -> Results:
        readable = [row for row in results if row.p_value is not None]
        flagged = iter(false_discoveries(np.array([row.p_value for row in readable]), level))
        rows = [row if row.p_value is None else replace(row, is_anomaly=bool(next(flagged))) for row in results]
        return Results(rows, None, results.sample_size)

    def evaluate(
        self, normal: Inputs, anomalous: Inputs, *, progress: Progress | None = None
    ) -> tuple[Evaluation, list[Row]]:
        """Score items known to be normal and anomalous, and compare.

        Returns the figures, and the rows of items that could not be read and are left out.
        Raises InputError if a class has no readable item."""
        truth: list[bool] = []
        rows: list[Row] = []
        unreadable: list[Row] = []
        for is_anomalous, inputs in ((False, normal), (True, anomalous)):
            results = self.score(inputs, progress=progress)
            readable = [row for row in results if row.error is None]
            rows += readable
            truth += [is_anomalous] * len(readable)
            unreadable += results.unreadable
        scores, p_values = np.array([(row.anomaly_score, row.p_value) for row in rows], float).reshape(-1, 2).T
        return evaluate(scores, p_values, np.array(truth, bool), self.false_alarm_rate), unreadable

    def add(self, inputs: Inputs, *, progress: Progress | None = None) -> Self:
        """Add items to the reference set.

        Raises InputError, and changes nothing, for a name that the model has already or if nothing is readable."""
        items = self._find(inputs)
        known = {item.name for item in self.items}
        if taken := [item.name for item in items if item.name in known]:
            raise InputError(
                f"the model has an item {taken[0]!r} already ({len(taken)} such names in all); "
                "remove it first or give the file another name"
            )
        new = embed_items(self.embedder, items, progress, reference=True, pooling=self.pooling)
        reference = self.items + reference_items(new)
        thumbnails = PackedBytes.of([*self.thumbnails, *new.thumbnails])
        self.detector.add(new.vectors)  # the last that may fail, and it changes nothing then
        self.items, self.thumbnails, self.unreadable = reference, thumbnails, new.unreadable
        return self

    def remove(self, names: str | Iterable[str]) -> Self:
        """Take items away by name; the model is then as if it never had them.

        Raises InputError, and changes nothing, for a name that the model does not have; ReferenceTooSmall if too few
        items would remain."""
        unwanted = self._known(names)
        kept = [place for place, item in enumerate(self.items) if item.name not in unwanted]
        reference = [self.items[place] for place in kept]
        thumbnails = PackedBytes.of(self.thumbnails[place] for place in kept)
        self.detector.remove([place for place, item in enumerate(self.items) if item.name in unwanted])
        self.items, self.thumbnails = reference, thumbnails
        return self

    @property
    def set_aside(self) -> list[str]:
        """The names of the items that the cleaning of a contaminated reference set leaves out."""
        return [self.items[position].name for position in self.detector.aside_]

    def readmit(self, names: str | Iterable[str]) -> Self:
        """Take items that were set aside back into the reference set, by name.

        Raises InputError, and changes nothing, for an item that is not set aside."""
        wanted = self._known(names)
        if strangers := wanted - set(self.set_aside):
            raise InputError(f"{min(strangers)!r} is not set aside; `dn2 inspect MODEL --aside` lists what is")
        self.detector.readmit([place for place, item in enumerate(self.items) if item.name in wanted])
        return self

    def _known(self, names: str | Iterable[str]) -> set[str]:
        """Check names of reference items."""
        asked = {names} if isinstance(names, str) else set(names)
        if unknown := asked - {item.name for item in self.items}:
            raise InputError(f"the model has no item {min(unknown)!r}; `dn2 inspect MODEL --items` lists their names")
        return asked

    def near_duplicates(self) -> list[tuple[str, str]]:
        """List pairs (item, its near copy) in the reference set."""
        return [(self.items[one].name, self.items[other].name) for one, other in self.detector.near_duplicates()]

    def describe(self) -> dict[str, Any]:
        """Say what the model is: embedder, detector, calibration; the values are those of `model.json`."""
        share = self.detector.contamination_
        return {
            "kind": "image",
            "groups": None if self.pooling is None else self.pooling.as_dict(),
            "embedder": self.embedder.as_dict(),
            "detector": self.detector.get_params(),
            "calibration": self.calibration.as_dict(self.false_alarm_rate),
            "contamination": None if share is None else asdict(share) | {"aside": len(self.detector.aside_)},
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the model as a folder; a model that is there already is replaced in one step.

        Raises InputError for a folder that is no model, ModelError if it was changed since it was loaded."""
        from dn2.saved import write

        write(self, Path(path))


def load(path: str | os.PathLike[str], *, cache: Cache | None = None) -> Model:
    """Load a saved model and check that its files are whole and that this machine embeds alike.

    cache : where embeddings are kept by content, None for nowhere.
    Raises ModelError if it is missing or damaged, NotReproducible, BackboneError."""
    from dn2.saved import read

    return read(Path(path), cache)


def reference_items(embedded: EmbeddedItems) -> list[ReferenceItem]:
    """Make reference items of embedded ones."""
    return [
        ReferenceItem(item.name, os.path.abspath(item.path), digest)
        for item, digest in zip(embedded.items, embedded.digests, strict=True)
    ]


def _batch(pairs: Iterator[tuple[Item, Embedded]]) -> list[tuple[Item, Embedded]]:
    """Take items for one search: so many, or groups with so many members together."""
    batch: list[tuple[Item, Embedded]] = []
    files = 0
    while files < QUERIES_AT_ONCE and (pair := next(pairs, None)) is not None:
        batch.append(pair)
        files += max(1, len(pair[1].members))
    return batch


def _watched(embedded: Iterable[Embedded], total: int, progress: Progress | None) -> Iterator[Embedded]:
    for done, one in enumerate(embedded, 1):
        yield one
        if progress is not None:
            progress(done, total)
