"""How small a defect would be found: defects drawn into normal pictures, and the share of them that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from dn2.arrays import Pixels, Positions
from dn2.kinds.image.patches.planting import EVERYWHERE, KINDS, SIZES, plant
from dn2.kinds.image.patches.sources import Pictures
from dn2.neighbors.patches.bank import Nearest
from dn2.neighbors.patches.detector import SHARES, PatchDetector
from dn2.neighbors.threads import each_on_one

# Pixels that networks see of all planted pictures together, and the number of these.
MOST_PIXELS = 1 << 25
LEAST_PLANTED, MOST_PLANTED = 40, 300

# Another choice than the default is taken if it tells planted defects better by this: less may be chance.
CLEARLY_BETTER = 0.01


@dataclass(frozen=True)
class Finding:
    """Of defects of a kind and a size that were drawn into normal pictures, how many are found.

    kind, size : see `planting`; drawn : how many; found : how many of them the score flags at the rate in use."""

    kind: str
    size: float
    drawn: int
    found: int

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, as `model.json` has them."""
        return asdict(self)


def choose(
    patches: PatchDetector, pictures: Pictures, learning: Positions, own_of: Callable[[int], Positions], seed: int
) -> PatchDetector:
    """Choose what share of a map is a picture's score, and whether places are told apart, by defects drawn into the
    pictures that were learnt from."""
    by_places = (True, False) if patches.by_place else (False,)
    ways = [replace(patches, share=share, by_place=by_place) for share in SHARES for by_place in by_places]
    is_planted: list[bool] = []
    scores: list[list[float]] = []  # of each picture, in all ways
    for position, pixels, drawn, _ in _drawn(pictures, learning, len(KINDS), seed):
        region = pictures.region(position)
        for near in _compared(patches, pictures, chain([pixels], drawn), position, own_of(position)):
            maps = {by_place: replace(patches, by_place=by_place).anomaly_map(near, region) for by_place in by_places}
            scores.append([way.score(maps[way.by_place], region) for way in (patches, *ways)])
        is_planted += [False] + [True] * len(KINDS)
    if not scores:
        return patches
    telling = [_roc_auc(is_planted, of_way) for of_way in zip(*scores, strict=True)]
    best, chosen = telling[0] + CLEARLY_BETTER, patches
    for way, told in zip(ways, telling[1:], strict=True):
        if told > best:
            best, chosen = told, way
    return chosen


def measure_finding(
    patches: PatchDetector,
    pictures: Pictures,
    calibrating: Positions,
    own_of: Callable[[int], Positions],
    threshold: float,
    seed: int,
) -> list[Finding]:
    """Draw defects of each kind and size into pictures that calibrate, and count those that score above a threshold."""
    counts = {(kind, size): [0, 0] for kind in KINDS for size in SIZES}
    for position, _, drawn, labels in _drawn(pictures, calibrating, len(counts), seed):
        compared = _compared(patches, pictures, drawn, position, own_of(position))
        region = pictures.region(position)
        for near, label in zip(compared, labels, strict=True):
            counts[label][0] += 1
            counts[label][1] += patches.score(patches.anomaly_map(near, region), region) > threshold
    return [Finding(*label, drawn, found) for label, (drawn, found) in counts.items() if drawn]


def _drawn(
    pictures: Pictures, positions: Positions, each: int, seed: int
) -> Iterator[tuple[int, Pixels, Iterator[Pixels], list[tuple[str, float]]]]:
    """Draw defects into pictures at some of the positions: each position, its pixels, and those with a defect, each as
    it is asked for, with the kind and size of it, `each` of them, of all kinds and sizes in turn."""
    rng = np.random.default_rng(seed)
    labels = [(kind, size) for size in SIZES for kind in KINDS]
    turn, count = 0, None
    for position in rng.permutation(positions).tolist():
        pixels = pictures.pixels(position)
        if pixels is None:
            continue
        if count is None:
            count = int(np.clip(MOST_PIXELS // _seen(pictures, pixels), LEAST_PLANTED, MOST_PLANTED))
        region = pictures.region(position)
        region = EVERYWHERE if region is None else region
        given = [labels[(turn + number) % len(labels)] for number in range(each)]
        yield position, pixels, (plant(pixels, *label, rng, region).pixels for label in given), given
        turn += each
        if turn >= count:
            return


def _seen(pictures: Pictures, pixels: Pixels) -> int:
    sizes = [one.backbone.preprocessing.input_size(*pixels.shape[1::-1]) for one in pictures.embedder.networks]
    return sum(width * height for width, height in sizes)


def _compared(
    patches: PatchDetector, pictures: Pictures, drawn: Iterable[Pixels], position: int, own: Positions
) -> Iterator[list[Nearest]]:
    """Compare pictures in memory, which are kept nowhere, with the banks but for the patches of their own part.

    position : of the picture that they were."""
    embedded = pictures.embedder.with_cache(False).embed(pictures.viewed(pixels, position) for pixels in drawn)
    return each_on_one(lambda picture: patches.compare(picture.parts, own), embedded)


def _roc_auc(is_planted: Sequence[bool], scores: Sequence[float]) -> float:
    """Return the ROC AUC of pictures with a defect against those without."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_planted, scores))
