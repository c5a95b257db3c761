"""Drift: how often a change is noticed where there is none, how soon where there is one, and its start.

Run: python benchmarks/drift.py [--only false through anomalies noticed]

False alarms: streams drawn from the scores of real pictures, CIFAR-10 embedded by lite0 and compared with frozen
neighbours; each with reference scores of its own.  By parts, of three pictures that score alike, as photos of one part
do; by item, the same streams show what parts do where nobody says which they are.  Other streams go through models from
end to end.  Changes: less light, in photographs of any scene and in digits on black; JPEGs of quality 40; a column of a
table moved by one and two of its standard deviations; messages some of which ask for what nobody asked for before.
Beside each stands the ROC AUC of the scores after it and before it: a change is noticed as far as scores change.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import dn2
from common import CIFAR10, Report, Run, begin
from dn2.arrays import Positions, Scores, Vectors
from dn2.bench.scoring import roc_auc
from dn2.kinds.exchange import Batch, Belonging, Judgement
from dn2.monitor.frozen import EVERYTHING, Frozen
from dn2.monitor.pool import heights_of
from dn2.monitor.stream import Stream

PARTS_OF_RUN = ("false", "through", "anomalies", "noticed")
CLASSES = ("automobile", "ship", "horse", "dog")
ODD = "truck"
PART = 3
LIGHTS, QUALITY = (0.85, 0.5), 40
DEVIATIONS = (1, 2)  # by which a column is moved
NEW = (0.25, 0.5)  # of the messages
MOVED = 5  # the column of the table


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    only : parts of the benchmark; backbone : of the embeddings; table : of ADBench; deltas : asked for.
    streams, length : of drawn scores; references : scores that calibrate; neighbors : pictures that these are of.
    through, through_length, through_reference : streams through models, their length, and reference items.
    shares : of anomalies in streams.
    changes : draws of each change; reference, before, after : items of the set, and on both sides of the change."""

    only: tuple[str, ...] = PARTS_OF_RUN
    backbone: str = "lite0"
    table: str = "41_Waveform"
    deltas: tuple[float, ...] = (0.05, 0.01)
    streams: int = 1_000
    length: int = 10_000
    references: tuple[int, ...] = (99, 300, 1_000)
    neighbors: int = 1_000
    through: int = 200
    through_length: int = 1_000
    through_reference: int = 300
    shares: tuple[float, ...] = (0.01, 0.03, 0.1)
    changes: int = 50
    reference: int = 1_000
    before: int = 1_000
    after: int = 1_300


SMALLEST = Sizes(
    backbone="lite0@32",
    table="45_wine",
    streams=3,
    length=60,
    references=(9,),
    neighbors=20,
    through=2,
    through_length=9,
    through_reference=20,
    shares=(0.1,),
    changes=2,
    reference=5,
    before=2,
    after=9,
)


@dataclass(frozen=True)
class Drawn(Frozen):
    """A frozen model with other scores that calibrate, (m,), one of each part."""

    drawn: Scores

    @cached_property
    def heights(self) -> dict[str, Positions]:
        """The scores, as heights."""
        return {EVERYTHING: heights_of(self.drawn)}


class Streams:
    """Streams of drawn scores; parts : (n,) the part of each item, None for none."""

    def __init__(self, n: int, parts: Sequence[str] | None) -> None:
        rows = np.random.default_rng(0).normal(size=(60, 2))
        labels = None if parts is None else [f"of the set {place}" for place in range(60)]
        model = dn2.fit(rows, part=labels, confidence=0.5, false_alarm_rate=0.1)  # which holds items out itself
        self.frozen = Frozen.of(model.state)
        self.batch = Batch([f"{place}" for place in range(n)], {}, np.arange(n), np.empty((n, 0), np.float32), None)
        self.belonging = Belonging(parts)

    def alarms(self, calibrating: Scores, scores: Scores, deltas: Sequence[float], seed: int) -> list[bool]:
        """Tell for each delta, the laxest first, whether there is an alarm."""
        judgement = Judgement(scores, np.empty((0, 1), np.float32), np.empty((0, 1), np.int64))
        found: list[bool] = []
        for delta in deltas:
            stream = Stream(Drawn(self.frozen.detector, self.frozen.scoring, calibrating), delta, seed)
            if all(found):  # what does not reach 1 / delta does not reach more
                stream.see(self.batch, judgement, self.belonging)
            found.append(stream.alarm is not None)
        return found


def real_scores(usual: Vectors, odd: Vectors, sizes: Sizes) -> tuple[Scores, Scores]:
    """Return the scores of pictures, and those of odd ones, against frozen neighbours, which are none of them."""
    usual = np.random.default_rng(1).permutation(usual)
    detector = dn2.KNNDetector(2, normalize="root-unit").fit(usual[: sizes.neighbors])
    return detector.anomaly_score(usual[sizes.neighbors :]), detector.anomaly_score(odd)


def by_item(scores: Scores, m: int, length: int, rng: np.random.Generator) -> tuple[Scores, Scores]:
    """Draw scores that calibrate, and a stream."""
    drawn = rng.choice(scores, m + length, replace=len(scores) < m + length)
    return drawn[:m], drawn[m:]


def by_part(scores: Scores, m: int, length: int, rng: np.random.Generator) -> tuple[Scores, Scores]:
    """Draw parts of items that score alike: one item of each that calibrates, and all of those of a stream."""
    ascending = np.sort(scores)[: len(scores) // PART * PART].reshape(-1, PART)
    n = -(-length // PART)
    drawn = rng.permuted(ascending[rng.choice(len(ascending), m + n, replace=len(ascending) < m + n)], axis=1)
    return drawn[:m, 0], drawn[m:].ravel()[:length]


def measure_false(run: Run[Sizes], report: Report, usual: Vectors, odd: Vectors) -> None:
    """Count alarms in streams that do not change."""
    sizes = run.sizes
    scores, _ = real_scores(usual, odd, sizes)
    deltas = sorted(sizes.deltas, reverse=True)
    labels = [f"{place // PART}" for place in range(sizes.length)]
    report.say(f"\nfalse: alarms in {sizes.streams:,} streams of {sizes.length:,} scores that do not change, at delta")
    report.say(f"  {'':<40}" + "".join(f"{delta:>10g}" for delta in deltas))
    for name, draw, parts, is_kept in (
        ("one by one", by_item, None, True),
        (f"parts of {PART}, by part", by_part, labels, True),
        (f"parts of {PART}, by item", by_part, None, False),
    ):
        streams = Streams(sizes.length, parts)
        for m in sizes.references if is_kept else sizes.references[:1]:
            rng = np.random.default_rng([m, len(name)])
            found = [
                streams.alarms(*draw(scores, m, sizes.length, rng), deltas, seed)  # type: ignore[operator]
                for seed in range(sizes.streams)
            ]
            shares = np.mean(found, axis=0)
            report.say(f"  {name:<22}{m:>6,} references{'':<2}" + "".join(f"{share:>10.3f}" for share in shares))
            report.save()
            for share, delta in zip(shares, deltas, strict=True):
                most = delta + 3 * np.sqrt(delta * (1 - delta) / sizes.streams)
                report.claim(not is_kept or share <= most, f"{name}: {share} alarms at {delta}")


def measure_through(run: Run[Sizes], report: Report, usual: Vectors, odd: Vectors) -> None:
    """Count alarms of monitors whose models score pictures that do not change."""
    sizes, alarms = run.sizes, 0
    delta = max(sizes.deltas)
    for seed in range(sizes.through):
        rows = np.random.default_rng(seed).permutation(usual)[: sizes.through_reference + sizes.through_length]
        model = dn2.fit(rows[: sizes.through_reference], normalize="root-unit", seed=seed)
        monitor = dn2.DriftMonitor(model, delta=delta, seed=seed)
        monitor.score(rows[sizes.through_reference :])
        alarms += monitor.alarm is not None
    report.say(
        f"\nthrough: {alarms} alarms at delta {delta:g} of {sizes.through} models of {sizes.through_reference} "
        f"pictures each, half of them held out, that score {sizes.through_length:,}"
    )
    report.save()


def measure_anomalies(run: Run[Sizes], report: Report, usual: Vectors, odd: Vectors) -> None:
    """Count alarms in streams with a steady share of anomalies, which reference items are without."""
    sizes, m = run.sizes, run.sizes.references[len(run.sizes.references) // 2]
    normal, odd_scores = real_scores(usual, odd, sizes)
    streams, delta = Streams(sizes.length, None), min(sizes.deltas)
    report.say(f"\nanomalies: a steady share of {ODD}s, {m} references, {sizes.length:,} scores, alarms at {delta:g}")
    for share in sizes.shares:
        found = []
        for seed in range(max(2, sizes.streams // 5)):
            rng = np.random.default_rng([seed, 7])
            calibrating, scores = by_item(normal, m, sizes.length, rng)
            places = rng.random(len(scores)) < share
            scores[places] = rng.choice(odd_scores, places.sum())
            found.append(streams.alarms(calibrating, scores, [delta], seed)[0])
        report.say(f"  {share:>6.0%} of the stream: alarms in {np.mean(found):.3f} of {len(found)} streams")
        report.save()


class Change(NamedTuple):
    """A change to notice.

    name : of it; usual, changed : items before it, and after; fit : makes a model of reference items."""

    name: str
    usual: Any
    changed: Any
    fit: Callable[[Any], Any]


def changes_of(run: Run[Sizes], folder: Path) -> Iterator[Change]:
    """Give the changes, one after the other."""
    sizes = run.sizes
    files = sorted(file for file in folder.rglob("*.png") if file.parent.name == CLASSES[0])
    pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    embedder = dn2.ImageEmbedder(sizes.backbone, cache=False)
    usual = embedder.transform(pictures)

    def fit_vectors(rows: Vectors) -> Any:
        return dn2.fit(rows, normalize="root-unit")

    lights = [(f"light x {light:g}", partial(darkened, light)) for light in LIGHTS]
    for name, change in (*lights, (f"JPEG quality {QUALITY}", compressed)):
        yield Change(f"{CLASSES[0]}s, {name}", usual, embedder.transform([*map(change, pictures)]), fit_vectors)
    with np.load(run.need("mnist/mnist.npz")) as held:
        digits = held["x_train"][held["y_train"] == 0][: sizes.reference + sizes.before + sizes.after]
    in_light = [*map(partial(darkened, LIGHTS[0]), digits)]
    both = embedder.transform([*digits]), embedder.transform(in_light)
    yield Change(f"zeros of MNIST, light x {LIGHTS[0]:g}", *both, fit_vectors)
    with np.load(run.need(f"tabular_adbench/{sizes.table}.npz")) as held:
        rows = held["X"][held["y"] == 0].astype(np.float64)
    column = min(MOVED, rows.shape[1] - 1)
    for deviations in DEVIATIONS:
        moved = rows.copy()
        moved[:, column] += deviations * rows[:, column].std()
        as_lists = rows.tolist(), moved.tolist()
        tables = [[{f"c{place}": value for place, value in enumerate(row)} for row in some] for some in as_lists]
        yield Change(f"{sizes.table}, a column moved by {deviations} s.d.", *tables, fit_table)
    records = [json.loads(line) for line in run.need("text/clinc150_full.jsonl").read_text("utf-8").splitlines()]
    texts = [[record["text"] for record in records if (record["intent"] == "oos") == new] for new in (False, True)]
    rng = np.random.default_rng(0)
    for share in NEW:
        mixed = [str(rng.choice(texts[int(rng.random() < share)])) for _ in range(len(texts[1]) * 2)]
        yield Change(f"messages, {share:.0%} new", texts[0], mixed, fit_texts)


def fit_table(rows: Sequence[Any]) -> Any:
    """Fit rows of a table."""
    return dn2.fit(rows, kind="table")


def fit_texts(texts: Sequence[str]) -> Any:
    """Fit messages."""
    return dn2.fit(texts, kind="text", backbone="characters", cache=False)


def darkened(light: float, pixels: Any) -> Any:
    """Return a picture in less light."""
    return (pixels * light).astype(np.uint8)


def compressed(pixels: Any) -> Any:
    """Return a picture as a JPEG has it."""
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(held))


def measure_noticed(run: Run[Sizes], report: Report, folder: Path) -> None:
    """Count the items from a change to the alarm, and to what is told as its start."""
    sizes, delta = run.sizes, min(run.sizes.deltas)
    report.say(
        f"\nnoticed: {sizes.changes} draws of {sizes.reference:,} reference items, {sizes.before:,} before the change "
        f"and {sizes.after:,} after it, delta {delta:g}; medians"
    )
    header = ("AUC", "noticed", "too soon", "items to alarm", "start is off by", "share of these")
    report.say(f"  {'':<42}" + "".join(f"{one:>17}" for one in header))
    for change in changes_of(run, folder):
        delays, errors, aucs, too_soon = [], [], [], 0
        for seed in range(sizes.changes):
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(change.usual))
            usual = [change.usual[place] for place in order[: sizes.reference + sizes.before]]
            # Other items than those before, where the changed ones are the same items, changed.
            paired = len(change.changed) == len(change.usual)
            after = order[sizes.reference + sizes.before :] if paired else rng.permutation(len(change.changed))
            changed = [change.changed[place] for place in after[: sizes.after]]
            monitor = dn2.DriftMonitor(change.fit(usual[: sizes.reference]), delta=delta, seed=seed)
            before = monitor.score(usual[sizes.reference :], progress=False)
            if monitor.alarm is not None:
                too_soon += 1
                continue
            results = monitor.score(changed, progress=False)
            scores = [row.anomaly_score or 0.0 for row in (*before, *results)]
            aucs.append(roc_auc(np.array(scores), np.arange(len(scores)) >= len(before)))
            if monitor.alarm is not None:
                delays.append(monitor.alarm.at.number - sizes.before)
                errors.append(abs(monitor.alarm.since.number - 1 - sizes.before))
        left = sizes.changes - too_soon
        figures = ["-"] * 3
        if delays:
            share = np.median(np.array(errors) / delays)
            figures = [f"{np.median(delays):.0f}", f"{np.median(errors):.0f}", f"{share:.3f}"]
        auc = f"{np.mean(aucs):.2f}" if aucs else "-"
        of_all = (auc, f"{len(delays)} of {left}", str(too_soon), *figures)
        report.say(f"  {change.name:<42}" + "".join(f"{one:>17}" for one in of_all))
        report.save()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all parts, and keep the result after each."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    report, sizes = run.report("drift"), run.sizes
    parts = {"false": measure_false, "through": measure_through, "anomalies": measure_anomalies}
    with run.unpacked(CIFAR10) as folder:
        if set(parts) & set(sizes.only):
            embedder = dn2.ImageEmbedder(sizes.backbone, cache=False)
            files = sorted(folder.rglob("*.png"))
            usual, odd = (
                embedder.transform([file for file in files if file.parent.name in names]) for names in (CLASSES, (ODD,))
            )
            for name, measure in parts.items():
                if name in sizes.only:
                    measure(run, report, usual, odd)
        if "noticed" in sizes.only:
            measure_noticed(run, report, folder)


if __name__ == "__main__":
    main()
