"""Feedback in loops: what becomes of the false-alarm rate and of what is found, and what audits tell of both.

Run: python benchmarks/feedback.py [--only loops audits]

Pictures of CIFAR-10, embedded by lite0: one class is normal, another is odd.  In each of many loops a reference set is
drawn, and twenty batches are scored, one after the other; of what is flagged a person says truly what it is.  The rate
is then that of normal items which were in no batch.  A month of audits is a stream of items, some of them odd, one in
twenty of which is put before a person; "in turn" has two cameras, and the second shows another class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

import dn2
from common import CIFAR10, Report, Run, begin
from dn2.arrays import Scores, Vectors
from feedback_figure import draw

PARTS_OF_RUN = ("loops", "audits")
PAIRS = (("automobile", "truck"), ("ship", "airplane"), ("horse", "deer"), ("dog", "cat"))
AUDIT = 20
COVERED = 0.95


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    only : parts of the benchmark; backbone : of the embeddings; pairs : how many of `PAIRS`.
    loops : of all pairs together; rounds : batches in each; reference, batch, odd : normal items of a reference set and
    of a batch, and odd ones in that; rates : asked for.
    months, month, odd_in_month : simulated months, the normal items of each, and the odd ones."""

    only: tuple[str, ...] = PARTS_OF_RUN
    backbone: str = "lite0"
    pairs: int = 4
    loops: int = 200
    rounds: int = 20
    reference: int = 1_000
    batch: int = 60
    odd: int = 6
    rates: tuple[float, ...] = (0.01,)
    months: int = 200
    month: int = 1_500
    odd_in_month: int = 300


SMALLEST = Sizes(
    backbone="lite0@32",
    pairs=1,
    loops=2,
    rounds=2,
    reference=20,
    batch=3,
    odd=3,
    rates=(0.2,),
    months=2,
    month=8,
    odd_in_month=10,
)


@dataclass
class Loop:
    """A loop of feedback.

    model : as it is by now; rate : asked for; is_cleaned : whether items were removed, see `by_removing`."""

    model: dn2.Model
    rate: float
    is_cleaned: bool = False

    def score(self, rows: Vectors, names: Sequence[str]) -> Scores:
        """Return the p-values of rows."""
        return np.array([row.p_value for row in self.model.score(rows, names=names)])


def by_feedback(loop: Loop, normal: Vectors, odd: Vectors, names: tuple[list[str], list[str]]) -> None:
    """Say of all that is flagged what it is, to `Model.feedback`."""
    rows, both = np.concatenate([normal, odd]), names[0] + names[1]
    flagged = np.flatnonzero(loop.score(rows, both) <= loop.rate)
    said = {both[place]: "normal" if place < len(normal) else "defect" for place in flagged}
    if said:
        loop.model.feedback(said, rows, names=both)


def adding(worth: Callable[[Scores], Scores]) -> Callable[..., None]:
    """Add normal items by their p-values, as people do without feedback; worth : which of them, (n,) bool."""

    def add(loop: Loop, normal: Vectors, odd: Vectors, names: tuple[list[str], list[str]]) -> None:
        chosen = np.flatnonzero(worth(loop.score(normal, names[0])))
        if len(chosen):
            loop.model.add(normal[chosen], names=[names[0][place] for place in chosen])

    return add


def by_removing(loop: Loop, *_: object) -> None:
    """Remove the reference items that score highest among the others, 5 % of them, once."""
    if not loop.is_cleaned:
        near = loop.model.detector.leave_one_out.distances.mean(axis=1)
        highest = np.argsort(-near)[: len(near) // 20]
        loop.model.remove([loop.model.items[place].name for place in highest])
        loop.is_cleaned = True


WAYS: dict[str, Callable[..., None]] = {
    "dn2 feedback": by_feedback,
    "nothing": lambda *_: None,
    "adding p > 0.1": adding(lambda p_values: p_values > 0.1),
    "adding p <= 0.05": adding(lambda p_values: p_values <= 0.05),
    "removing the top 5 %": by_removing,
}


def run_loop(way: str, normal: Vectors, odd: Vectors, sizes: Sizes, rate: float, seed: int) -> tuple[float, float]:
    """Return the share of fresh normal items that is flagged after a loop, and that of odd ones."""
    rng = np.random.default_rng(seed)
    normal, odd = rng.permutation(normal), rng.permutation(odd)
    reference, rest = normal[: sizes.reference], normal[sizes.reference :]
    loop = Loop(dn2.fit(reference, false_alarm_rate=rate, normalize="root-unit", seed=seed), rate)
    for number in range(sizes.rounds):
        batches = [rows[number * size : (number + 1) * size] for rows, size in ((rest, sizes.batch), (odd, sizes.odd))]
        names = tuple(
            [f"{what} {number}-{place}" for place in range(len(rows))]
            for what, rows in zip(("normal", "odd"), batches, strict=True)
        )
        WAYS[way](loop, *batches, names)
    used = sizes.rounds * sizes.batch, sizes.rounds * sizes.odd
    return tuple(  # type: ignore[return-value]
        float((loop.model.detector.p_value(rows[start:]) <= rate).mean())
        for rows, start in ((rest, used[0]), (odd, used[1]))
    )


def measure_loops(run: Run[Sizes], report: Report, data: Sequence[tuple[Vectors, Vectors]]) -> None:
    """Compare feedback with what people do without it."""
    sizes = run.sizes
    report.say(
        f"\nloops: {sizes.loops} of {sizes.rounds} batches of {sizes.batch} normal and {sizes.odd} odd pictures, "
        f"{sizes.reference} reference items; shares flagged afterwards, +- standard error"
    )
    report.say(f"  {'':<22}" + "".join(f"{f'fresh normal, {rate:g}':>26}{'odd':>16}" for rate in sizes.rates))
    of_first_rate: dict[str, tuple[float, float]] = {}
    for way in WAYS:
        figures = ""
        for rate in sizes.rates:
            loops = [run_loop(way, *data[seed % len(data)], sizes, rate, seed) for seed in range(sizes.loops)]
            for (mean, error), width, digits in zip(_means(loops), (26, 16), (4, 3), strict=True):
                figures += f"{f'{mean:.{digits}f} +- {error:.{digits}f}':>{width}}"
                of_first_rate.setdefault(way, (mean, error))
        report.say(f"  {way:<22}{figures}")
        report.save()
    if run.output is not None:
        draw(of_first_rate, sizes.rates[0], run.output / "feedback.svg")


def _means(values: Sequence[tuple[float, ...]]) -> Iterator[tuple[float, float]]:
    """Give the mean of each column, and its standard error."""
    columns = np.array(values)
    yield from zip(columns.mean(axis=0), columns.std(axis=0, ddof=1) / np.sqrt(len(columns)), strict=True)


def measure_audits(run: Run[Sizes], report: Report, data: Sequence[tuple[Vectors, Vectors]]) -> None:
    """Compare what audits tell of a month with the month."""
    sizes = run.sizes
    report.say(
        f"\naudits: {sizes.months} months of {sizes.month:,} normal and {sizes.odd_in_month} odd pictures, one in "
        f"{AUDIT} audited, decided at 0.05; intervals of {COVERED:.0%} that hold the share of the whole month"
    )
    for name, in_turn in (("one camera", False), ("two in turn", True)):
        held: list[tuple[bool, bool]] = []
        audited: list[tuple[int, int]] = []
        for seed in range(sizes.months):
            normal, odd = data[seed % len(data)]
            other = data[(seed + 1) % len(data)][0] if in_turn else normal
            found, sizes_of = run_month(normal, other, odd, sizes, seed)
            held.append(found)
            audited.append(sizes_of)
        shares, counts = np.mean(held, axis=0), np.mean(audited, axis=0)
        report.say(
            f"  {name:<12} false alarms {shares[0]:.3f} of months, from {counts[0]:.0f} audited normal items; "
            f"detections {shares[1]:.3f}, from {counts[1]:.0f} defects"
        )
        report.save()


def run_month(
    normal: Vectors, other: Vectors, odd: Vectors, sizes: Sizes, seed: int
) -> tuple[tuple[bool, bool], tuple[int, int]]:
    """Score a month; tell whether the intervals of both shares hold them, and how many items were audited of both."""
    rng = np.random.default_rng(seed)
    normal, odd, other = rng.permutation(normal), rng.permutation(odd), rng.permutation(other)
    model = dn2.fit(normal[: sizes.reference], false_alarm_rate=0.05, normalize="root-unit", seed=seed)
    usual = normal[sizes.reference :][: sizes.month]
    turns = (np.arange(len(usual)) // 100) % 2 == 1
    usual[turns] = other[-len(usual) :][turns] if other is not normal else usual[turns]
    rows = np.concatenate([usual, odd[: sizes.odd_in_month]])
    names = [f"{seed} {place}" for place in range(len(rows))]
    scored = model.score(rows, names=names, audit=AUDIT)
    is_odd = np.arange(len(rows)) >= len(usual)
    flagged = np.array([bool(row.is_anomaly) for row in scored])
    said = [
        dn2.Verdict(row.item, "defect" if odd_one else "normal", audit=True)
        for row, odd_one in zip(scored, is_odd, strict=True)
        if row.audit
    ]
    if not said:
        return (True, True), (0, 0)
    told = model.feedback(said, rows, names=names)
    truth = flagged[~is_odd].mean(), flagged[is_odd].mean()
    intervals = told.false_alarms.interval, told.detections.interval
    held = [low <= share <= high for (low, high), share in zip(intervals, truth, strict=True)]
    return (held[0], held[1]), (told.false_alarms.of, told.detections.of)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all parts, and keep the result after each."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    report, sizes = run.report("feedback"), run.sizes
    embedder = dn2.ImageEmbedder(sizes.backbone, cache=False)
    with run.unpacked(CIFAR10) as folder:
        files = sorted(folder.rglob("*.png"))
        data = [
            tuple(embedder.transform([file for file in files if file.parent.name == name]) for name in pair)
            for pair in PAIRS[: sizes.pairs]
        ]
    parts = {"loops": measure_loops, "audits": measure_audits}
    for name in sizes.only:
        parts[name](run, report, data)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
