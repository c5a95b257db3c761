"""The figures of the paper and of those that it compares with, for data sets known by the names of their classes.

Source: Bergman, Cohen, Hoshen, "Deep Nearest Neighbor Anomaly Detection", arXiv 2002.10445, 2020."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dn2.bench.result import Reported
from dn2.bench.table import AVERAGE

DN2 = "DN2, the paper"

# What CIFAR-10's classes are called besides the names used here.
ALIASES = {"airplane": "plane", "automobile": "car"}


@dataclass(frozen=True)
class Known:
    """A data set of the paper; ROC AUC in per cent.

    conditions : what the paper's figures rest on, in words.
    one_class : by class and on average; multimodal : on average; centroids : by number, on average.
    unconfirmed : which of these tables are recalled and were not seen in a public source.
    rivals : averages of other methods, one class being normal, and whether they are confirmed."""

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

KNOWN = (
    Known(
        "CIFAR-10",
        frozenset(_CIFAR10),
        "ResNet-101 (unconfirmed), all 5,000 training pictures a class, k = 2",
        {**_CIFAR10, AVERAGE: 92.5},
        unconfirmed=frozenset({"one-class", "multimodal", "centroids"}),
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
    Known(
        "white blood cells (WBC)",
        frozenset({"1-neutrophil", "2-lymphocyte", "3-monocyte", "4-eosinophil"}),
        "ResNet-101 (unconfirmed), a random 80 % of each class, k = 2",
        {AVERAGE: 82.9},
        rivals={"MHRot": (60.5, False)},
    ),
    Known(
        "cats vs dogs",
        frozenset({"cat", "dog"}),
        "ResNet-101 (unconfirmed), k = 2",
        {AVERAGE: 97.5},
        unconfirmed=frozenset({"one-class"}),
        rivals={"MHRot": (86.0, False)},
    ),
)


def recognise(classes: Collection[str]) -> Known | None:
    """Find the data set that has exactly these classes, whatever their case."""
    names = {_common_name(name) for name in classes}
    return next((known for known in KNOWN if known.classes == names), None)


def reported(protocol: str, classes: Collection[str], normal: Collection[str]) -> list[Reported]:
    """Give what the paper reports for a protocol on a data set of these classes; nothing if it is none of the paper's.

    An average is given only where all classes are normal in turn."""
    known = recognise(classes)
    if known is None:
        return []
    all_normal = set(normal) == set(classes)
    values: dict[str, float] = {}
    if protocol == "one-class":
        values = {name: known.one_class[_common_name(name)] for name in normal if _common_name(name) in known.one_class}
        values |= {AVERAGE: known.one_class[AVERAGE]} if all_normal else {}
    elif protocol == "multimodal" and all_normal and known.multimodal is not None:
        values = {AVERAGE: known.multimodal}
    elif protocol == "centroids" and all_normal:
        values = dict(known.centroids)
    if not values:
        return []
    unconfirmed = frozenset(values) if protocol in known.unconfirmed else frozenset()
    return [Reported(DN2, {name: value / 100 for name, value in values.items()}, unconfirmed)]


def notes(protocol: str, classes: Collection[str], shown: Collection[Reported]) -> list[str]:
    """Say what the paper's figures rest on, and what others report for the same."""
    known = recognise(classes)
    if known is None or not shown:
        return []
    words = [f"{DN2}: {known.conditions}."]
    if protocol == "one-class" and known.rivals:
        others = (f"{name} {value}{'' if sure else ' (unconfirmed)'}" for name, (value, sure) in known.rivals.items())
        words.append(f"Others report for {known.name}, on average: {', '.join(others)}.")
    return words


def _common_name(name: str) -> str:
    return ALIASES.get(name.casefold(), name.casefold())
