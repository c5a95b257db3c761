"""What reference pictures teach of patches: banks, how a picture is scored, and what calibrates the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np

from dn2.arrays import Array, Positions, Progress, Scores
from dn2.errors import ReferenceTooSmall
from dn2.kinds.image.patches.finding import Finding, choose, measure_finding
from dn2.kinds.image.patches.sources import Pictures, cached
from dn2.neighbors.calibrating import calibrate
from dn2.neighbors.calibration import Calibration, LearntStep
from dn2.neighbors.detector import Detector
from dn2.neighbors.learnt import Learnt as LearntSteps
from dn2.neighbors.leave_one_out import LeaveOneOut
from dn2.neighbors.membership import NEIGHBOR
from dn2.neighbors.patches.detector import PatchDetector, PictureMaps, Source, grouped
from dn2.neighbors.sampling import Limits
from dn2.neighbors.threads import each_on_one

MOST_GIVEN = 16  # patches


@dataclass(frozen=True, eq=False)
class Learnt:
    """What was learnt from one half of the reference pictures, and the scores of the other half, which calibrates.

    detector : compares patches; limits : what the pictures that calibrate have drawn; given : how many patches, the
        strangest, each of these gives to each bank.
    members : (m,) positions of those; scores : (m,) their own; peaks : (m,) the highest values of their maps.
    finding : of defects drawn into them, how many are found; joined : how many pictures joined the banks since.
    rotations : in how many each picture teaches.
    is_stale : whether patches have left the banks since they were scored.
    calibration : of scores; map_calibration : of peaks, of all strata together."""

    detector: PatchDetector
    limits: Limits
    given: int
    members: Positions
    scores: Scores
    peaks: Scores
    finding: tuple[Finding, ...] = ()
    joined: int = 0
    rotations: int = 1
    is_stale: bool = False
    calibration: Calibration = field(default=Calibration(np.empty(0), 0), repr=False)
    map_calibration: Calibration = field(default=Calibration(np.empty(0), 0), repr=False)

    @classmethod
    def of(cls, pictures: Pictures, detector: Detector, size: int, rotations: int, progress: Progress | None) -> Self:
        """Learn from the reference pictures; size : of each bank; rotations : in how many each picture teaches.

        Raises ReferenceTooSmall for a false-alarm rate that half of them cannot support."""
        reference, seed = detector.reference, int(detector.steps.calibrate.seed)
        split = reference.plan.split(detector.blocks, reference.membership)
        source = _source(pictures, detector, rotations)
        patches = PatchDetector.learn(source, split.learning, size, seed)
        patches = choose(patches, pictures, split.learning, source.own_of, seed)
        given = 0 if detector.steps.holds_out else _given(size, len(split.members))
        patches = patches.with_strangest(source, split.members, given, split.members)
        measured = _measure(patches, pictures, source, split.members, progress)
        learnt = cls(patches, split.limits, given, *measured, rotations=rotations).calibrated(detector)
        threshold = learnt.calibration.threshold(learnt.calibration.rate(detector.steps.false_alarm_rate))
        finding = measure_finding(patches, pictures, learnt.members, source.own_of, threshold, seed)
        return replace(learnt, finding=tuple(finding))

    def threshold(self, asked: float | None) -> float:
        """Return the highest value of an anomaly map that is no region; asked : the false-alarm rate, per picture."""
        return self.map_calibration.threshold(self.map_calibration.rate(asked))

    def calibrated(self, detector: Detector) -> Self:
        """Return it with what its scores make of the whole set."""
        count = sum(int((~np.isin(bank.owners, self.members)).sum()) for bank in self.detector.banks)
        both = []
        for scores in (self.scores, self.peaks):
            loo = LeaveOneOut(self.members, scores.astype(np.float32)[:, None], self.members[:, None])
            steps, membership = detector.steps, detector.reference.membership
            found = calibrate(len(detector.reference), loo, membership, steps, LearntSteps())
            both.append(replace(found, learnt=(LearntStep("patches", count),)))
        both[0].rate(detector.steps.false_alarm_rate)  # may be refused
        return replace(self, calibration=both[0], map_calibration=replace(both[1], strata=None))

    def only(self, places: Positions, n: int) -> Self:
        """Keep the reference pictures at some places of n, ascending; `after_change` is due then."""
        removed = np.setdiff1d(np.arange(n), places)
        kept = np.isin(self.members, places)
        detector = self.detector.without(removed)
        return replace(
            self,
            detector=detector,
            members=np.searchsorted(places, self.members[kept]),
            scores=self.scores[kept],
            peaks=self.peaks[kept],
            is_stale=self.is_stale or _count(detector) < _count(self.detector),
        )

    def after_change(self, pictures: Pictures, detector: Detector, progress: Progress | None) -> Self:
        """Return it for a reference set that has changed: by new pictures, or without some.

        A new picture joins those that calibrate, or the banks, as it draws.  Where patches have left a bank, or those
        of a picture join that a person told to be normal, the pictures that calibrate are compared anew; those that
        cannot be had any more calibrate no longer.  Where others have joined, their scores may only have become too
        high, and rates too low."""
        if detector.steps.holds_out and self.given:
            return self._holding_out().after_change(pictures, detector, progress)
        reference, n = detector.reference, len(detector.reference)
        drawn = reference.plan.sampler(detector.blocks, reference.membership).drawn_again(self.limits)
        fresh = np.arange(n - len(pictures.fresh), n)
        if drawn is None:
            raise ReferenceTooSmall("items of a group that is new cannot calibrate: fit a new model, with these items")
        joining, members = np.setdiff1d(fresh, drawn), np.intersect1d(fresh, drawn)
        roles = reference.membership.roles
        told = joining[:0] if roles is None else joining[roles[joining] == NEIGHBOR]
        is_stale = self.is_stale or len(told) > 0
        with cached(pictures.embedder) as embedder:
            pictures = replace(pictures, embedder=embedder)
            source, calibrating = _source(pictures, detector, self.rotations), np.union1d(self.members, members)
            grown = self.detector.with_unknown(source, np.setdiff1d(joining, told))
            grown = grown.with_unknown(source, told, told=True)
            grown = grown.with_strangest(source, members, self.given, calibrating)
            found = _measure(grown, pictures, source, calibrating if is_stale else members, progress)
        kept = self.members[:0] if is_stale else self.members
        order = np.argsort(np.concatenate([kept, found.positions]))
        joined = (
            np.concatenate([old[: len(kept)], new])[order]
            for old, new in zip((self.members, self.scores, self.peaks), found, strict=True)
        )
        members, scores, peaks = joined
        changed = replace(self, detector=grown, members=members, scores=scores, peaks=peaks, is_stale=False)
        return replace(changed, joined=self.joined + len(joining)).calibrated(detector)

    def recalibrated(self, pictures: Pictures, detector: Detector, progress: Progress | None) -> Self:
        """Return it calibrated by new pictures alone, half of which, or so, join the banks.

        Of these as many patches join as it takes, and those that calibrate give none."""
        reference = detector.reference
        split = reference.plan.split(detector.blocks, reference.membership)
        fresh = np.arange(len(reference) - len(pictures.fresh), len(reference))
        with cached(pictures.embedder) as embedder:
            pictures = replace(pictures, embedder=embedder)
            source = _source(pictures, detector, self.rotations)
            grown = self.detector.with_unknown(source, np.setdiff1d(fresh, split.members), told=True)
            measured = _measure(grown, pictures, source, split.members, progress)._asdict()
        measured["members"] = measured.pop("positions")
        changed = replace(self, detector=grown, limits=split.limits, given=0, is_stale=False, **measured)
        return replace(changed, joined=self.joined + len(fresh) - len(split.members)).calibrated(detector)

    def _holding_out(self) -> Self:
        """Return it without the patches of pictures that calibrate; these are to be compared anew."""
        banks = tuple(bank.at(~np.isin(bank.owners, self.members)) for bank in self.detector.banks)
        return replace(self, detector=replace(self.detector, banks=banks), given=0, is_stale=True)

    def as_dict(self) -> dict[str, Any]:
        """Return what `model.json` has."""
        return {
            "banks": [len(bank.vectors) for bank in self.detector.banks],
            "errors": [[float(value) for value in bank.errors] for bank in self.detector.banks],
            "given": self.given,
            "share": self.detector.share,
            "by_place": self.detector.by_place,
            "joined": self.joined,
            "rotations": self.rotations,
            "finding": [one.as_dict() for one in self.finding],
        }

    def as_arrays(self) -> dict[str, Array]:
        """Return what a saved model keeps."""
        own = {"members": self.members, "scores": self.scores, "peaks": self.peaks}
        limits = {f"limits-{name}": array for name, array in self.limits.as_arrays().items()}
        return own | limits | {f"bank-{name}": array for name, array in self.detector.as_arrays().items()}

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> Self:
        """Restore what `as_arrays` and `as_dict` gave.  Raises LookupError, TypeError, ValueError for anything else."""
        bank = {key.removeprefix("bank-"): array for key, array in arrays.items() if key.startswith("bank-")}
        limits = {key.removeprefix("limits-"): array for key, array in arrays.items() if key.startswith("limits-")}
        return cls(
            PatchDetector.from_arrays(bank),
            Limits.from_arrays(**limits),
            int(about["given"]),
            *_Measured(arrays["members"], arrays["scores"], arrays["peaks"]),
            finding=tuple(Finding(**one) for one in about["finding"]),
            joined=int(about["joined"]),
            rotations=int(about["rotations"]),
        )

    def check(self, n: int, dimensions: Sequence[Sequence[int]]) -> None:
        """Raise ValueError unless it fits n reference pictures, and networks whose maps have some dimensions."""
        self.limits.check()
        self.detector.check(n, [sum(group) for group in grouped(dimensions)])
        m = len(self.members)
        if self.members.dtype != np.int64 or self.members.shape != (m,) or not m or (np.diff(self.members) <= 0).any():
            raise ValueError("the positions of calibrating pictures must ascend")
        if self.members[0] < 0 or self.members[-1] >= n:
            raise ValueError(f"positions outside of 0 ... {n - 1}")
        for scores in (self.scores, self.peaks):
            if scores.shape != (m,) or scores.dtype != np.float64 or not np.isfinite(scores).all():
                raise ValueError(f"scores must be {m} finite float64, got {scores.shape} {scores.dtype}")


class _Measured(NamedTuple):
    """Pictures scored: their positions, their scores, and the highest values of their maps, (m,) each."""

    positions: Positions
    scores: Scores
    peaks: Scores


def _source(pictures: Pictures, detector: Detector, rotations: int) -> Source:
    parts = detector.reference.membership.parts
    return Source(pictures.maps, np.arange(len(detector.reference)) if parts is None else parts, rotations)


def _given(size: int, calibrating: int) -> int:
    """Return how many patches each picture that calibrates gives: all together about half as many as were chosen."""
    return min(MOST_GIVEN, round(size / 2 / calibrating))


def _measure(
    patches: PatchDetector, pictures: Pictures, source: Source, positions: Positions, progress: Progress | None
) -> _Measured:
    """Score pictures at some positions, ascending, each without its own part; those that cannot be had any more are
    left out."""

    def score(picture: tuple[int, PictureMaps | None]) -> tuple[int, float, float] | None:
        position, maps = picture
        if maps is None:
            return None
        anomaly_map = patches.anomaly_map(patches.compare(maps.levels, source.own_of(position)), maps.region)
        return position, patches.score(anomaly_map, maps.region), float(anomaly_map.max())

    found = []
    read = zip(positions.tolist(), pictures.maps(positions), strict=True)
    for done, one in enumerate(each_on_one(score, read), 1):
        if one is not None:
            found.append(one)
        if progress is not None:
            progress(done, len(positions))
    kept, scores, peaks = zip(*found, strict=True) if found else ((), (), ())
    return _Measured(np.array(kept, np.int64), np.array(scores, np.float64), np.array(peaks, np.float64))


def _count(detector: PatchDetector) -> int:
    return sum(len(bank.vectors) for bank in detector.banks)
