"""What a report shows of a model and of the items that it scored, beside the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from dn2 import __version__
from dn2.embed.images import SHEET_CELLS, is_thumbnail, read_small, to_contact_sheet
from dn2.embed.network import Vector, cpu_count
from dn2.embedding import Progress, embed
from dn2.errors import InputError
from dn2.inputs.files import Item
from dn2.kinds.images import Images
from dn2.kinds.kind import Kind, ReferenceItem
from dn2.kinds.series import Series
from dn2.neighbors.blocks import Positions, Vectors, rows_at
from dn2.neighbors.choice import parse_index
from dn2.neighbors.conformal import Calibration
from dn2.neighbors.detector import KNNDetector
from dn2.report.results_page import Map, Surroundings, write_results_page
from dn2.report.words import describe_model
from dn2.store.reading import read_rows
from dn2.store.results import Results
from dn2.store.rows import Row

if TYPE_CHECKING:
    from dn2.model import Model
    from dn2.state import State

MOST_ON_MAP = 2_500  # of either kind
SAME_SHARE = 0.05  # of its score, or of the threshold, that the score of the same file may differ by

T = TypeVar("T")


def read_scored(
    model: Model, path: Path, root: Path, false_alarm_rate: float | None = None, progress: Progress | None = None
) -> Results:
    """Read a results file of items that the model scored, with what a report of them needs.

    root : the folder that the items' names start from, where their files are looked up.
    false_alarm_rate : decide at this rate; by default the file's decisions stand.
    Raises InputError for a file that is none, or whose p-values are not this model's."""
    now = model.state
    rate = None if false_alarm_rate is None else now.calibration.rate(false_alarm_rate)
    rows = read_rows(path)
    _check_rows(now.calibration, path, rows)
    items = now.kind.files_again(root, rows)
    evidence = ScoredItems(model, now.calibration, items, places_on_map(len(rows)), root)
    evidence.embed(now, rows, progress)
    results = Results(rows, None, now.calibration.sample_size, evidence)
    if rate is not None:
        return results.at(rate)
    decided = results.at(now.false_alarm_rate)
    return decided if decided.rows == rows else results


def _check_rows(calibration: Calibration, path: Path, rows: Sequence[Row]) -> None:
    """Refuse p-values that are not the model's, and decisions that p-values did not make."""
    scored = [row for row in rows if row.error is None]
    p_values = calibration.p_value(np.array([row.anomaly_score for row in scored], float))
    for row, p_value in zip(scored, p_values, strict=True):
        if row.p_value != p_value:
            raise InputError(
                f"{path}: the score of {row.item!r} has a p-value of {p_value:g} in this model, not {row.p_value:g}; "
                "give the model that scored the items, as it was then"
            )
    flagged = max((row.p_value or 0 for row in scored if row.is_anomaly), default=0)
    if any((row.p_value or 0) <= flagged for row in scored if not row.is_anomaly):
        raise InputError(
            f"{path}: an item with the p-value {flagged:g} or less is no anomaly there, and another is one"
        )


class ScoredItems:
    """The items that a model scored: where their pictures are, and the embeddings of those that a map shows.

    calibration : the model's when it scored them.
    items : in the order of the rows, None for one that was not found again below `root`; None where items have no
        pictures.
    on_map : places of the items to show on the map.
    guarantee : what p-values say, in words, where it is not what those of the model's calibration do."""

    def __init__(
        self,
        model: Model,
        calibration: Calibration,
        items: Sequence[Item | None] | None,
        on_map: Positions,
        root: Path | None = None,
        guarantee: Sequence[str] = (),
    ) -> None:
        self._model = model
        self._calibration = calibration
        self._root = root
        self._guarantee = guarantee
        self._items = None if items is None else list(items)
        self._on_map = set(on_map.tolist())
        self._vectors: dict[int, Vector] = {}

    def keep(self, places: Positions, vectors: Vectors) -> None:
        """Keep the embeddings that the map shows, of items at some places."""
        for place, vector in zip(places.tolist(), vectors, strict=True):
            if place in self._on_map:
                self._vectors[place] = vector.copy()  # for a row of its batch would keep all of it

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # as a model is shared by its results

    def embed(self, now: State, rows: Sequence[Row], progress: Progress | None) -> None:
        """Embed the items for the map: the cache has most of them.  What scores otherwise is another file by now."""
        if self._items is None or not isinstance(now.kind, Images):
            return
        known = [(place, item) for place in sorted(self._on_map) if (item := self._items[place]) is not None]
        embedded = embed(now.kind.embedder, [item for _, item in known], pooling=now.kind.pooling)
        for done, ((place, _), one) in enumerate(zip(known, embedded, strict=True), 1):
            if one.vector is not None and _scores_alike(now.detector, one.vector, rows[place].anomaly_score or 0):
                self._vectors[place] = one.vector
            else:
                self._items[place] = None
            if progress is not None:
                progress(done, len(known))

    def write_html(self, results: Results, path: Path, progress: Progress | None = None) -> None:
        """Write the page of results: see `Results.to_html`."""
        now = self._model.state
        if now.calibration is not self._calibration:
            raise InputError("the model has changed since it scored these items; score them again")
        pictures = _Pictures(now.kind, now.items, self._items or (), progress)
        described = describe_model(now.describe())
        if self._guarantee:  # the rate and the calibration are those of a model that scored nothing
            described = [one for one in described if one[0] not in ("calibration", "false-alarm rate")]
        near = "windows" if isinstance(now.kind, Series) else now.kind.many
        around = Surroundings(
            reference_scores=now.calibration.scores,
            model=[("dn2", __version__), *described],
            guarantee=self._guarantee or now.calibration.assumptions(),
            pictures=None if self._items is None else pictures.of_items,
            reference_pictures=None if self._items is None else pictures.of_reference,
            map=self._map(now, results),
            one=now.kind.one,
            many=now.kind.many,
            neighbors=(
                "Nearest centroids, each shown by the item nearest to it (distance of the centroid)"
                if parse_index(now.detector.index).name == "kmeans"
                else f"Nearest{'' if self._guarantee else ' normal'} {near} (distance)"
            ),
            notes=self._gone(results),
        )
        write_results_page(path, results, around)

    def _gone(self, results: Results) -> list[str]:
        if self._items is None:
            return []
        pairs = zip(results, self._items, strict=True)
        gone = sum(item is None for row, item in pairs if row.error is None)
        words = f"Not found below {self._root}, or another file by now: {gone:,} of {len(results):,} items."
        return [words] if gone else []

    def _map(self, now: State, results: Results) -> Map | None:
        from sklearn.decomposition import PCA

        places = [place for place in sorted(self._vectors) if results.rows[place].error is None]
        detector = now.detector
        if not places:
            return None
        kept = np.setdiff1d(np.arange(len(now.items)), detector.aside_)
        reference = rows_at(detector.blocks_, kept[places_on_map(len(kept))])
        if detector.learnt_ is not None:
            reference = detector.learnt_.compared(reference)
        rows = np.concatenate([reference, detector.as_compared(np.stack([self._vectors[place] for place in places]))])
        points = np.zeros((len(rows), 2))
        if np.ptp(rows, axis=0).any():
            found = PCA(min(2, *rows.shape), svd_solver="randomized", random_state=0).fit_transform(rows)
            points[:, : found.shape[1]] = found
        numbers = ((len(reference), len(kept), "reference items"), (len(places), len(results), "scored items"))
        shown = [f"{count:,} of {total:,} {what}" for count, total, what in numbers if total > MOST_ON_MAP]
        note = f"Shown are {' and '.join(shown)}, drawn at random." if shown else ""
        return Map(points[: len(reference)], points[len(reference) :], places, note)


class _Pictures:
    """Small pictures of items, of groups' members and of reference items, by name."""

    def __init__(
        self,
        kind: Kind,
        reference: Sequence[ReferenceItem],
        items: Sequence[Item | None],
        progress: Progress | None,
    ) -> None:
        self._kind = kind
        self._reference = reference
        self._items = {item.name: item for item in items if item is not None}
        self._progress = progress

    def of_items(self, names: Sequence[str]) -> dict[str, bytes]:
        wanted = set(names)
        members = [
            Item(f"{group.name}/{member.name}", member.path)
            for name in names
            if (group := self._items.get(name)) is not None
            for member in group.members or ()
            if f"{group.name}/{member.name}" in wanted
        ]
        items = [self._items[name] for name in names if name in self._items]
        return self._read({item.name: item for item in (*items, *members)}, _picture)

    def of_reference(self, names: Sequence[str]) -> dict[str, bytes]:
        kind = self._kind
        if not isinstance(kind, Images):
            return {}
        places = {item.name: place for place, item in enumerate(self._reference)}  # less those removed since
        kept = {name: bytes(kind.thumbnails[places[name]]) for name in names if name in places}
        return {name: thumbnail for name, thumbnail in kept.items() if is_thumbnail(thumbnail)}

    def _read(self, wanted: Mapping[str, T], read: Callable[[T], bytes | None]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with ThreadPoolExecutor(cpu_count()) as pool:
            try:
                for done, (name, picture) in enumerate(zip(wanted, pool.map(read, wanted.values()), strict=True), 1):
                    if picture is not None:
                        found[name] = picture
                    if self._progress is not None:
                        self._progress(done, len(wanted))
            finally:
                pool.shutdown(cancel_futures=True)  # an interrupted run does not wait for what is queued
        return found


def _picture(item: Item) -> bytes | None:
    if item.members is None:
        return read_small(item.path)
    read = (read_small(member.path) for member in item.members)
    sheet = list(islice((picture for picture in read if picture is not None), SHEET_CELLS))
    return to_contact_sheet(sheet) if sheet else None


def _scores_alike(detector: KNNDetector, vector: Vector, score: float) -> bool:
    """Tell whether an item scores as it did, but for what another processor rounds otherwise."""
    difference = abs(float(detector.anomaly_score(vector[None])[0]) - score)
    return difference <= SAME_SHARE * max(score, -detector.offset_)


def places_on_map(count: int) -> Positions:
    """Draw which of so many items a map shows, in order: (m,)."""
    return np.sort(np.random.default_rng(0).permutation(count)[:MOST_ON_MAP])
