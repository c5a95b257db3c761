"""Folders that look like those of a data set: with test pictures, defects or masks beside the normal ones."""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import PurePosixPath

from dn2.inputs.items import Item
from dn2.results.words import count_in_words
from dn2.system.interface import command, option

logger = logging.getLogger("dn2")

TRAINING = frozenset({"train", "training"})
GOOD = frozenset({"good", "ok", "normal", "normals", "defect_free", "defect-free", "no_defect", "non_defective"})
OTHERS = {
    "tests": frozenset({"test", "testing", "tests", "val", "valid", "validation"}),
    "masks": frozenset(
        {"ground_truth", "groundtruth", "gt", "mask", "masks", "annotation", "annotations", "label", "labels"}
    ),
    "defects": frozenset(
        {
            *("bad", "defect", "defects", "defective", "anomaly", "anomalies", "anomalous", "abnormal", "ng", "nok"),
            *("not_ok", "broken", "faulty", "fault", "faults", "reject", "rejects", "scrap"),
        }
    ),
}


def warn_of_layout(items: Sequence[Item]) -> None:
    """Warn where items that are all to be normal lie in folders whose names say that some are not."""
    counts = _count(item.name for item in items if item.in_folder)
    children: dict[str, set[str]] = {}
    for folder in counts:
        if folder != ".":
            children.setdefault(str(PurePosixPath(folder).parent), set()).add(folder)
    for parent in sorted(children, key=lambda folder: (folder.count("/"), folder)):
        if words := _say(children[parent], counts):
            logger.warning(words)
            return


def _say(siblings: Iterable[str], counts: dict[str, int]) -> str:
    """Say what is wrong with folders that lie side by side; empty where nothing is."""
    names = {folder: PurePosixPath(folder).name.casefold() for folder in sorted(siblings)}
    suspects = {what: _called(names, words) for what, words in OTHERS.items()}
    if "good" in names.values():  # as in MVTec AD, where each other folder has the name of a defect
        known = GOOD | TRAINING | OTHERS["tests"] | OTHERS["masks"]
        suspects["defects"] = [folder for folder, name in names.items() if name not in known]
    normal = _called(names, TRAINING) or _called(names, GOOD)
    if not normal:  # masks tell by themselves; a folder may be called `test` for any reason
        suspects = {"masks": suspects["masks"] if len(set(names.values())) > 1 else []}
    others = [folder for found in suspects.values() for folder in found]
    if not others:
        return ""
    listed = ", ".join(f"{folder} ({counts[folder]:,})" for folder in others)
    kinds = " and ".join(what for what, found in suspects.items() if found)
    total = count_in_words(sum(counts[folder] for folder in others), "item", "items")
    return (
        f"{total} among those to learn from as normal lie in folders that look like {kinds}: {listed}; "
        f"{_way_out(normal, others, counts)}"
    )


def _called(names: Mapping[str, str], words: Set[str]) -> list[str]:
    return [folder for folder, name in names.items() if name in words]


def _way_out(normal: Sequence[str], others: Sequence[str], counts: Mapping[str, int]) -> str:
    globs = [glob.escape(PurePosixPath(folder).name) for folder in others]
    leave_out = command(
        " ".join(option("exclude", name) for name in globs),
        option("exclude", globs[0]) if len(globs) == 1 else f"exclude={globs}",
    )
    if len(normal) == 1:
        inner = (f"{normal[0]}/{good}" for good in sorted(GOOD))
        best = next((folder for folder in inner if folder in counts), normal[0])
        return f"give {best} alone, or say {leave_out}"
    return f"say {leave_out}, or give the {'folders' if normal else 'folder'} of the normal ones alone"


def _count(names: Iterable[str]) -> dict[str, int]:
    """Count the items in each folder, at any depth, by its path in their names."""
    counts: dict[str, int] = {}
    for name in names:
        for folder in PurePosixPath(name).parents:
            counts[str(folder)] = counts.get(str(folder), 0) + 1
    return counts
