"""The figures of the paper and of other papers, for data sets known by the names of their classes.

Source: Bergman, Cohen, Hoshen, "Deep Nearest Neighbor Anomaly Detection", arXiv 2002.10445, 2020."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dn2.bench.result import ReportedFigures
from dn2.bench.table import AVERAGE
from dn2.kinds.image.bench import CENTROIDS, MULTIMODAL, ONE_CLASS
from dn2.kinds.protocols import Protocol

DN2 = "DN2, the paper"

# Other names of CIFAR-10's classes, and the names used here.
ALIASES = {"airplane": "plane", "automobile": "car"}


@dataclass(frozen=True)
class PaperDataset:
    """A data set of the paper; ROC AUC in per cent.

    conditions : of the paper's figures, in words.
    one_class : by class and on average; multimodal : on average; centroids : by number, on average.
    unconfirmed : the tables that are recalled and were not seen in a public source.
    rivals : of other methods, the average with one class normal, and whether it is confirmed."""

    name: str
    classes: frozenset[str]
    conditions: str
    one_class: Mapping[str, float]
    unconfirmed: frozenset[str] = frozenset()
    multimodal: float | None = None
    centroids: Mapping[str, float] = field(default_factory=dict)
    rivals: Mapping[str, tuple[float, bool]] = field(default_factory=dict)


_CIFAR10 = {
    "plane": 93.9, "car": 97.7, "bird": 85.5, "cat": 85.5, "deer": 93.6,
    "dog": 91.3, "frog": 94.3, "horse": 93.6, "ship": 95.1, "truck": 95.3,
}  # fmt: skip

PAPER_DATASETS = (
    PaperDataset(
        "CIFAR-10",
        frozenset(_CIFAR10),
        "ResNet-101 (unconfirmed), all 5,000 training pictures a class, k = 2",
        {**_CIFAR10, AVERAGE: 92.5},
        unconfirmed=frozenset({ONE_CLASS.name, MULTIMODAL.name, CENTROIDS.name}),
        multimodal=71.7,
        centroids={"1": 91.94, "3": 92.00, "5": 91.87, "10": 91.64, "all": 92.52},
        rivals={
            "OC-SVM": (62.0, False),
            "Deep SVDD": (64.8, False),
            "GEOM": (86.0, True),
            "GOAD": (88.2, True),
            "MHRot": (90.1, True),
            "PANDA (features adapted by training)": (96.2, True),
            "GeneralAD": (99.3, True),
        },
    ),
    PaperDataset(
        "white blood cells (WBC)",
        frozenset({"1-neutrophil", "2-lymphocyte", "3-monocyte", "4-eosinophil"}),
        "ResNet-101 (unconfirmed), a random 80 % of each class, k = 2",
        {AVERAGE: 82.9},
        rivals={"MHRot": (60.5, False)},
    ),
    PaperDataset(
        "cats vs dogs",
        frozenset({"cat", "dog"}),
        "ResNet-101 (unconfirmed), k = 2",
        {AVERAGE: 97.5},
        unconfirmed=frozenset({ONE_CLASS.name}),
        rivals={"MHRot": (86.0, False)},
    ),
)


def recognise(classes: Collection[str]) -> PaperDataset | None:
    """Find the data set that has exactly these classes, whatever their case."""
    names = {_common_name(name) for name in classes}
    return next((dataset for dataset in PAPER_DATASETS if dataset.classes == names), None)


def reported_figures(protocol: Protocol, classes: Collection[str], normal: Collection[str]) -> list[ReportedFigures]:
    """Return what the paper reports for a protocol on a data set of these classes; [] for a data set that it lacks.

    An average is given only where all classes are normal in turn."""
    dataset = recognise(classes)
    if dataset is None:
        return []
    all_normal = set(normal) == set(classes)
    values: dict[str, float] = {}
    if protocol == ONE_CLASS:
        values = {
            name: dataset.one_class[_common_name(name)] for name in normal if _common_name(name) in dataset.one_class
        }
        values |= {AVERAGE: dataset.one_class[AVERAGE]} if all_normal else {}
    elif protocol == MULTIMODAL and all_normal and dataset.multimodal is not None:
        values = {AVERAGE: dataset.multimodal}
    elif protocol == CENTROIDS and all_normal:
        values = dict(dataset.centroids)
    if not values:
        return []
    unconfirmed = frozenset(values) if protocol.name in dataset.unconfirmed else frozenset()
    return [ReportedFigures(DN2, {name: value / 100 for name, value in values.items()}, unconfirmed)]


def notes(protocol: Protocol, classes: Collection[str], shown: Collection[ReportedFigures]) -> list[str]:
    """Say under which conditions the paper's figures hold, and what others report for the same."""
    dataset = recognise(classes)
    if dataset is None or not shown:
        return []
    words = [f"{DN2}: {dataset.conditions}."]
    if protocol == ONE_CLASS and dataset.rivals:
        figures = (
            f"{name} {value}{'' if sure else ' (unconfirmed)'}" for name, (value, sure) in dataset.rivals.items()
        )
        words.append(f"Others report for {dataset.name}, on average: {', '.join(figures)}.")
    return words


def _common_name(name: str) -> str:
    return ALIASES.get(name.casefold(), name.casefold())
