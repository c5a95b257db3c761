"""Ways to find small defects, each fitted on normal pictures and asked about others: dn2's and those of papers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

from dn2.inputs.label_columns import Labels
from dn2.kinds.image.bench.patches.padim import PaDiM
from dn2.kinds.image.bench.patches.papers import SquareEmbedder
from dn2.kinds.image.bench.patches.patchcore import PatchCore
from dn2.kinds.image.labelled.sets import LabelledPicture
from dn2.kinds.image.options import DEFAULT_RESOLUTION
from dn2.kinds.image.presets import PRESETS
from dn2.model.fitting import fit
from dn2.model.model import Model
from dn2.neighbors.patches.joining import Map
from dn2.networks.maps import Maps
from dn2.networks.registry import split_name
from dn2.results.rows import Row
from dn2.store.cache import Cache

WHOLE, PATCHCORE, PADIM = "dn2, whole pictures", "PatchCore", "PaDiM"


class Seen(NamedTuple):
    """What a method says of one picture.

    p_value : None of a method that decides nothing; anomaly_map : of any resolution, None of one without maps.
    size : (width, height) of the picture, where there is a map."""

    score: float
    p_value: float | None = None
    anomaly_map: Map | None = None
    size: tuple[int, int] | None = None
    has_region: bool | None = None


@dataclass(frozen=True)
class Settings:
    """What all methods are given.

    bank : patches; None for those of the preset, and of the default preset for a paper's method.
    parts : what each picture to learn from belongs to, None where they belong to nothing."""

    resolution: int = DEFAULT_RESOLUTION
    bank: int | None = None
    precision: str = "auto"
    false_alarm_rate: float | None = None
    cache: Cache | None = None
    parts: Labels | None = None


class Fitted(Protocol):
    """A method that has learnt."""

    @property
    def threshold(self) -> float | None:
        """The highest value of a map that is no region, None where nothing says so."""

    @property
    def rate(self) -> float | None:
        """The false-alarm rate that it decides at, None of one that decides nothing."""

    @property
    def unreadable(self) -> Sequence[Row]:
        """The pictures that it could not learn from."""

    def see(self, pictures: Sequence[LabelledPicture]) -> Iterator[Seen | str]:
        """Examine pictures in order; a text is the reason why one cannot be read."""


# Learns from normal pictures.
Learn = Callable[[Sequence[LabelledPicture], Settings], Fitted]


@dataclass(frozen=True)
class OwnModel:
    """A model of dn2's; see `Fitted`."""

    model: Model

    @property
    def unreadable(self) -> Sequence[Row]:
        """See `Fitted`."""
        return self.model.unreadable

    @property
    def rate(self) -> float:
        """See `Fitted`."""
        return self.model.false_alarm_rate

    @property
    def threshold(self) -> float | None:
        """See `Fitted`."""
        learnt = getattr(self.model.kind, "learnt", None)
        return None if learnt is None else float(learnt.threshold(self.rate))

    def see(self, pictures: Sequence[LabelledPicture]) -> Iterator[Seen | str]:
        """See `Fitted`."""
        for row in self.model.score([picture.path for picture in pictures], progress=False):
            if row.anomaly_score is None:
                yield row.error or "it has no score"
            elif row.evidence is None:
                yield Seen(row.anomaly_score, row.p_value)
            else:
                found = row.evidence
                yield Seen(row.anomaly_score, row.p_value, found.anomaly_map, found.size, bool(found.regions))


@dataclass(frozen=True)
class OfPaper:
    """A method of a paper, which decides nothing by itself; see `Fitted`."""

    embedder: SquareEmbedder
    learnt: Any
    unreadable: Sequence[Row]
    threshold: float | None = None
    rate: float | None = None

    def see(self, pictures: Sequence[LabelledPicture]) -> Iterator[Seen | str]:
        """See `Fitted`."""
        for embedded in self.embedder.embed(picture.path for picture in pictures):
            if embedded.error is not None:
                yield embedded.error
            else:
                score, anomaly_map = self.learnt.examine(embedded.parts[0])
                yield Seen(score, None, anomaly_map, embedded.size)


def learn_own(pictures: Sequence[LabelledPicture], settings: Settings, **options: Any) -> OwnModel:
    """Fit a model as `dn2.fit` does; options : further ones of it."""
    options |= {"precision": settings.precision, "false_alarm_rate": settings.false_alarm_rate, "part": settings.parts}
    paths = [picture.path for picture in pictures]
    return OwnModel(fit(paths, kind="image", cache=settings.cache, progress=False, **options))


def learn_whole(pictures: Sequence[LabelledPicture], settings: Settings) -> OwnModel:
    """Fit a model of whole pictures."""
    return learn_own(pictures, settings)


def learn_patches(pictures: Sequence[LabelledPicture], settings: Settings, *, preset: str) -> OwnModel:
    """Fit a model of patches by a preset."""
    return learn_own(
        pictures, settings, preset=preset, patches=True, resolution=settings.resolution, bank=settings.bank
    )


def learn_patchcore(pictures: Sequence[LabelledPicture], settings: Settings, *, of_all: bool = False) -> OfPaper:
    """Learn as PatchCore does; of_all : keep 1 % of all patches, as its paper does, in place of as many as dn2."""
    size = None if of_all else settings.bank or PRESETS["default"].bank
    return _learn_of_paper(pictures, settings, lambda maps, side: PatchCore.learn(maps, side, size))


def learn_padim(pictures: Sequence[LabelledPicture], settings: Settings) -> OfPaper:
    """Learn as PaDiM does."""
    return _learn_of_paper(pictures, settings, PaDiM.learn)


def _learn_of_paper(
    pictures: Sequence[LabelledPicture], settings: Settings, learn: Callable[[Iterator[Maps], int], Any]
) -> OfPaper:
    """Learn from the maps of the network of the default preset."""
    (backbone, *_) = split_name(PRESETS["default"].patches)
    embedder = SquareEmbedder(
        backbone, resolution=settings.resolution, precision=settings.precision, cache=settings.cache
    )
    unreadable: list[Row] = []

    def maps() -> Iterator[Maps]:
        embedded = embedder.embed(picture.path for picture in pictures)
        for picture, one in zip(pictures, embedded, strict=True):
            if one.error is None:
                yield one.parts[0]
            else:
                unreadable.append(Row(picture.name, error=one.error))

    return OfPaper(embedder, learn(maps(), embedder.side), unreadable)


def methods() -> dict[str, Learn]:
    """Return the methods by name: dn2's on whole pictures, the papers', and dn2's presets of patches."""
    by_networks = {preset.patches: name for name, preset in PRESETS.items()}  # presets may have the same networks
    by_networks[PRESETS["default"].patches] = "default"
    own: dict[str, Learn] = {
        f"dn2 --patches, {name}": partial(learn_patches, preset=name)
        for name in PRESETS
        if by_networks[PRESETS[name].patches] == name
    }
    return {
        WHOLE: learn_whole,
        PATCHCORE: learn_patchcore,
        PADIM: learn_padim,
        **own,
    }
