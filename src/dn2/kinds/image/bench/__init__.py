"""The paper's protocols on folders of classes."""

from __future__ import annotations

from dataclasses import dataclass

from dn2.kinds.image.options import BACKBONES as BACKBONE_NAMES
from dn2.kinds.image.options import ImageOptions
from dn2.kinds.options import Several, option
from dn2.kinds.protocols import CachedOptions, ComparedOptions, DrawnOptions, NearestOptions, Protocol, same_as

DATA = "A folder of train/CLASS/ and test/CLASS/, or of CLASS/, or of good/ and defects."
COMPARED_BACKBONES = ("lite0", "lite2")
RUN = f"{__name__}.run"


@dataclass(frozen=True, kw_only=True)
class PictureOptions(DrawnOptions, CachedOptions):
    """The options of every protocol on pictures."""

    classes: Several = option((), "Use only this class.", metavar="CLASS")
    normal: Several = option((), "Take only this class as normal.", metavar="CLASS")
    preset: str = same_as(ImageOptions, "preset")
    precision: str = same_as(ImageOptions, "precision")
    normalize: str | None = same_as(ImageOptions, "normalize")


@dataclass(frozen=True, kw_only=True)
class OneBackbone(PictureOptions):
    """The options of protocols in one embedding."""

    backbone: str | None = same_as(ImageOptions, "backbone")


@dataclass(frozen=True, kw_only=True)
class OneBackboneNearest(OneBackbone, NearestOptions):
    """The options of protocols in one embedding, with one number of neighbours."""


@dataclass(frozen=True, kw_only=True)
class ClassesOptions(OneBackboneNearest, ComparedOptions):
    """The options of protocols that can run other methods, too."""


@dataclass(frozen=True, kw_only=True)
class BackbonesOptions(PictureOptions, NearestOptions):
    """The options of the protocol that compares backbones."""

    backbone: Several = option(
        (),
        f"{BACKBONE_NAMES} Default: the preset's; {', '.join(COMPARED_BACKBONES)} where backbones are compared.",
        metavar="NAME",
    )


@dataclass(frozen=True, kw_only=True)
class PatchesOptions(CachedOptions):
    """The options of the protocol on small defects."""

    category: Several = option((), "A category of the data set. Default: all.", metavar="NAME")
    part: str | None = option(
        None,
        "What tells which pictures show one part: a rule as for dn2 fit, for their paths in the data set. Default: as "
        "the data set says it, if it does.",
        metavar="RULE",
    )
    resolution: str | int | None = same_as(ImageOptions, "resolution")
    bank: int | None = same_as(ImageOptions, "bank")
    precision: str = same_as(ImageOptions, "precision")
    false_alarm_rate: float | None = same_as(ImageOptions, "false_alarm_rate")


ONE_CLASS = Protocol("one-class", "One class normal", DATA, ClassesOptions, f"{RUN}:run_one_class")
MULTIMODAL = Protocol("multimodal", "Several classes normal", DATA, ClassesOptions, f"{RUN}:run_multimodal")
FEW_SHOT = Protocol("few-shot", "Few reference pictures, one class normal", DATA, ClassesOptions, f"{RUN}:run_few_shot")
IMPURITY = Protocol(
    "impurity", "Impurity of the reference set, one class normal", DATA, OneBackboneNearest, f"{RUN}:run_impurity"
)
GROUPS = Protocol("groups", "Groups: one picture of each of M classes", DATA, OneBackboneNearest, f"{RUN}:run_groups")
CENTROIDS = Protocol(
    "centroids",
    "Centroids in place of the reference pictures, one class normal",
    DATA,
    OneBackboneNearest,
    f"{RUN}:run_centroids",
)
NEIGHBORS = Protocol("neighbors", "Number of neighbours, one class normal", DATA, OneBackbone, f"{RUN}:run_neighbors")
BACKBONES = Protocol("backbones", "Backbones, one class normal", DATA, BackbonesOptions, f"{RUN}:run_backbones")

PATCHES = Protocol(
    "patches",
    "Small defects: dn2, PatchCore and PaDiM",
    "A labelled data set with masks, as dn2 evaluate takes it.",
    PatchesOptions,
    f"{__name__}.patches.run:run_patches",
)

PROTOCOLS = (ONE_CLASS, MULTIMODAL, FEW_SHOT, IMPURITY, GROUPS, CENTROIDS, NEIGHBORS, BACKBONES, PATCHES)
