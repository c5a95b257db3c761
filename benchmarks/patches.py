"""Small defects on magnetic tiles: whole pictures, PatchCore, PaDiM, and dn2's patches; figures of pictures and pixels.

Run: python benchmarks/patches.py [--methods PatchCore "dn2 --patches, default"] [--resolution 256] [--bank 2000]

Good tiles are learnt from and tested by split.csv; photographs of one tile are a part.  PatchCore and PaDiM are written
from their papers (dn2.kinds.image.bench.patches), on the maps of dn2's default network and pictures squashed to a
square.  Each method runs in a process of its own, without a cache.  Banks are of 2,000 patches, of the preset accurate
of 4,000, unless another size is given for all; "PatchCore, 1 %" keeps as many as its paper does, here some 6,800.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from common import Run, apart, begin, peak_memory, timed
from dn2.kinds.image.bench.patches.measuring import watch
from dn2.kinds.image.bench.patches.methods import (
    PADIM,
    PATCHCORE,
    WHOLE,
    Fitted,
    Learn,
    Seen,
    Settings,
    learn_patchcore,
    methods,
)
from dn2.kinds.image.labelled.masks import Mask
from dn2.kinds.image.labelled.sets import LabelledPicture
from dn2.results.rows import Row

TILES = "magnetic_tile/magnetic_tile.zip"
OF_ALL = f"{PATCHCORE}, 1 %"
RATES = (0.05, 0.1)
FIGURES = {
    "pictures": "picture ROC AUC",
    "pixels": "ROC AUC of pixels",
    "AUPRO": "AUPRO up to 0.3",
    "best F1": "best F1 of pixels",
    "F1 regions": "F1 of pixels in regions",
    "found @5%": "found where 5% of normal ones are flagged",
    "normal+region": "normal pictures with a region",
}


@dataclass(frozen=True)
class Sizes:
    """What is measured; learning, testing : at most so many tiles."""

    methods: tuple[str, ...] = (WHOLE, PATCHCORE, OF_ALL, PADIM, "dn2 --patches, default", "dn2 --patches, accurate")
    resolution: int = 256
    bank: int | None = None
    learning: int = 1_000_000
    testing: int = 1_000_000


SMALLEST = Sizes(methods=(WHOLE, PATCHCORE, PADIM), resolution=64, bank=20, learning=12, testing=8)


@dataclass(frozen=True)
class Told:
    """A method with what it said already; see `Fitted`."""

    threshold: float | None
    rate: float | None
    unreadable: Sequence[Row]
    said: Sequence[Seen | str]

    def see(self, pictures: Sequence[LabelledPicture]) -> Iterator[Seen | str]:
        """See `Fitted`."""
        yield from self.said


@dataclass(frozen=True)
class Measured:
    """What a method did: figures by name, shares found and false alarms by rate, seconds, and MiB."""

    figures: dict[str, float]
    by_defect: dict[str, float]
    decided: dict[float, tuple[float, float] | None]
    fit: float
    test: float
    memory: float


def read_tiles(run: Run[Any], folder: Path) -> list[LabelledPicture]:
    """Unpack the tiles, and read their truth from split.csv."""
    with zipfile.ZipFile(run.need(TILES)) as archive:
        archive.extractall(folder)
    with open(run.need("magnetic_tile/split.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    return [read_tile(folder, row) for row in rows]


def read_tile(folder: Path, row: dict[str, str]) -> LabelledPicture:
    """Read one row of split.csv."""
    is_anomalous = row["label"] == "1"
    return LabelledPicture(
        row["image"],
        folder / row["image"],
        row["split"],
        is_anomalous,
        row["kind"] if is_anomalous else None,
        Mask(folder / row["mask"]) if is_anomalous else None,
        row["tile_group"],
    )


def find_method(name: str) -> Learn:
    """Return a method by name.  Ends the benchmark for an unknown one."""
    known = {**methods(), OF_ALL: partial(learn_patchcore, of_all=True)}
    if name not in known:
        sys.exit(f"{name} is no method; choose from {', '.join(known)}")
    return known[name]


def measure(
    name: str, learning: Sequence[LabelledPicture], testing: Sequence[LabelledPicture], settings: Settings
) -> Measured:
    """Fit a method, and test it."""
    learn = find_method(name)
    fit, fitted = timed(lambda: learn(learning, settings))
    memory = peak_memory()
    test, said = timed(lambda: list(fitted.see(testing)))
    watched = watch(told(fitted, said), testing)
    figures = {"picture ROC AUC": watched.roc_auc(), **dict(watched.figures(fitted.rate))}
    by_defect = dict(watched.by_defect(fitted.rate))
    return Measured(figures, by_defect, {rate: watched.decided(rate) for rate in RATES}, fit, test, memory)


def told(fitted: Fitted, said: Sequence[Seen | str]) -> Told:
    """Keep what a method said."""
    return Told(fitted.threshold, fitted.rate, fitted.unreadable, said)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of figures, one of kinds, and one of decisions and costs."""
    run = begin(__doc__, arguments, Sizes(), SMALLEST)
    sizes, report = run.sizes, run.report("patches")
    for name in sizes.methods:
        find_method(name)
    with tempfile.TemporaryDirectory() as folder:
        tiles = read_tiles(run, Path(folder))
        learning = [tile for tile in tiles if tile.split == "train" and not tile.is_anomalous][: sizes.learning]
        testing = [tile for tile in tiles if tile.split == "test"]
        testing = testing[:: -(-len(testing) // sizes.testing)]
        parts = [tile.part for tile in learning]
        rate = 0.5 if run.smallest else RATES[0]  # few tiles support no other
        settings = Settings(sizes.resolution, sizes.bank, false_alarm_rate=rate, parts=parts)
        defective = sum(tile.is_anomalous for tile in testing)
        report.say(
            f"{len(learning)} good tiles of {len(set(parts))} parts to learn from; {len(testing)} tested, of which "
            f"{defective} defective; {sizes.resolution} px"
        )
        found, head = {}, list(report.lines)
        for name in sizes.methods:
            found[name] = apart(measure, name, learning, testing, settings, here=run.smallest)
            print(f"{name}: {found[name].fit:.0f} s to fit, {found[name].test:.0f} s to test", file=sys.stderr)
            report.lines = [*head, *tables(found, len(testing))]  # kept, in case that the next one is interrupted
            report.save()
    report.lines = head
    for line in tables(found, len(testing)):
        report.say(line)
    measured = {key for one in found.values() for key in one.figures}
    report.claim(measured >= set(FIGURES.values()), f"a column is empty: {set(FIGURES.values()) - measured}")
    report.save()


def tables(found: dict[str, Measured], n: int) -> list[str]:
    """Write what was found; n : tiles that were tested."""
    lines = ["", "in %; F1 regions: at the model's own threshold; found @5%: where a threshold flags 5 % of good tiles"]
    lines.append(row_of("", FIGURES, 14))
    for name, one in found.items():
        lines.append(row_of(name, (in_percent(one.figures.get(key)) for key in FIGURES.values()), 14))
    lines += ["", "by kind of defect, and by area as a share of the tile, in %", row_of("", found, 26)]
    for key in dict.fromkeys(key for one in found.values() for key in one.by_defect):
        lines.append(row_of(key, (in_percent(one.by_defect.get(key)) for one in found.values()), 26))
    heads = [f"{word} @{rate:g}" for rate in RATES for word in ("found", "alarms")]
    lines += ["", "at a rate asked for, by part: tiles found and false alarms, in %; and what it costs"]
    lines.append(row_of("", [*heads, "fit, s", "pictures/s", "fit, MiB"], 13))
    for name, one in found.items():
        shares = [in_percent(share) for rate in RATES for share in one.decided[rate] or (None, None)]
        costs = [f"{one.fit:.1f}", f"{n / one.test:.1f}", f"{one.memory:.0f}"]
        lines.append(row_of(name, [*shares, *costs], 13))
    return lines


def row_of(name: str, cells: Iterable[str], width: int) -> str:
    """Lay out a row."""
    return (f"  {name:<26}" + "".join(f"{cell:>{width}}" for cell in cells)).rstrip()


def in_percent(share: float | None) -> str:
    """Write a share, or nothing."""
    return "" if share is None else f"{100 * share:.2f}"


if __name__ == "__main__":
    main()
