"""The protocol from start to end: a labelled data set in, a result out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dn2.bench.context import ProgressFactory
from dn2.bench.result import FurtherRow, Measurement, Result
from dn2.errors import InputError
from dn2.inputs.labels import check_all_labelled, labels_by
from dn2.kinds.image.bench import PATCHES, PatchesOptions
from dn2.kinds.image.bench.patches.measuring import watch
from dn2.kinds.image.bench.patches.methods import Learn, Settings, methods
from dn2.kinds.image.known import tested
from dn2.kinds.image.labelled import find_categories, read_labelled
from dn2.kinds.image.labelled.sets import LabelledPicture, LabelledSet
from dn2.kinds.image.options import DEFAULT_RESOLUTION
from dn2.results.rows import Row
from dn2.results.words import rate_in_words
from dn2.store.cache import Cache
from dn2.system.interface import option

SEED = 0
NOTES = (
    "PatchCore and PaDiM are written from their papers, on the maps of the network that dn2 uses by default, of "
    "pictures squashed to a square: a bank of the default size, chosen greedily among all patches, with a re-weighted "
    "highest distance as the score; a Gaussian of 100 channels at each place. Their maps are smoothed. "
    "They have no decision.",
    "Found and false alarms: at the rate that dn2 decides at, averaged within parts first. F1 of pixels in regions: at "
    "dn2's own threshold; best F1: at the threshold that is best for the test pictures.",
    "What is drawn at random is drawn by one seed.",
    "Times are those of learning and testing, with the networks where maps are not in the cache.",
)


@dataclass(frozen=True)
class Halves:
    """The pictures of a data set that are learnt from, and those that test."""

    learning: Sequence[LabelledPicture]
    testing: Sequence[LabelledPicture]

    @classmethod
    def of(cls, found: LabelledSet) -> Halves:
        """Take the normal training pictures and the test; where there is no split, a random half of the normal
        pictures, of whole parts.

        Raises InputError unless there are pictures of each sort."""
        learning = [one for one in found.pictures if one.split == "train" and not one.is_anomalous]
        testing = tested(found)
        if not any(one.split is not None for one in found.pictures):
            normal = [one for one in testing if not one.is_anomalous]
            parts = sorted({one.part or one.name for one in normal})
            order = np.random.default_rng(SEED).permutation(len(parts))[: len(parts) // 2]
            drawn = {parts[place] for place in order.tolist()}
            learning = [one for one in normal if (one.part or one.name) in drawn]
            names = {one.name for one in learning}
            testing = [one for one in testing if one.name not in names]
        n_anomalous = sum(one.is_anomalous for one in testing)
        if not learning or not n_anomalous or n_anomalous == len(testing):
            raise InputError(
                f"{found.folder}, read as {found.layout}, must hold normal pictures to learn from, and normal and "
                f"anomalous ones to test, got {len(learning):,}, {len(testing) - n_anomalous:,} and {n_anomalous:,}"
            )
        return cls(learning, testing)

    def labelled(self, part: str | None) -> Halves:
        """Label each picture by a rule as for `dn2.fit`; without one the data set's own parts stay.

        Raises InputError for pictures to learn from without a label."""
        if part is None:
            return self
        learning, testing = (_labelled(part, some) for some in (self.learning, self.testing))
        names = [one.name for one in learning]
        check_all_labelled([one.part for one in learning], names, part, "part")
        return Halves(learning, testing)


def run_patches(data: Path, options: PatchesOptions, progress_of: ProgressFactory) -> Result:
    """Run the protocol; see `dn2.kinds.protocols.Protocol`."""
    result = Result(PATCHES.title, "category", notes=list(NOTES))
    settings = _settings(options)
    names = options.category or find_categories(data) or (None,)
    halves = {}
    for name in names:  # refused before the work rather than after it
        found = read_labelled(data, name)
        halves[found.folder.name or found.layout] = Halves.of(found).labelled(options.part)
        result.unreadable += [Row(item, error=error) for item, error in found.errors.items()]
    for setting, half in halves.items():
        words = f"{len(half.learning):,} pictures to learn from, {len(half.testing):,} to test"
        result.notes.append(f"{setting}: {words}.")
    _compare(result, halves, settings, progress_of)
    _add_rows(result)
    return result


def _settings(options: PatchesOptions) -> Settings:
    if options.resolution == "full":
        raise InputError(f"{option('resolution')} must be a number here: other methods squash pictures to a square")
    return Settings(
        resolution=DEFAULT_RESOLUTION if options.resolution is None else int(options.resolution),
        bank=options.bank,
        precision=options.precision,
        false_alarm_rate=options.false_alarm_rate,
        cache=Cache.of(options.cache),
    )


def _labelled(rule: str, pictures: Sequence[LabelledPicture]) -> list[LabelledPicture]:
    labels = labels_by(rule, [picture.name for picture in pictures], {}, "part")
    return [replace(picture, part=label) for picture, label in zip(pictures, labels, strict=True)]


def _compare(result: Result, halves: Mapping[str, Halves], settings: Settings, progress_of: ProgressFactory) -> None:
    """Measure each method on each category."""
    compared: dict[str, Learn] = methods()
    unreadable: dict[str, Row] = {}
    with progress_of("methods") as show:
        done, total = 0, len(compared) * len(halves)
        for setting, half in halves.items():
            parts = [picture.part for picture in half.learning]
            own = replace(settings, parts=None if None in parts else parts)
            for method, learn in compared.items():
                with result.timing(method):
                    fitted = learn(half.learning, own)
                    watched = watch(fitted, half.testing)
                figures = dict(watched.figures(fitted.rate))
                figures |= watched.by_defect(fitted.rate) if len(halves) == 1 else ()
                n = len(half.learning) - len(fitted.unreadable)
                result.measurements.append(Measurement(method, setting, "normal", None, n, watched.roc_auc(), figures))
                unreadable |= {row.item: row for row in (*fitted.unreadable, *watched.unreadable)}
                if fitted.rate is not None:
                    note = f"{setting}, {method}: decided at {rate_in_words(fitted.rate)}."
                    result.notes += [] if note in result.notes else [note]
                done += 1
                show(done, total)
    result.unreadable += unreadable.values()


def _add_rows(result: Result) -> None:
    """Give each figure a row: averaged over all categories, or of the only one that there is."""
    only = result.settings[0] if len(result.settings) == 1 else None
    fullest = max(result.measurements, key=lambda one: len(one.figures))
    names = dict.fromkeys([*fullest.figures, *result.figures])
    result.further_rows = [FurtherRow(name, only) for name in names]
    if only is None:
        result.notes.append(f"Kinds of defects and areas are shown of a single category: {option('category')}.")
